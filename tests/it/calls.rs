//! Calls whose delayed leave goes wrong on a real server → the verdicts of KE-4, under the role of
//! `kestrel grants` and under a plain reader, on the runbook's Synapse and on the newest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kestrel::config::{Config, Database, Server};
use kestrel::flow::{Answer, Case, Flow};
use kestrel_core::diagnose::Certainty::{self, Consistent, Proven};
use kestrel_core::evidence::client::{ClientDelays, Noted, Sign};
use kestrel_core::evidence::{ClientFacts, Fact, Gathered, Known, Need, Shown, State};
use kestrel_core::question::Topic;
use kestrel_lab::calls::{Member, fresh_address};
use kestrel_lab::prometheus::Prometheus;
use kestrel_lab::{Lab, LabOptions, LogFormat};
use serde_json::{Map, Value, json};

use crate::verdicts::{compare, config, lab_with_role};

/// The newest Synapse that these were run on; restarts may be authenticated there.
const NEWEST: &str = "1.163.2";
/// Long enough for a pending leave to outlive a test.
const LONG: u64 = 600_000;
const SECOND: Duration = Duration::from_secs(1);

/// Synapse's own limit, which the lab lifts for everybody else.
fn limited() -> Map<String, Value> {
    let limit = json!({"per_second": 1, "burst_count": 5});
    Map::from_iter([("rc_delayed_event_mgmt".to_owned(), limit)])
}

async fn ask(config: &Config, user: &str, client: &[Gathered]) -> Result<Case> {
    let question = crate::verdicts::over_default_window(Topic::Ke4 { user: user.try_into()? });
    let flow = Flow::new(Arc::new(config.clone()));
    match flow.answer_with(&question, client, Timestamp::now()).await {
        Answer::Case(case) => Ok(*case),
        answer => anyhow::bail!("no verdict: {answer:?}"),
    }
}

async fn expect(
    config: &Config,
    cause: &str,
    member: &Member,
    verdict: &str,
    certainty: Certainty,
) -> Result<Case> {
    let start = Instant::now();
    let case = ask(config, &member.account.user_id, &[]).await?;
    let lines = case.reply.plain.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= kestrel_core::render::LINES, "{cause}: {lines} lines\n{}", case.reply.plain);
    compare(&case, "ke4", cause, start.elapsed().as_secs_f32(), (verdict, certainty))?;
    Ok(case)
}

/// Members of calls, each with a fault of its own.
struct Calls {
    calm: Member,
    crowd: Vec<Member>,
    fired: Member,
    cancelled: Member,
    locked: Member,
    silent: Member,
    lost: Member,
    database: Member,
    process: Member,
}

impl Calls {
    /// Causes all faults: those of one member side by side, then those of the whole server.
    async fn cause(lab: &Lab, authenticated: bool) -> Result<Self> {
        let join = async |name: &str, delay: u64| {
            let member = Member::join(lab, name, &fresh_address(), delay).await?;
            anyhow::Ok(if authenticated { member.authenticate() } else { member })
        };
        let mut crowd = Vec::new();
        let shared = fresh_address();
        for _ in 0..4 {
            let member = Member::join(lab, "crowd", &shared, LONG).await?;
            crowd.push(if authenticated { member.authenticate() } else { member });
        }
        let calls = Self {
            calm: join("calm", LONG).await?,
            cancelled: join("cancelled", LONG).await?,
            locked: join("locked", LONG).await?,
            silent: join("silent", LONG).await?,
            lost: join("lost", 3000).await?,
            database: join("database", LONG).await?,
            process: join("process", LONG).await?,
            crowd,
            // Last, as it lasts only so long.
            fired: join("fired", 4000).await?,
        };
        tokio::try_join!(
            calls.calm.stay(6 * SECOND, 1500 * SECOND / 1000),
            calls.crowd(),
            calls.fire(),
            calls.cancel(),
            calls.lock(lab),
            calls.keep_silent(),
        )?;
        // The whole server's faults, felt by those who restart meanwhile.
        let (answered, ()) = tokio::try_join!(
            calls.database.stay(6 * SECOND, SECOND),
            after(SECOND, lab.freeze_postgres(4))
        )?;
        anyhow::ensure!(answered.late > 0, "the frozen database was not felt: {answered:?}");
        // A restart that arrives while the process is frozen is timed from its thaw, so the log shows it as
        // fast. The fault is there once one was in work when the process froze.
        for _ in 0..4 {
            let (answered, ()) = tokio::try_join!(
                calls.process.stay(6 * SECOND, SECOND),
                after(SECOND, lab.freeze_synapse(5))
            )?;
            anyhow::ensure!(answered.late > 0, "the frozen process was not felt: {answered:?}");
            lab.log_written().await?;
            if slowest_restart(lab, &calls.process)? >= 2.0 {
                break;
            }
        }
        Ok(calls)
    }

