//! Kestrel on a real streaming replica: what it proves while that keeps up, and what it does not once its replay
//! is paused or its connection is cut.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kestrel::config::{Config, Database};
use kestrel::flow::{Answer, Case, Cure, Depth, Flow};
use kestrel_core::diagnose::Certainty::{Consistent, NotEnoughEvidence, Proven};
use kestrel_core::diagnose::diagnose;
use kestrel_core::evidence::client::{ClientFacts, Noted, Sign};
use kestrel_core::evidence::{Evidence, Gathered, Need, State};
use kestrel_core::question::Topic;
use kestrel_core::storm::{Change, Confirmation, Event, StormKind, Whose};
use kestrel_lab::{LabOptions, faults};

use crate::verdicts::{ROLE, answer, config, judge, lab_with_role};

const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until the answer is as wanted; the last answer is in the error.
async fn until<F>(ask: impl Fn() -> F, wanted: impl Fn(&Case) -> bool) -> Result<Case>
where
    F: Future<Output = Result<Case>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let case = ask().await?;
        if wanted(&case) {
            return Ok(case);
        }
        ensure!(Instant::now() < deadline, "it never came to that:\n{}", case.reply.plain);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is(case: &Case) -> (&'static str, kestrel_core::diagnose::Certainty) {
    (crate::verdict(case).id.name(), crate::verdict(case).certainty)
}

/// The evidence as it would be if nobody had asked how far the replica is.
fn unasked(evidence: &Evidence) -> Evidence {
    let mut evidence = evidence.clone();
    evidence.gathered.retain(|answer| answer.need != Need::Replica);
    let empty = evidence.gathered.iter_mut().filter(|answer| {
        answer.source == "database" && answer.fact.is_none() && answer.need.is_of_database()
    });
    empty.for_each(|answer| answer.state = State::Empty);
    evidence
}

