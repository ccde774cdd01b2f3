//! The storm watch as the ops room lives it: real storms of real clients, the real program, and what an
//! admin's client decrypts without having asked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel::store::{Due, Ledger, Step};
use kestrel_core::storm::{Change, Event, StormKind, Whose};
use kestrel_lab::calls::{Member, fresh_address};
use kestrel_lab::faults::{evict, healthy};
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Lab, LabOptions, Patient};
use serde_json::{Map, json};
use tokio::task::JoinSet;

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for a message that should not come.
const SILENCE: Duration = Duration::from_secs(6);
/// A storm is over after ten quiet seconds here, not minutes.
const WATCH: &str = "[watch]\nquiet = \"10s\"\n";

/// A lab with an ops room and the bot in it.
async fn watched() -> Result<(Lab, OpsRoom, Bot)> {
    watched_with(LabOptions::default()).await
}

async fn watched_with(options: LabOptions) -> Result<(Lab, OpsRoom, Bot)> {
    let lab = Lab::start(options).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, WATCH).await?;
    Ok((lab, ops, bot))
}

/// The first messages of storms, as they read now.
async fn roots(ops: &OpsRoom, bot: &Bot, patience: Duration) -> Result<Vec<Message>> {
    let said = ops.notices(patience).await?;
    Ok(said
        .into_iter()
        .filter(|message| message.sender == bot.user_id && message.plain.contains("Storm "))
        .collect())
}

/// Waits for the one root of a patient's storm.
async fn root_of(ops: &OpsRoom, bot: &Bot, patient: &Patient) -> Result<Message> {
    telling(ops, bot, &patient.device).await
}

/// Waits for a message in a thread that holds these words.
pub(crate) async fn told(ops: &OpsRoom, root: &Message, words: &str) -> Result<Message> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = ops.thread(&root.event_id, Duration::from_secs(2)).await?;
        if let Some(found) = thread.iter().find(|message| message.plain.contains(words)) {
            return Ok(found.clone());
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {thread:#?}");
    }
}

