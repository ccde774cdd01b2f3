//! Calls whose media keys go astray, on a real Synapse with real clients → the verdicts of KE-2, on the
//! version that Kestrel was measured on and on the newest, under the role of `kestrel grants` and under a
//! plain reader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kestrel::config::{Config, Database};
use kestrel::flow::{Answer, Case, Flow};
use kestrel_core::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_core::evidence::client::{Noted, Sign};
use kestrel_core::evidence::to_device::Inbox;
use kestrel_core::evidence::{ClientFacts, Fact, Gathered, Need, Shown, State};
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render;
use kestrel_lab::{Lab, LabOptions, LogFormat, Patient, faults, media};
use serde_json::{Map, json};

use crate::crafted;
use crate::verdicts::{compare, config, lab_with_role};

/// The newest on PyPI when this was written.
const NEWEST: &str = "1.163.2";
/// How much later than the fault an admin asks: long enough for "the device is away".
const LATER: SignedDuration = SignedDuration::from_mins(10);

type Ids = (String, String);

fn ids(patient: &Patient) -> Ids {
    (patient.user.clone(), patient.device.clone())
}

fn asked((user, device): &Ids, sender: Option<&str>, live: Option<Duration>) -> Result<Question> {
    let topic = Topic::Ke2 {
        user: user.as_str().try_into()?,
        device: Some(device.as_str().into()),
        sender: sender.map(TryInto::try_into).transpose()?,
        live,
    };
    Ok(Question { topic, span: Span::Unsaid })
}

async fn answered(config: &Config, question: &Question, client: &[Gathered]) -> Result<Case> {
    at(config, question, client, Timestamp::now()).await
}

async fn at(
    config: &Config,
    question: &Question,
    client: &[Gathered],
    now: Timestamp,
) -> Result<Case> {
    let flow = Flow::new(Arc::new(config.clone()));
    match flow.answer_with(question, client, now).await {
        Answer::Case(case) => Ok(*case),
        other => anyhow::bail!("no verdict: {other:?}"),
    }
}

/// Judges, compares, and looks at what is shown.
async fn expect(
    config: &Config,
    cause: &str,
    subject: &Ids,
    verdict: &str,
    certainty: Certainty,
) -> Result<Case> {
    let start = Instant::now();
    let case = answered(config, &asked(subject, None, None)?, &[]).await?;
    shown(&case, cause, start, (verdict, certainty))?;
    Ok(case)
}

fn shown(case: &Case, cause: &str, start: Instant, expected: (&str, Certainty)) -> Result<()> {
    compare(case, "ke2", cause, start.elapsed().as_secs_f32(), expected)?;
    let plain = &case.reply.plain;
    let lines = plain.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= render::LINES, "{cause} has {lines} lines:\n{plain}");
    let evidence = serde_json::to_string(&case.evidence)?;
    for secret in ["\"body\"", "org.matrix.msgid", "(msgid )", "syt_", "bm90IGEg"] {
        assert!(!plain.contains(secret) && !evidence.contains(secret), "{cause}: {secret}");
    }
    Ok(())
}

/// The granted role and a plain reader.
fn readers(lab: &Lab) -> Result<[Config; 2]> {
    let granted = config(lab, true);
    let owner = Database::new(lab.database_url().parse()?);
    Ok([Config { database: Some(owner), ..granted.clone() }, granted])
}

fn options(version: &str, log_format: LogFormat, debug: bool) -> LabOptions {
    let mut config = Map::new();
    config.insert("experimental_features".into(), json!({"msc3814_enabled": true}));
    let loggers = debug.then(|| ("synapse.9533_debug".to_owned(), "DEBUG".to_owned()));
    LabOptions {
        synapse_version: version.into(),
        log_format,
        config,
        loggers: loggers.into_iter().collect(),
        ..LabOptions::default()
    }
}