fn storm(user: &str, device: &str, first: Timestamp) -> Event {
    Event {
        at: first,
        storm: 1,
        change: Change::Started,
        kind: StormKind::OtkConflict,
        whose: Whose::Device { user: user.try_into().expect("a user ID"), device: device.into() },
        trigger: "signed_curve25519:AAAAAAAAAA0".into(),
        count: 9,
        devices: 1,
        first,
        last: first,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_replica_that_is_behind_denies_no_device() -> Result<()> {
    let lab = lab_with_role(LabOptions { replica: true, ..LabOptions::default() }).await?;
    let replica = lab.replica()?;
    let mut dead = faults::evict(&lab).await?;
    dead.rest();
    let healthy = faults::healthy(&lab).await?;
    lab.log_written().await?;
    replica.caught_up().await?;
    let primary = config(&lab, true);
    let url = replica.url_as(ROLE).parse()?;
    let copy = Config { database: Some(Database::new(url)), ..primary.clone() };
    let now = Timestamp::now;

    // A replica that keeps up proves what a primary does; the role of the grants sees that it does.
    let nobody = (healthy.user.clone(), "NOBODY".to_owned());
    let current = |case: &Case| case.evidence.database_behind().is_none();
    let case = until(|| judge(&copy, &nobody), current).await?;
    assert_eq!(is(&case), ("unknown-device", Proven), "{}", case.reply.plain);
    assert!(case.evidence.replica().is_some(), "a primary was asked");
    let own = (healthy.user.clone(), healthy.device.clone());
    let case = until(|| judge(&copy, &own), current).await?;
    assert_eq!(is(&case), ("otk-healthy", Consistent), "{}", case.reply.plain);
    // A device that the log shows for a moment only may be late; one that it shows for longer is made up.
    let judged = |config: &Config, ids: &(String, String), first: Timestamp| {
        let (flow, event) = (Flow::new(Arc::new(config.clone())), storm(&ids.0, &ids.1, first));
        async move { flow.judge_storm(&event, now(), Depth::Keys).await }
    };
    let first = now();
    let young = judged(&primary, &nobody, first).await;
    assert!(matches!(young.sure, Confirmation::Unconfirmed(_)), "{:?}", young.sure);
    assert_eq!(young.again, first.checked_add(SignedDuration::from_mins(1)).ok());
    let old = judged(&primary, &nobody, now() - SignedDuration::from_mins(2)).await;
    assert!(
        matches!(old.sure, Confirmation::Contradicted(_)) && old.again.is_none(),
        "{:?}",
        old.sure
    );

    replica.pause().await?;
    let late = lab.register("late").await?;
    let late = (late.user_id, late.device_id);
    let behind = |case: &Case| case.evidence.database_behind().is_some();
    let case = until(|| judge(&copy, &late), behind).await?;
    println!("{}\n", case.reply.plain);
    let before = diagnose(&unasked(&case.evidence));
    assert_eq!((before.id.name(), before.certainty), ("unknown-device", Proven), "no fault");
    assert_eq!(is(&case), ("inconclusive", NotEnoughEvidence), "{}", case.reply.plain);
    assert!(case.reply.plain.contains("replay is paused"), "{}", case.reply.plain);
    assert!(case.reply.plain.contains("to the primary"), "{}", case.reply.plain);
    let alert = judged(&copy, &late, now() - SignedDuration::from_mins(2)).await;
    let Confirmation::Unconfirmed(why) = &alert.sure else { panic!("{:?}", alert.sure) };
    assert!(why.contains("replica"), "{why}");
    let flow = Flow::new(Arc::new(copy.clone()));
    let everybody = crate::verdicts::over_default_window(Topic::Fleet);
    let Answer::Survey(survey) = flow.answer(&everybody, now()).await else {
        anyhow::bail!("no survey")
    };
    assert!(survey.reply.plain.contains("replay is paused"), "{}", survey.reply.plain);
    // Nor is a device healthy by what it was then.
    let case = judge(&copy, &own).await?;
    assert_eq!(is(&case), ("inconclusive", NotEnoughEvidence), "{}", case.reply.plain);

    replica.resume().await?;
    replica.caught_up().await?;
    let case = until(|| judge(&copy, &late), current).await?;
    assert_eq!(is(&case), ("keyless-device", Proven), "{}", case.reply.plain);

    // A role that may not call the function sees the last transaction alone, and everything else is read.
    lab.sql("DROP FUNCTION kestrel.wal_receiver()").await?;
    replica.caught_up().await?;
    let case = judge(&copy, &late).await?;
    assert!(case.evidence.replica().is_some_and(|replica| replica.to.is_some()));

    // By its log positions alone it has all that it received.
    replica.cut_off().await?;
    let later = lab.register("later").await?;
    let later = (later.user_id, later.device_id);
    let case = until(|| judge(&copy, &later), behind).await?;
    assert_eq!(is(&case), ("inconclusive", NotEnoughEvidence), "{}", case.reply.plain);
    assert!(case.reply.plain.contains("without a connection"), "{}", case.reply.plain);
    // What it has it still proves.
    let case = judge(&copy, &(dead.user.clone(), dead.device.clone())).await?;
    println!("{}\n", case.reply.plain);
    assert_eq!(is(&case), ("otk-recreated", Proven), "{}", case.reply.plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_leftover_session_is_not_judged_for_the_user_s_devices() -> Result<()> {
    let lab = lab_with_role(LabOptions::default()).await?;
    let config = config(&lab, true);
    let mut patient = faults::evict(&lab).await?;
    patient.rest();
    let localpart = patient.user.trim_start_matches('@').split(':').next().unwrap_or_default();
    // A login without a client, seen later than the device in trouble.
    let leftover = lab.login(localpart, Some("LEFTOVER")).await?;
    assert_eq!(leftover.user_id, patient.user);
    lab.log_written().await?;
    let user: ruma::OwnedUserId = patient.user.as_str().try_into()?;
    let topic = Topic::All { user: user.clone(), device: None, event: None };
    let question = crate::verdicts::over_default_window(topic);
    let case = answer(&config, question.clone()).await?;
    println!("{}\n", case.reply.plain);
    let judged = |case: &Case| case.evidence.device().map(|subject| subject.device.to_string());
    assert_eq!(judged(&case), Some(patient.device.clone()));
    assert_eq!(is(&case), ("otk-recreated", Proven), "{}", case.reply.plain);
    let who = case.reply.plain.lines().nth(1).unwrap_or_default();
    assert!(who.contains(&patient.device), "{who}");
    assert!(case.reply.plain.contains("1 session without encryption keys"), "{}", case.reply.plain);

    // A report that names no device is held against the device with keys too.
    let noted = Noted { sign: Sign::AlreadyExists, count: 5, span: None, key: None };
    let user_id = Some(patient.user.clone());
    let facts = ClientFacts { user: user_id, signs: vec![noted], ..ClientFacts::default() };
    let (flow, client) = (Flow::new(Arc::new(config.clone())), [Gathered::client("r", facts)]);
    let said = flow.answer_with(&question, &client, Timestamp::now()).await;
    let Answer::Case(case) = said else { anyhow::bail!("no verdict: {said:?}") };
    assert_eq!(judged(&case), Some(patient.device.clone()));

    // Once the device is signed out, the same question says so, and that this is the cure.
    let again = kestrel::flow::rerun(&case.evidence).context("it cannot be asked again")?;
    let delete = format!("DELETE FROM devices WHERE device_id = '{}';", patient.device);
    for table in ["e2e_device_keys_json", "e2e_one_time_keys_json", "e2e_fallback_keys_json"] {
        lab.sql(&format!("DELETE FROM {table} WHERE device_id = '{}'", patient.device)).await?;
    }
    lab.sql(&delete).await?;
    let later = answer(&config, again).await?;
    let changed = kestrel::flow::what_changed(&case.evidence, (&later.evidence, &later.judgement));
    println!("{changed:#?}\n");
    assert_eq!(changed[0], "the device was signed out after that; that resolves it");
    assert_eq!(crate::verdict(&later).id.name(), "unknown-device", "{}", later.reply.plain);
    let ended =
        Event { change: Change::Ended, ..storm(&patient.user, &patient.device, first_of(&case)) };
    let end = flow.judge_storm(&ended, Timestamp::now(), Depth::Keys).await.of_known();
    assert_eq!((end.sure, end.cure), (Confirmation::Confirmed, Cure::SignedOut));
    Ok(())
}

/// A moment long enough ago for the database to deny what happened then.
fn first_of(case: &Case) -> Timestamp {
    case.evidence.now - SignedDuration::from_mins(5)
}