/// How many uploads an alert counts, from its first line: "… · 62 in 2 min".
fn counted(message: &Message) -> Result<usize> {
    let line = message.plain.lines().next().unwrap_or_default();
    let last = line.rsplit(" · ").next().unwrap_or_default();
    let count = last.split(' ').next().unwrap_or_default();
    count.parse().with_context(|| format!("no count in {line:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_storm_is_posted_judged_and_ended_by_itself() -> Result<()> {
    let (lab, ops, bot) = watched().await?;
    let stranger = ops.bring(&lab, "stranger").await?;
    let mut patient = evict(&lab).await?;
    let root = root_of(&ops, &bot, &patient).await?;
    println!("{}\n", root.plain);
    // It rings: a notice would not.
    assert_eq!(root.kind, "m.text");
    let admin = &ops.admin().account.user_id;
    assert_eq!(root.content["m.mentions"]["user_ids"][0], admin.as_str());
    assert!(root.plain.contains("Storm 1 · one-time key uploads rejected · "), "{}", root.plain);
    assert!(root.plain.contains("Proven · KE-1"), "{}", root.plain);
    assert!(!root.plain.contains("nconfirmed"), "{}", root.plain);
    let picture = told(&ops, &root, "Rejected uploads").await?;
    assert_eq!(picture.kind, "m.image");
    println!("{}\n", picture.plain);
    let png = ops.download(&picture).await?;
    assert_eq!(png.get(1..4), Some(&b"PNG"[..]));
    let buttons = ops.reactions(&root.event_id, PATIENCE).await?;
    let own = buttons.iter().filter(|(sender, _)| *sender == bot.user_id);
    let own: Vec<_> = own.map(|(_, key)| key.as_str()).collect();
    assert_eq!(own, ["🔁", "❓", "🔕"]);

    let before = ops.thread(&root.event_id, SILENCE).await?.len();
    stranger.react(&root.event_id, "🔁").await?;
    stranger.react(&root.event_id, "🔕").await?;
    let after = ops.thread(&root.event_id, SILENCE).await?.len();
    assert_eq!(after, before, "a stranger's reaction was answered");
    ops.react(&root.event_id, "🔁").await?;
    told(&ops, &root, "Triage · ").await?;
    ops.react(&root.event_id, "❓").await?;
    told(&ops, &root, "SELECT algorithm, key_id").await?;
    let listed = ops.ask("!storms").await?;
    let listed = ops.thread(&listed, PATIENCE).await?;
    assert!(listed[0].plain.contains("1 ongoing storm"), "{}", listed[0].plain);

    patient.heal(&lab).await?;
    let clear = told(&ops, &root, "Storm 1 · stopped").await?;
    println!("{}\n", clear.plain);
    patient.rest();
    lab.log_written().await?;
    assert_eq!(counted(&clear)?, patient.refusals(&lab)?, "{}", clear.plain);
    assert!(clear.plain.contains("Not fixed: "), "{}", clear.plain);
    assert!(clear.plain.contains("identity was replaced"), "{}", clear.plain);
    let all = roots(&ops, &bot, Duration::from_secs(2)).await?;
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].plain.contains("Storm 1 · stopped"), "{}", all[0].plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_twenty_kills_make_one_root_and_no_wrong_count() -> Result<()> {
    let (lab, ops, mut bot) = watched().await?;
    let mut patient = evict(&lab).await?;
    for round in 0..20u64 {
        // Spread over everything the program does between its start and a quiet minute.
        tokio::time::sleep(Duration::from_millis(150 + (round * 617) % 2900)).await;
        bot.kill()?;
        bot.run()?;
    }
    let root = root_of(&ops, &bot, &patient).await?;
    patient.heal(&lab).await?;
    let clear = told(&ops, &root, "Storm 1 · stopped").await?;
    patient.rest();
    lab.log_written().await?;
    let refused = patient.refusals(&lab)?;
    println!("{refused} refusals, {}", clear.plain.lines().next().unwrap_or_default());
    assert_eq!(counted(&clear)?, refused, "{}", clear.plain);
    let thread = ops.thread(&root.event_id, SILENCE).await?;
    let count = |words: &str| thread.iter().filter(|said| said.plain.contains(words)).count();
    assert_eq!(count("Storm 1 · stopped"), 1, "{thread:#?}");
    assert_eq!(count("Rejected uploads"), 1, "{thread:#?}");
    assert_eq!(roots(&ops, &bot, Duration::from_secs(2)).await?.len(), 1);
    let buttons = ops.reactions(&root.event_id, Duration::from_secs(2)).await?;
    assert_eq!(buttons.len(), 3, "{buttons:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_what_is_due_while_the_homeserver_is_down_is_sent_once() -> Result<()> {
    let (lab, ops, mut bot) = watched().await?;
    let mut patient = evict(&lab).await?;
    // It lets a storm grow for five seconds before it judges it.
    lab.stop_synapse().await?;
    patient.rest();
    tokio::time::sleep(Duration::from_secs(12)).await;
    bot.kill()?;
    bot.run()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    lab.restart_synapse().await?;
    let root = root_of(&ops, &bot, &patient).await?;
    told(&ops, &root, "Storm 1 · stopped").await?;
    assert_eq!(roots(&ops, &bot, SILENCE).await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_crowd_is_one_alert_and_a_forged_storm_is_none() -> Result<()> {
    let limit = json!({"per_second": 1, "burst_count": 5});
    let config = Map::from_iter([("rc_delayed_event_mgmt".to_owned(), limit)]);
    let (lab, ops, bot) = watched_with(LabOptions { config, ..LabOptions::default() }).await?;
    let member = Member::join(&lab, "caller", &fresh_address(), 600_000).await?;
    let mut limited = 0;
    while limited < 6 {
        limited += usize::from(member.act("restart").await? == 429);
    }
    let root = telling(&ops, &bot, "delayed events rate-limited (429)").await?;
    println!("{}\n", root.plain);
    assert!(root.plain.contains("delay-rate-limited"), "{}", root.plain);
    assert!(!root.plain.contains(&member.address), "the address stands in full: {}", root.plain);
    println!("{}\n", told(&ops, &root, "Answers 429").await?.plain);

    let lab = Arc::new(lab);
    let mut falling = JoinSet::new();
    for _ in 0..12 {
        let lab = Arc::clone(&lab);
        falling.spawn(async move { evict(&lab).await });
    }
    let patients: Vec<_> = falling.join_all().await.into_iter().collect::<Result<_>>()?;
    let root = telling(&ops, &bot, "devices since").await?;
    println!("{}\n", root.plain);
    assert!(root.plain.contains("restored database or client release?"), "{}", root.plain);
    assert!(!root.plain.contains("nconfirmed"), "{}", root.plain);
    println!("{}\n", told(&ops, &root, "Devices affected").await?.plain);
    let all = roots(&ops, &bot, SILENCE).await?;
    let alone =
        all.iter().filter(|root| root.plain.contains("one-time key uploads rejected · @")).count();
    assert!(alone <= 3, "{alone} of {} were told one by one: {all:#?}", patients.len());
    drop(patients);

    let victim = healthy(&lab).await?;
    kestrel_lab::faults::forged_storm(&lab, &victim.user, &victim.device).await?;
    tokio::time::sleep(SILENCE * 2).await;
    let all = roots(&ops, &bot, Duration::from_secs(2)).await?;
    assert!(all.iter().all(|root| !root.plain.contains(&victim.device)), "{all:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_what_is_muted_is_counted_and_told_when_the_mute_ends() -> Result<()> {
    let (lab, ops, bot) = watched().await?;
    let muted = ops.ask("!mute all 1h").await?;
    let muted = ops.thread(&muted, PATIENCE).await?;
    assert!(muted[0].plain.contains("all storms"), "{}", muted[0].plain);
    let patient = evict(&lab).await?;
    assert!(roots(&ops, &bot, SILENCE * 2).await?.is_empty(), "a muted storm was told");
    let listed = ops.ask("!storms").await?;
    let listed = ops.thread(&listed, PATIENCE).await?;
    assert!(listed[0].plain.contains(&patient.device), "{}", listed[0].plain);
    assert!(listed[0].plain.contains("Muted: all storms"), "{}", listed[0].plain);
    // On a terminal, beside the running bot.
    let config = bot.config_path().display().to_string();
    bot.command(&["unmute", "--config", &config])?;
    let root = root_of(&ops, &bot, &patient).await?;
    assert!(root.plain.contains("Storm 1 · "), "{}", root.plain);

    // An alert that the database contradicts wakes nobody, and is not lost either.
    let first = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(2);
    let user = format!("@nobody:{}", lab.server_name());
    let made_up = Event {
        at: first,
        storm: 7,
        change: Change::Started,
        kind: StormKind::OtkConflict,
        whose: Whose::Device {
            user: user.as_str().try_into().expect("a user ID"),
            device: "MADEUP".into(),
        },
        trigger: "signed_curve25519:AAAAAAAAAA0".into(),
        count: 9,
        devices: 1,
        first,
        last: first,
    };
    owe(&lab, &[made_up])?;
    let deadline = Instant::now() + PATIENCE;
    let listed = loop {
        let listed = ops.ask("!storms").await?;
        let listed = ops.thread(&listed, PATIENCE).await?;
        if listed[0].plain.contains("Alerts not sent:") {
            break listed[0].plain.clone();
        }
        ensure!(Instant::now() < deadline, "it is not listed: {}", listed[0].plain);
    };
    println!("{listed}\n");
    let line = listed.lines().find(|line| line.contains("MADEUP")).context("no such line")?;
    assert!(line.contains(&user) && line.contains("has no such device"), "{line}");
    let all = roots(&ops, &bot, Duration::from_secs(2)).await?;
    assert!(all.iter().all(|root| !root.plain.contains("MADEUP")), "{all:#?}");
    Ok(())
}

/// Writes what is due about a storm into the ledger of a running bot, as its watch does.
fn owe(lab: &Lab, events: &[Event]) -> Result<()> {
    let ledger = Ledger::open(&lab.scratch().join("bot/store"))?;
    let owed: Vec<_> = events.iter().cloned().map(Due::Storm).collect();
    ledger.record(&Step { storms: events, owed: &owed, ..Step::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_storm_has_one_root_in_whatever_order_it_is_told() -> Result<()> {
    let (lab, ops, bot) = watched().await?;
    let (started, cause, ended) = (Change::Started, Change::Cause, Change::Ended);
    let orders = [
        vec![started, cause],
        vec![started, cause, ended],
        vec![cause, started],
        vec![started, started, ended],
    ];
    for (number, order) in (1..).zip(&orders) {
        let at = jiff::Timestamp::now();
        let event = |change: &Change| Event {
            at,
            storm: number,
            change: *change,
            kind: StormKind::Delay,
            whose: Whose::Address(format!("203.0.{number}.7")),
            trigger: "limited".into(),
            count: 6,
            devices: 1,
            first: at,
            last: at,
        };
        owe(&lab, &order.iter().map(event).collect::<Vec<_>>())?;
    }
    for number in 1..=orders.len() {
        telling(&ops, &bot, &format!("Storm {number} · ")).await?;
    }
    let all = roots(&ops, &bot, SILENCE).await?;
    let firsts: Vec<_> = all.iter().map(|root| root.first_said.lines().next()).collect();
    assert_eq!(all.len(), orders.len(), "{firsts:#?}");
    for (root, order) in all.iter().zip(&orders) {
        if order.contains(&ended) {
            told(&ops, root, "Observed: ").await?;
        }
        let own = ops.reactions(&root.event_id, Duration::from_secs(2)).await?;
        assert_eq!(own.len(), 3, "{own:?} under {}", root.plain);
    }
    Ok(())
}

/// Waits until so many messages of the bot's hold these words.
async fn said(ops: &OpsRoom, bot: &Bot, words: &str, times: usize) -> Result<Vec<Message>> {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let all = roots(ops, bot, Duration::from_secs(2)).await?;
        let found: Vec<_> = all.iter().filter(|said| said.plain.contains(words)).cloned().collect();
        if found.len() >= times {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {all:#?}: {}", bot.last_words());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_ledger_that_cannot_be_written_is_told_once_and_counting_goes_on() -> Result<()> {
    let (lab, ops, bot) = watched().await?;
    // Another process holds it, as long as it likes: the ledger fails as it does on a full disk.
    let mut held = rusqlite::Connection::open(lab.scratch().join("bot/store/ledger.sqlite"))?;
    let held = held.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let patient = evict(&lab).await?;
    let begins = said(&ops, &bot, "Storm alerts have been on hold since ", 1).await?;
    println!("{}\n", begins[0].plain);
    assert_eq!(begins[0].kind, "m.notice");
    assert!(begins[0].plain.contains("locked by another process"), "{}", begins[0].plain);
    let before = roots(&ops, &bot, SILENCE * 2).await?;
    assert_eq!(before.len(), 1, "{before:#?}");
    held.rollback()?;
    let over = said(&ops, &bot, "Storm alerts resumed: ", 1).await?;
    println!("{}\n", over[0].plain);
    let root = root_of(&ops, &bot, &patient).await?;
    assert!(root.plain.contains("Storm 1 · "), "{}", root.plain);
    let all = roots(&ops, &bot, SILENCE).await?;
    assert_eq!(all.len(), 3, "{all:#?}");
    let log = std::fs::read_to_string(bot.log_path())?;
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("the storm watch cannot write the ledger"), 1, "{log}");
    assert_eq!(lines("the storm watch can write the ledger again"), 1, "{log}");
    Ok(())
}

/// Waits for the root that holds these words.
pub(crate) async fn telling(ops: &OpsRoom, bot: &Bot, words: &str) -> Result<Message> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = roots(ops, bot, Duration::from_secs(2)).await?;
        if let Some(root) = all.iter().find(|root| root.plain.contains(words)) {
            return Ok(root.clone());
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {all:#?}: {}", bot.last_words());
    }
}