/// What a client said, as the reader of its report would hand it over.
fn report(ids: Option<&Ids>, signs: &[(Sign, u64)]) -> Vec<Gathered> {
    let noted =
        |(sign, count): &(Sign, u64)| Noted { sign: *sign, count: *count, span: None, key: None };
    let facts = ClientFacts {
        user: ids.map(|ids| ids.0.clone()),
        device: ids.map(|ids| ids.1.clone()),
        signs: signs.iter().map(noted).collect(),
        ..ClientFacts::default()
    };
    let fact = Some(Fact::Client(Box::new(facts)));
    let query = String::new();
    let what = "a report".to_owned();
    vec![Gathered::answered(Need::Client, "report", State::Found, Shown { what, query }, fact)]
}

fn inbox(case: &Case) -> Result<&Inbox> {
    case.evidence.inbox().value().copied().context("the inbox was not read")
}

async fn each_call(version: &str) -> Result<()> {
    let lab = lab_with_role(options(version, LogFormat::Precise, false)).await?;
    let (dead, _caller) = media::dead_identity(&lab).await?;
    let (mixed, _caller) = media::mixed_identities(&lab).await?;
    let (spent, _caller) = media::exhausted(&lab).await?;
    let (stale, _caller) = media::stale(&lab).await?;
    let (asleep, _caller) = media::dehydrated(&lab).await?;
    let (away, caller) = media::undrained(&lab).await?;
    let (online, _caller) = media::online(&lab).await?;
    let keyless = crafted::keyless(&lab).await?;
    lab.log_written().await?;
    for config in &readers(&lab)? {
        let case = expect(config, "evicted", &ids(&dead), "media-dead-identity", Proven).await?;
        assert!(
            case.reply.plain.contains("3 undelivered: 3 for an old identity"),
            "{}",
            case.reply.plain
        );
        let case = expect(config, "mixed", &ids(&mixed), "media-dead-identity", Consistent).await?;
        assert!(case.reply.plain.contains("2 for its own identity"), "{}", case.reply.plain);
        expect(config, "spent", &ids(&spent), "media-otk-exhausted", Consistent).await?;
        // A device that the log shows for less than a minute is not denied for certain.
        let (start, later) = (Instant::now(), Timestamp::now() + SignedDuration::from_mins(1));
        let case = at(config, &asked(&ids(&stale), None, None)?, &[], later).await?;
        shown(&case, "logged-out", start, ("unknown-device", Proven))?;
        expect(config, "keyless", &keyless, "keyless-device", Proven).await?;
        let case =
            expect(config, "dehydrated", &ids(&asleep), "inconclusive", NotEnoughEvidence).await?;
        assert!(case.reply.plain.contains("ehydrated device"), "{}", case.reply.plain);
        let case =
            expect(config, "online", &ids(&online), "inconclusive", NotEnoughEvidence).await?;
        assert!(case.reply.plain.contains("live 60s"), "{}", case.reply.plain);
        assert!(
            case.reply.plain.contains("synapse.9533_debug: {level: DEBUG}"),
            "{}",
            case.reply.plain
        );
        // Nothing more comes: it may be on its way.
        expect(config, "still", &ids(&away), "inconclusive", NotEnoughEvidence).await?;
        let sending = tokio::spawn({
            let caller = caller.clone();
            async move { caller.send(20, Duration::from_millis(200)).await }
        });
        let start = Instant::now();
        let case =
            at(config, &asked(&ids(&away), None, None)?, &[], Timestamp::now() + LATER).await?;
        shown(&case, "away", start, ("media-not-drained", Consistent))?;
        assert!(case.reply.plain.contains("looks the same"), "{}", case.reply.plain);
        sending.await??;
    }
    one_sender_only(&lab, &mixed).await?;
    old_grants_can_count(&lab, &dead).await
}

async fn one_sender_only(lab: &Lab, mixed: &Patient) -> Result<()> {
    let config = config(lab, true);
    let question = asked(&ids(mixed), Some(&mixed.peer.user_id), None)?;
    let case = answered(&config, &question, &[]).await?;
    assert!(case.reply.plain.contains("2 from others"), "{}", case.reply.plain);
    assert_eq!(crate::verdict(&case).certainty, Proven);
    Ok(())
}