    /// More members than one address may have before Synapse 1.156; later, one who asks too often.
    async fn crowd(&self) -> Result<()> {
        let (length, every) = (5 * SECOND, SECOND / 4);
        let [a, b, c, d] = self.crowd.as_slice() else { anyhow::bail!("four are needed") };
        let (a, ..) = tokio::try_join!(
            a.stay(length, every),
            b.stay(length, every),
            c.stay(length, every),
            d.stay(length, every)
        )?;
        anyhow::ensure!(a.limited > 0, "nobody was turned away: {a:?}");
        Ok(())
    }

    /// The leave fires while the client is away, and its next restart finds nothing.
    async fn fire(&self) -> Result<()> {
        anyhow::ensure!(self.fired.act("restart").await? == 200);
        tokio::time::sleep(6 * SECOND).await;
        anyhow::ensure!(self.fired.act("restart").await? == 404);
        Ok(())
    }

    /// The end of a call: one restart crosses the leave.
    async fn cancel(&self) -> Result<()> {
        self.cancelled.stay(2 * SECOND, SECOND).await?;
        anyhow::ensure!(self.cancelled.act_in_body("cancel").await? == 200);
        anyhow::ensure!(self.cancelled.act("restart").await? == 404);
        Ok(())
    }

    async fn lock(&self, lab: &Lab) -> Result<()> {
        let held = self.locked.lock_row(lab, 3 * SECOND);
        let stay = after(SECOND / 2, self.locked.stay(4 * SECOND, SECOND));
        let (_, answered) = tokio::try_join!(held, stay)?;
        anyhow::ensure!(answered.late > 0, "the lock was not felt: {answered:?}");
        Ok(())
    }

    /// Clients that are there, and whose restarts go nowhere.
    async fn keep_silent(&self) -> Result<()> {
        tokio::time::sleep(7 * SECOND).await;
        self.silent.look_around().await?;
        self.lost.look_around().await
    }
}

/// How long the slowest of a member's restarts took, by the log, in seconds.
fn slowest_restart(lab: &Lab, member: &Member) -> Result<f64> {
    let log = std::fs::read_to_string(lab.log_path())?;
    let path = format!("{}/restart", member.delay_id);
    let took = log.lines().filter(|line| line.contains(&path)).filter_map(|line| {
        let (_, rest) = line.split_once("Processed request: ")?;
        rest.split_once("sec/")?.0.parse::<f64>().ok()
    });
    Ok(took.fold(0.0, f64::max))
}

async fn after<T>(delay: Duration, then: impl Future<Output = T>) -> T {
    tokio::time::sleep(delay).await;
    then.await
}

/// Judges every member. `sure` is what a fault of a member with a known delayed event comes to.
async fn judge_all(config: &Config, calls: &Calls, of: &str, sure: Certainty) -> Result<()> {
    let name = |cause: &str| format!("{cause}{of}");
    let Calls { calm, crowd, fired, cancelled, locked, silent, lost, database, process } = calls;
    let case = expect(config, &name("calm"), calm, "delay-healthy", Consistent).await?;
    assert!(case.reply.plain.contains("p99"), "{}", case.reply.plain);
    let case = expect(config, &name("crowd"), &crowd[0], "delay-rate-limited", sure).await?;
    assert!(case.reply.plain.contains(" requests from 198.51.100.x"), "{}", case.reply.plain);
    let case = expect(config, &name("fired"), fired, "delay-gone", sure).await?;
    assert!(case.reply.plain.contains("had already been sent"), "{}", case.reply.plain);
    expect(config, &name("cancelled"), cancelled, "delay-healthy", Consistent).await?;
    let case = expect(config, &name("row-lock"), locked, "delay-homeserver-slow", sure).await?;
    assert!(
        case.reply.plain.contains("row that another transaction had locked"),
        "{}",
        case.reply.plain
    );
    let case = expect(config, &name("silent"), silent, "delay-not-arriving", Consistent).await?;
    assert!(case.reply.plain.contains("is pending"), "{}", case.reply.plain);
    let case = expect(config, &name("lost"), lost, "delay-not-arriving", Consistent).await?;
    assert!(case.reply.plain.contains("was sent at its first timeout"), "{}", case.reply.plain);
    let case = expect(config, &name("database"), database, "delay-homeserver-slow", sure).await?;
    assert!(case.reply.plain.contains("database"), "{}", case.reply.plain);
    let case = expect(config, &name("process"), process, "delay-homeserver-slow", sure).await?;
    assert!(case.reply.plain.contains("process"), "{}", case.reply.plain);
    Ok(())
}

