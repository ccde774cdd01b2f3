//! Faults that no line of a log shows, on a real Synapse with real clients → found by slow looks at the
//! database, under the role of `kestrel grants`: one storm for each, and none for anybody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kestrel::config::{Config, Database};
use kestrel::flow::{Cure, Cursor, Depth, Flow, Poll};
use kestrel_core::evidence::storm_thresholds::Thresholds;
use kestrel_core::render::{self, View};
use kestrel_core::storm::{Change, Confirmation, Event, StormKind, StormWatch, Whose};
use kestrel_lab::{Fault, Lab, LabOptions, Patient, faults, media};
use serde_json::{Map, json};

use crate::verdicts::{NEWEST, config, lab_with_role};

/// What a caller sends between two looks.
const SENT: u64 = 40;

/// A watch and its looks.
struct Looking {
    flow: Flow,
    watch: StormWatch,
    cursor: Cursor,
}

impl Looking {
    fn new(config: &Config) -> Self {
        let flow = Flow::new(Arc::new(config.clone()));
        Self { flow, watch: StormWatch::new(Thresholds::default()), cursor: Cursor::default() }
    }

    /// One look, which has to be whole.
    async fn look(&mut self) -> Result<(Poll, Vec<Event>)> {
        let start = Instant::now();
        let poll = self.flow.poll(&mut self.cursor, Timestamp::now()).await;
        println!("{:.3} s: {}", start.elapsed().as_secs_f32(), poll.summary());
        anyhow::ensure!(poll.failed.is_none() && poll.ends(), "{}", poll.summary());
        let events = self.watch.polled(&poll);
        Ok((poll, events))
    }
}

fn whose(patient: &Patient) -> Whose {
    let user = patient.user.as_str().try_into().expect("a user ID");
    Whose::Device { user, device: patient.device.as_str().into() }
}

fn told(events: &[Event]) -> Vec<(StormKind, Change, Whose)> {
    events.iter().map(|event| (event.kind, event.change, event.whose.clone())).collect()
}

fn options(version: &str) -> LabOptions {
    let mut config = Map::new();
    config.insert("experimental_features".into(), json!({"msc3814_enabled": true}));
    LabOptions { synapse_version: version.into(), config, ..LabOptions::default() }
}

/// Synapse notes some seconds late that a device was seen.
async fn noted() {
    tokio::time::sleep(Duration::from_secs(7)).await;
}

async fn each_fault_is_a_storm(version: &str) -> Result<()> {
    let lab = lab_with_role(options(version)).await?;
    let _healthy = faults::healthy(&lab).await?;
    let old = Fault::Silent.cause(&lab).await?;
    let mut looking = Looking::new(&config(&lab, true));
    let (poll, events) = looking.look().await?;
    assert_eq!(poll.dead.len(), 1, "{}", old.device);
    assert!(events.is_empty(), "what is there before is old");

    let silent = Fault::Silent.cause(&lab).await?;
    let (asleep, sleeper) = media::dehydrated(&lab).await?;
    let (online, talker) = media::online(&lab).await?;
    let (away, caller) = media::undrained(&lab).await?;
    noted().await;
    let mut events = Vec::new();
    for _ in 0..4 {
        for caller in [&caller, &sleeper, &talker] {
            caller.send(SENT, Duration::ZERO).await?;
        }
        // It is there, and fetches nothing.
        let token = Some(away.account.access_token.as_str());
        lab.wire().get("/_matrix/client/v3/account/whoami", token).await?;
        let (poll, more) = looking.look().await?;
        let listed = poll.waiting.iter().flatten().map(|waiting| &waiting.of.device);
        assert!(!listed.into_iter().any(|device| *device == asleep.device), "it was never seen");
        events.extend(more);
    }
    let dead = (StormKind::DeadIdentity, Change::Started, whose(&silent));
    let backlog = (StormKind::Backlog, Change::Started, whose(&away));
    assert_eq!(told(&events), [dead, backlog], "online: {}", online.device);
    assert!(events[1].count > 3 * SENT, "{}", events[1].count);
    let drawn = looking.watch.timeline(events[1].storm).context("no timeline")?;
    assert_eq!(drawn.curves[0].name, "messages undelivered");

    lab.log_written().await?;
    let begun = judged(&looking.flow, &events).await?;
    assert_eq!(begun[0].0, "otk-recreated");
    assert_eq!(begun[1].0, "media-not-drained");
    assert!(begun[1].1.contains("growing to-device backlog"), "{}", begun[1].1);
    it_is_over(&lab, &mut looking, (silent, away)).await?;
    a_failing_database_is_no_alert(&lab, looking).await
}