/// A role that an older `kestrel grants` made has no function to see shapes with.
async fn old_grants_can_count(lab: &Lab, dead: &Patient) -> Result<()> {
    lab.sql("DROP FUNCTION kestrel.inbox_shape(text, text, bigint, int)").await?;
    let config = config(lab, true);
    let case = answered(&config, &asked(&ids(dead), None, None)?, &[]).await?;
    assert_eq!(inbox(&case)?.pending, 3);
    assert_eq!(crate::verdict(&case).certainty, NotEnoughEvidence, "{}", case.reply.plain);
    assert!(case.reply.plain.contains("3 undelivered"), "{}", case.reply.plain);
    let answer = case.evidence.answers(Need::Inbox).next().context("no answer")?;
    let State::Failed(why) = &answer.state else { panic!("{:?}", answer.state) };
    assert!(why.contains("`kestrel grants` again"), "{why}");
    lab.sql("REVOKE ALL ON device_inbox FROM kestrel; REVOKE SELECT (user_id) ON device_inbox FROM kestrel").await?;
    let case = answered(&config, &asked(&ids(dead), None, None)?, &[]).await?;
    let answer = case.evidence.answers(Need::Inbox).next().context("no answer")?;
    let State::Failed(why) = &answer.state else { panic!("{:?}", answer.state) };
    assert!(why.contains("`kestrel grants`"), "{why}");
    Ok(())
}

async fn each_drop(version: &str) -> Result<()> {
    let lab = lab_with_role(options(version, LogFormat::Terse, true)).await?;
    let (stale, _caller) = media::stale(&lab).await?;
    for config in &readers(&lab)? {
        let case = expect(config, "json", &ids(&stale), "media-stale-device", Proven).await?;
        assert!(case.reply.plain.contains("3 messages"), "{}", case.reply.plain);
        let blind = Config { database: None, ..config.clone() };
        expect(&blind, "json-blind", &ids(&stale), "media-stale-device", Proven).await?;
    }
    drop(lab);
    let lab = lab_with_role(options(version, LogFormat::Precise, true)).await?;
    let (stale, _caller) = media::stale(&lab).await?;
    let config = config(&lab, true);
    expect(&config, "text", &ids(&stale), "media-stale-device", Consistent).await?;
    // Logged in again under the same device id: what was dropped is past, and says why it failed then.
    let name = stale.user.trim_start_matches('@').split(':').next().context("a name")?;
    let back = lab.login(name, Some(&stale.device)).await?;
    let store = lab.scratch().join("store-back");
    kestrel_lab::Device::open(&lab, &back, &store).await?.sync().await?;
    lab.log_written().await?;
    let case = expect(&config, "back", &ids(&stale), "media-stale-device", Consistent).await?;
    assert!(case.reply.plain.contains("came back at"), "{}", case.reply.plain);
    Ok(())
}