fn plain_reader(lab: &Lab, config: &Config) -> Result<Config> {
    let owner = Database::new(lab.database_url().parse()?);
    Ok(Config { database: Some(owner), ..config.clone() })
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_call_gets_its_verdict_from_a_text_log() -> Result<()> {
    let lab = lab_with_role(LabOptions { config: limited(), ..Default::default() }).await?;
    let prometheus = Prometheus::watch(&lab).await?;
    let first = Member::join(&lab, "first", &fresh_address(), LONG).await?;
    anyhow::ensure!(first.act("restart").await? == 200);
    prometheus.counts_restarts(1.0).await?;
    let calls = Calls::cause(&lab, false).await?;
    let mut config = config(&lab, true);
    metrics_beside_the_log(&lab, &config, &prometheus, &calls.locked).await?;
    config.prometheus = Some(kestrel::config::Prometheus::open(prometheus.url().parse()?));
    judge_all(&plain_reader(&lab, &config)?, &calls, "", Consistent).await?;
    judge_all(&config, &calls, "", Consistent).await?;
    client_says(&config, &calls.calm).await?;
    forged(&lab, &config, &calls.calm).await?;
    no_delay_id_shows(&lab, &config, &calls).await?;
    // Without the database a member with an address of their own is still known by it.
    let blind = Config { database: None, ..config };
    expect(&blind, "locked-blind", &calls.locked, "delay-homeserver-slow", Consistent).await?;
    let undecided = Certainty::NotEnoughEvidence;
    expect(&blind, "fired-blind", &calls.fired, "inconclusive", undecided).await?;
    Ok(())
}

/// A role of an older Kestrel may not read delayed events: the answer says how to mend that.
async fn an_older_role(lab: &Lab, config: &Config, member: &Member) -> Result<()> {
    lab.sql("DROP FUNCTION kestrel.delayed(text)").await?;
    let case = ask(config, &member.account.user_id, &[]).await?;
    for need in [Need::DelayedEvents, Need::SentDelays] {
        let answer = case.evidence.answers(need).next().context("not asked")?;
        let State::Failed(why) = &answer.state else { anyhow::bail!("{answer:?}") };
        assert!(why.contains("run the SQL from `kestrel grants`"), "{why}");
    }
    assert!(case.reply.plain.contains("kestrel grants"), "{}", case.reply.plain);
    // What is told by the address is no less true, and no more than consistent.
    assert_eq!(crate::verdict(&case).certainty, Consistent);
    Ok(())
}

/// Prometheus's figures are beside the log's; where it cannot be read, the verdict stays.
async fn metrics_beside_the_log(
    lab: &Lab,
    config: &Config,
    prometheus: &Prometheus,
    member: &Member,
) -> Result<()> {
    let with = |url: &str| -> Result<Config> {
        let prometheus = Some(kestrel::config::Prometheus::open(url.parse()?));
        Ok(Config { prometheus, ..config.clone() })
    };
    let case = ask(config, &member.account.user_id, &[]).await?;
    let Known::Is(log, _) = case.evidence.delay_log() else { anyhow::bail!("no log") };
    prometheus.counts_restarts(log.restarts.latency.count as f64).await?;
    let case = ask(&with(prometheus.url())?, &member.account.user_id, &[]).await?;
    let figure = crate::verdict(&case).figures.iter().find(|figure| figure.label == "Prometheus");
    let figure = figure.context("no figure of Prometheus")?;
    println!("Prometheus: {}", figure.text);
    assert!(figure.text.contains("RestartDelayedEvent p50"), "{}", figure.text);
    let Known::Is(metrics, _) = case.evidence.metrics() else { anyhow::bail!("no metrics") };
    let restarts = metrics.restarts().map(|servlet| servlet.count).sum::<f64>();
    let Known::Is(log, _) = case.evidence.delay_log() else { anyhow::bail!("no log") };
    let seen = log.restarts.latency.count as f64;
    // What came before a series was scraped for the first time is in no increase of it, and each status has a
    // series of its own. That of 200 was scraped before the calls began.
    let good = seen - (log.restarts.limited + log.restarts.gone) as f64;
    assert!(restarts <= seen + 2.0 && restarts >= good - 2.0, "{restarts}, {good} of {seen}");
    for url in ["http://127.0.0.1:1", lab.homeserver()] {
        let case = ask(&with(url)?, &member.account.user_id, &[]).await?;
        assert_eq!(crate::verdict(&case).id.name(), "delay-homeserver-slow");
        let failed = case.evidence.answers(Need::Metrics).next().context("no answer")?;
        assert!(matches!(failed.state, State::Failed(_)), "{failed:?}");
    }
    Ok(())
}

/// Lines that a login's name wrote into the log change nothing.
async fn forged(lab: &Lab, config: &Config, member: &Member) -> Result<()> {
    kestrel_lab::forge::forged_restarts(lab, &member.delay_id, &member.address).await?;
    lab.log_written().await?;
    let log = std::fs::read_to_string(lab.log_path())?;
    let forged = log.lines().filter(|line| line.starts_with("20") && line.contains("js-sdk"));
    assert!(forged.count() >= 3, "the forged lines did not reach the log");
    let case = ask(config, &member.account.user_id, &[]).await?;
    let Known::Is(log, _) = case.evidence.delay_log() else { anyhow::bail!("no log") };
    assert_eq!(log.doubtful, 3);
    compare(&case, "ke4", "forged", 0.0, ("delay-healthy", Consistent))
}

/// The client's own report of timeouts, beside a server that answered well.
async fn client_says(config: &Config, member: &Member) -> Result<()> {
    let facts = ClientFacts {
        user: Some(member.account.user_id.clone()),
        signs: vec![Noted { sign: Sign::DelayTimedOut, count: 3, span: None, key: None }],
        delays: Some(ClientDelays { count: 9, timed_out: 3, refused: 0, gone: 0, slowest: 2.0 }),
        ..ClientFacts::default()
    };
    let fact = Some(Fact::Client(Box::new(facts)));
    let (what, query) = ("3 timeouts".to_owned(), String::new());
    let report =
        Gathered::answered(Need::Client, "report", State::Found, Shown { what, query }, fact);
    let case = ask(config, &member.account.user_id, &[report]).await?;
    compare(&case, "ke4", "report", 0.0, ("delay-client", Consistent))
}

/// No delay id of the run is in anything that is shown or kept.
async fn no_delay_id_shows(lab: &Lab, config: &Config, calls: &Calls) -> Result<()> {
    let log = std::fs::read_to_string(lab.log_path())?;
    assert!(log.contains(&calls.calm.delay_id), "the id stands in the log");
    for member in [&calls.calm, &calls.crowd[0], &calls.fired, &calls.silent] {
        let case = ask(config, &member.account.user_id, &[]).await?;
        let flow = Flow::new(Arc::new(config.clone()));
        let shown = [
            case.reply.plain.clone(),
            case.reply.html.clone(),
            flow.why(&case.evidence).plain,
            kestrel::flow::json(&case.evidence, &case.judgement).to_string(),
            flow.evidence_json(&case.evidence),
        ];
        for text in &shown {
            assert!(!text.contains("syd_"), "a delay id is shown:\n{text}");
            assert!(!text.contains(&member.account.access_token), "a token is shown");
            assert!(!text.contains("198.51.100.1"), "a whole address is shown");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_json_log_proves_what_a_row_ties_to_the_user() -> Result<()> {
    let log_format = LogFormat::Terse;
    let options = LabOptions { log_format, config: limited(), ..Default::default() };
    let lab = lab_with_role(options).await?;
    let calls = Calls::cause(&lab, false).await?;
    let config = config(&lab, true);
    judge_all(&config, &calls, "-json", Proven).await?;
    an_older_role(&lab, &config, &calls.locked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_newest_synapse_gets_the_same_verdicts_with_authenticated_restarts() -> Result<()> {
    let synapse_version = NEWEST.to_owned();
    let options = LabOptions { synapse_version, config: limited(), ..Default::default() };
    let lab = lab_with_role(options).await?;
    let calls = Calls::cause(&lab, true).await?;
    let config = config(&lab, true);
    judge_all(&config, &calls, "-newest", Consistent).await?;
    let case = ask(&config, &calls.crowd[0].account.user_id, &[]).await?;
    assert!(case.reply.plain.contains("this user alone"), "{}", case.reply.plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_server_without_delayed_events_says_so() -> Result<()> {
    let off = Map::from_iter([("max_event_delay_duration".to_owned(), Value::Null)]);
    let log_format = LogFormat::Terse;
    let lab = lab_with_role(LabOptions { config: off, log_format, ..Default::default() }).await?;
    let member = Member::without_leave(&lab, "off", &fresh_address()).await?;
    let config = config(&lab, true);
    lab.log_written().await?;
    expect(&config, "untried", &member, "inconclusive", Certainty::NotEnoughEvidence).await?;
    let refused = member.delay_leave(8000).await.expect_err("delayed events are off");
    assert!(refused.to_string().contains("not supported on this server"), "{refused:#}");
    lab.log_written().await?;
    expect(&config, "off", &member, "delay-off", Proven).await?;
    // As on Synapse 1.100, which has no such table.
    lab.sql("ALTER TABLE delayed_events RENAME TO elsewhere").await.context("renamed")?;
    let logless = Config { logs: Vec::new(), ..config };
    for config in [&logless, &plain_reader(&lab, &logless)?] {
        expect(config, "no-table", &member, "delay-off", Proven).await?;
    }
    Ok(())
}

/// The functions of the grants run on every schema, with and without the table of delayed events.
#[tokio::test(flavor = "multi_thread")]
async fn lab_the_grants_run_on_old_schemas_too() -> Result<()> {
    for (synapse_version, absent) in [("1.100.0", true), ("1.120.2", false)] {
        let synapse_version = synapse_version.to_owned();
        let lab = lab_with_role(LabOptions { synapse_version, ..Default::default() }).await?;
        let account = lab.register(&lab.fresh_name("old")).await?;
        let localpart = account.user_id[1..].split(':').next().context("a localpart")?;
        if !absent {
            // As Synapse 1.120 stores it: the content is bytes there.
            lab.sql(&format!(
                "INSERT INTO delayed_events (delay_id, user_localpart, device_id, delay, send_ts, room_id, \
                 event_type, state_key, content, is_processed) VALUES ('syd_old', '{localpart}', 'DEV', \
                 8000, 1795347974609, '!r:lab.local', 'org.matrix.msc3401.call.member', 'k', '{{}}', false)"
            ))
            .await?;
        }
        let config = config(&lab, true);
        for config in [&config, &plain_reader(&lab, &config)?] {
            let case = ask(config, &account.user_id, &[]).await?;
            let Known::Is(table, _) = case.evidence.delayed_events() else {
                anyhow::bail!("{:?}", case.evidence.gathered)
            };
            assert_eq!((table.absent, table.rows.len()), (absent, usize::from(!absent)));
            if absent {
                let (id, sure) = (crate::verdict(&case).id.name(), crate::verdict(&case).certainty);
                assert_eq!((id, sure), ("delay-off", Proven));
            } else {
                let sent = case.evidence.answers(Need::SentDelays).next().context("not asked")?;
                assert_eq!(sent.state, State::Empty, "{sent:?}");
                // The table knows localparts only: another server's namesake has nothing here.
                let blind = Config { server: Server { name: None }, ..config.clone() };
                let case = ask(&blind, &format!("@{localpart}:other.org"), &[]).await?;
                assert!(matches!(case.evidence.delayed_events(), Known::None(_)));
            }
        }
    }
    Ok(())
}