/// The silent one is logged out, the other fetches its messages.
async fn it_is_over(
    lab: &Lab,
    looking: &mut Looking,
    (mut silent, away): (Patient, Patient),
) -> Result<()> {
    silent.rest();
    let token = Some(silent.account.access_token.as_str());
    lab.wire().post("/_matrix/client/v3/logout", token, json!({})).await?;
    let device = away.open(lab).await?;
    for _ in 0..4 {
        device.sync().await?;
    }
    device.close().await;
    let mut events = looking.look().await?.1;
    events.extend(looking.look().await?.1);
    let backlog = (StormKind::Backlog, Change::Ended, whose(&away));
    assert_eq!(told(&events), [backlog, (StormKind::DeadIdentity, Change::Ended, whose(&silent))]);
    let now = Timestamp::now();
    let fetched = looking.flow.judge_storm(&events[0], now, Depth::Full).await;
    assert_eq!((fetched.cure, fetched.sure), (Cure::Yes, Confirmation::Confirmed));
    let gone = looking.flow.judge_storm(&events[1], now, Depth::Full).await;
    assert_eq!(gone.cure, Cure::SignedOut, "{}", gone.verdict);
    assert!(looking.watch.going_on().is_empty());
    Ok(())
}

/// Verdict and first message of each.
async fn judged(flow: &Flow, events: &[Event]) -> Result<Vec<(&'static str, String)>> {
    let view = View::in_zone(jiff::tz::TimeZone::UTC);
    let mut all = Vec::new();
    for event in events {
        let judged = flow.judge_storm(event, Timestamp::now(), Depth::Full).await;
        assert_eq!(judged.sure, Confirmation::Confirmed, "{}", judged.verdict);
        let alert = render::storm::Alert {
            event,
            sure: &judged.sure,
            verdict: Some((judged.verdict.name(), judged.verdict.headline())),
            answer: judged.page,
            late: None,
            cured: render::storm::Cured::Unknown,
        };
        let plain = render::storm::root(&alert, &view).reply().plain;
        println!("{plain}\n");
        all.push((judged.verdict.name(), plain));
    }
    Ok(all)
}

/// No privilege on the inbox leaves the keys; no database leaves nothing; neither is an event.
async fn a_failing_database_is_no_alert(lab: &Lab, mut looking: Looking) -> Result<()> {
    lab.sql("REVOKE SELECT (user_id, device_id, stream_id) ON device_inbox FROM kestrel").await?;
    let poll = looking.flow.poll(&mut looking.cursor, Timestamp::now()).await;
    assert!(poll.waiting.is_none() && poll.ends() && poll.dead.len() == 1, "{}", poll.summary());
    assert!(poll.failed.as_deref().is_some_and(|why| why.contains("device_inbox")));
    assert!(looking.watch.polled(&poll).is_empty());
    lab.sql(
        "REVOKE ALL ON e2e_one_time_keys_json FROM kestrel; \
             REVOKE SELECT (user_id) ON e2e_one_time_keys_json FROM kestrel",
    )
    .await?;
    let poll = looking.flow.poll(&mut looking.cursor, Timestamp::now()).await;
    assert!(poll.covered.is_none() && poll.failed.is_some(), "{}", poll.summary());
    assert!(looking.watch.polled(&poll).is_empty());
    let mut lost = config(lab, true);
    lost.database = Some(Database::new("postgres://kestrel@127.0.0.1:9/synapse".parse()?));
    for config in [lost, config(lab, false)] {
        let mut blind = Looking::new(&config);
        let poll = blind.flow.poll(&mut blind.cursor, Timestamp::now()).await;
        println!("{}", poll.summary());
        assert!(poll.covered.is_none() && poll.failed.is_some());
        assert!(looking.watch.polled(&poll).is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_silent_fault_is_one_storm() -> Result<()> {
    each_fault_is_a_storm(kestrel_lab::DEFAULT_SYNAPSE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_silent_fault_is_one_storm_on_the_newest_synapse() -> Result<()> {
    each_fault_is_a_storm(NEWEST).await
}