async fn each_client(version: &str) -> Result<()> {
    let lab = lab_with_role(options(version, LogFormat::Precise, false)).await?;
    let evicted = faults::evict(&lab).await?;
    let (away, caller) = media::undrained(&lab).await?;
    let (online, _caller) = media::online(&lab).await?;
    lab.log_written().await?;
    let config = config(&lab, true);
    let own = ids(&evicted);
    let cases = [
        ("lacks-key", &own, Sign::MissingOneTimeKey, "media-link-ke1"),
        ("wedged", &own, Sign::Wedged, "media-link-ke1"),
        ("no-part", &own, Sign::NoCiphertextForUs, "media-dead-identity"),
        ("refused", &ids(&online), Sign::SenderKeysRefused, "media-validation"),
        ("healthy", &ids(&away), Sign::MissingMediaKey, "media-validation"),
        ("silent", &ids(&online), Sign::MediaKeyDecrypted, "media-sfu"),
    ];
    for (cause, subject, sign, verdict) in cases {
        let start = Instant::now();
        let client = report(Some(subject), &[(sign, 4)]);
        let case = answered(&config, &asked(subject, None, None)?, &client).await?;
        shown(&case, cause, start, (verdict, Consistent))?;
    }
    let start = Instant::now();
    let sender = (away.peer.user_id.clone(), away.peer.device_id.clone());
    let client = report(Some(&sender), &[(Sign::NoTargets, 2)]);
    let question = asked(&ids(&online), Some(&sender.0), None)?;
    let case = answered(&config, &question, &client).await?;
    shown(&case, "no-targets", start, ("media-sender", Consistent))?;
    // Another device's report says nothing of this one.
    let client = report(Some(&sender), &[(Sign::MediaKeyDecrypted, 4)]);
    let case = answered(&config, &asked(&ids(&online), None, None)?, &client).await?;
    assert_eq!(crate::verdict(&case).id.name(), "inconclusive");
    drop(caller);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_call_gets_its_verdict() -> Result<()> {
    each_call(kestrel_lab::DEFAULT_SYNAPSE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_call_gets_its_verdict_on_the_newest() -> Result<()> {
    each_call(NEWEST).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_drop_gets_its_verdict() -> Result<()> {
    each_drop(kestrel_lab::DEFAULT_SYNAPSE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_drop_gets_its_verdict_on_the_newest() -> Result<()> {
    each_drop(NEWEST).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_client_gets_its_verdict() -> Result<()> {
    each_client(kestrel_lab::DEFAULT_SYNAPSE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_live_watch_sees_an_online_device() -> Result<()> {
    // They take three seconds of the watch. A busy machine has the rest of it to send and to fetch them.
    const SENT: u64 = 30;
    let lab =
        lab_with_role(options(kestrel_lab::DEFAULT_SYNAPSE, LogFormat::Precise, false)).await?;
    let (online, caller) = media::online(&lab).await?;
    for config in &readers(&lab)? {
        let flow = Flow::new(Arc::new(config.clone()));
        let question = asked(&ids(&online), None, Some(Duration::from_secs(25)))?;
        assert!(flow.announcement(&question).is_some_and(|note| note.plain.contains("for 25 s")));
        let sending = tokio::spawn({
            let caller = caller.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                caller.send(SENT, Duration::from_millis(100)).await
            }
        });
        let second = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(flow.announcement(&question).is_none());
            flow.answer(&question, Timestamp::now()).await
        };
        let (first, second) = tokio::join!(flow.answer(&question, Timestamp::now()), second);
        sending.await??;
        let Answer::Words(refused) = second else { panic!("two watches ran") };
        assert!(refused.plain.contains("Another live watch"), "{}", refused.plain);
        let Answer::Case(case) = first else { panic!("no case") };
        let seen = inbox(&case)?;
        let live = seen.live.context("not watched")?;
        println!(
            "live watch: {} of {SENT} seen, {} looks; {} still wait",
            seen.rows.len(),
            live.polls,
            seen.pending
        );
        println!("{}", case.reply.plain);
        assert!(seen.rows.len() as u64 > SENT / 2, "{}", case.reply.plain);
        assert!(case.evidence.window.to >= live.to);
        shown(&case, "live", Instant::now(), ("inconclusive", NotEnoughEvidence))?;
        assert!(case.reply.plain.contains("for its own identity"), "{}", case.reply.plain);
    }
    Ok(())
}

/// Bodies that no client of ours writes: the function and the reader in Rust say the same of each.
#[tokio::test(flavor = "multi_thread")]
async fn lab_both_readers_see_the_same_shapes() -> Result<()> {
    let lab = lab_with_role(LabOptions::default()).await?;
    let device = "A \"b' (msgid x)/$1\n--";
    let owner = lab.register_on(&lab.fresh_name("odd"), Some(device)).await?;
    let sender = lab.register(&lab.fresh_name("sender")).await?;
    let many: Map<_, _> =
        (0..40).map(|at| (format!("{at:02}{}", "k".repeat(90)), json!(1))).collect();
    let key = "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng";
    let bodies = [
        json!({}),
        json!({"algorithm": 5, "ciphertext": [1, 2]}),
        json!({"algorithm": null, "ciphertext": null}),
        json!({"algorithm": "a\u{0}b".repeat(50), "ciphertext": {"k\u{0}ey": {}}}),
        json!({"algorithm": "m.olm.v1.curve25519-aes-sha2", "ciphertext": {key: {"body": "SECRET"}}}),
        json!({"algorithm": "'; DROP TABLE devices; --", "ciphertext": many}),
        json!({"ciphertext": {"é\u{2028}\"'": 1}, "type": "x", "sender": "@x:y"}),
    ];
    for (at, body) in bodies.iter().enumerate() {
        let path = format!("/_matrix/client/v3/sendToDevice/m.room.encrypted/{at}");
        let body = json!({"messages": {&owner.user_id: {device: body}}});
        lab.wire().put(&path, Some(&sender.access_token), body).await?;
    }
    let subject = (owner.user_id.clone(), device.to_owned());
    let mut seen = Vec::new();
    for config in &readers(&lab)? {
        let case = answered(config, &asked(&subject, None, None)?, &[]).await?;
        let rows = &inbox(&case)?.rows;
        assert_eq!(rows.len(), bodies.len());
        assert!(!serde_json::to_string(&case.evidence)?.contains("SECRET"));
        seen.push(format!("{rows:#?}"));
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].contains(key));
    Ok(())
}

/// Prints the plans over a million rows: `cargo test --test it -- lab_a_million --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn lab_a_million_rows_are_read_by_index() -> Result<()> {
    const MINE: &str = "user_id = '@u500:lab.local' AND device_id = 'D1'";
    let lab = lab_with_role(LabOptions::default()).await?;
    lab.sql(
        "INSERT INTO device_inbox (user_id, device_id, stream_id, message_json, instance_name) \
         SELECT '@u' || (n % 1000) || ':lab.local', 'D' || (n / 1000 % 5), n, \
           '{\"content\":{\"algorithm\":\"m.olm.v1.curve25519-aes-sha2\",\"ciphertext\":{\"k\":{\"body\":\"' || repeat('x', 900) || '\"}}},\"type\":\"m.room.encrypted\",\"sender\":\"@a:lab.local\"}', 'master' \
         FROM generate_series(1, 1000000) AS n; \
         INSERT INTO device_inbox (user_id, device_id, stream_id, message_json, instance_name) \
         SELECT '@flood:lab.local', 'D', n, '{}', 'master' FROM generate_series(1000001, 1200000) AS n; \
         ANALYZE device_inbox",
    )
    .await?;
    let (client, connection) =
        tokio_postgres::connect(&lab.database_url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for statement in [
        format!("SELECT count(*) FROM (SELECT 1 FROM device_inbox WHERE {MINE} LIMIT 1001) AS bounded"),
        format!("SELECT max(stream_id) FROM device_inbox WHERE {MINE}"),
        format!("SELECT stream_id, message_json FROM device_inbox WHERE {MINE} AND stream_id > 0 ORDER BY stream_id LIMIT 200"),
        format!("SELECT stream_id, message_json FROM device_inbox WHERE {MINE} AND stream_id > 999000 ORDER BY stream_id LIMIT 100"),
        format!("SELECT (SELECT count(*) FROM (SELECT 1 FROM device_inbox WHERE {MINE} AND stream_id > 500000 LIMIT 1001) AS bounded), EXISTS (SELECT FROM device_inbox WHERE {MINE} AND stream_id = 501500)"),
        "SELECT * FROM kestrel.inbox_shape('@u500:lab.local', 'D1', 0, 200)".into(),
        "SELECT * FROM kestrel.inbox_shape('@u500:lab.local', 'D1', 999000, 100)".into(),
        "SELECT count(*) FROM (SELECT 1 FROM device_inbox WHERE user_id = '@flood:lab.local' AND device_id = 'D' LIMIT 1001) AS bounded".into(),
        "SELECT * FROM kestrel.inbox_shape('@flood:lab.local', 'D', 0, 200)".into(),
        "SELECT stream_id, message_json FROM device_inbox WHERE user_id = '@flood:lab.local' AND device_id = 'D' AND stream_id > 0 ORDER BY stream_id LIMIT 200".into(),
        "SELECT EXISTS (SELECT FROM dehydrated_devices WHERE user_id = '@u500:lab.local' AND device_id = 'D1')".into(),
    ] {
        println!("\n{statement}");
        for _ in 0..2 {
            client.query(&statement, &[]).await?;
        }
        for row in client.query(&format!("EXPLAIN (ANALYZE, BUFFERS) {statement}"), &[]).await? {
            let line: String = row.get(0);
            println!("  {line}");
            assert!(!line.contains("Seq Scan on device_inbox"), "{statement}");
        }
    }
    Ok(())
}
