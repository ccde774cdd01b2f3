//! Real faults on a real homeserver → the right verdict with the right certainty, through the flow.
//!
//! With `KESTREL_RECORD=1` it writes the evidence of each case anew.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use kestrel::collect::postgres::grants;
use kestrel::config::{Config, Database, Limits, LogSource, Server};
use kestrel::flow::{Answer, Case, Cure, Depth, Flow};
use kestrel_core::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_core::evidence::removal::RemovedBy;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::storm::{Change, Confirmation, Event, StormKind, Whose};
use kestrel_lab::{Fault, Lab, LabOptions, LogFormat, cured, faults};

use crate::crafted;

/// The role that `kestrel grants` makes; the lab's PostgreSQL trusts the loopback.
pub const ROLE: &str = "kestrel";

/// The newest Synapse on PyPI, as `pip index versions matrix-synapse` told in November 2026. What holds on
/// the lab's own version has to hold here.
pub const NEWEST: &str = "1.163.2";

pub fn config(lab: &Lab, database: bool) -> Config {
    let url = lab.database_url_as(ROLE).parse().expect("a URL");
    Config {
        store: lab.scratch().join("store"),
        matrix: None,
        server: Server { name: Some(lab.server_name().try_into().expect("a server name")) },
        logs: vec![LogSource { name: "main".into(), path: lab.log_path().into(), timezone: None }],
        database: database.then_some(Database::new(url)),
        prometheus: None,
        watch: kestrel::config::Watch::default(),
        reports: kestrel::config::Reports::default(),
        cases: kestrel::config::Cases::default(),
        limits: Limits::default(),
    }
}

pub async fn judge(config: &Config, (user, device): &(String, String)) -> Result<Case> {
    let user = user.as_str().try_into()?;
    let device = Some(device.as_str().into());
    answer(config, over_default_window(Topic::Ke1 { user, device })).await
}

/// A question that names no window.
pub fn over_default_window(topic: Topic) -> Question {
    Question { topic, span: Span::Unsaid }
}

/// The case that a question comes to.
pub async fn answer(config: &Config, question: Question) -> Result<Case> {
    let flow = Flow::new(Arc::new(config.clone()));
    match flow.answer(&question, jiff::Timestamp::now()).await {
        Answer::Case(case) => Ok(*case),
        Answer::Words(reply) => anyhow::bail!("no verdict but words: {}", reply.plain),
        Answer::Survey(survey) => anyhow::bail!("a survey: {}", survey.reply.plain),
    }
}

/// Judges, prints a row of the table, and compares.
async fn expect(
    config: &Config,
    cause: &str,
    subject: &(String, String),
    verdict: &str,
    certainty: Certainty,
) -> Result<()> {
    let start = Instant::now();
    let case = judge(config, subject).await?;
    compare(&case, "ke1", cause, start.elapsed().as_secs_f32(), (verdict, certainty))
}

/// Prints a row of the table and compares. Two runs never give the same evidence, so it is recorded and never compared.
pub fn compare(
    case: &Case,
    symptom: &str,
    cause: &str,
    seconds: f32,
    expected: (&str, Certainty),
) -> Result<()> {
    let (id, sure) = (crate::verdict(case).id.name(), crate::verdict(case).certainty);
    println!("{cause:<18} {id:<22} {:<20} {seconds:.2} s", sure.name());
    assert_eq!((id, sure), expected, "{cause}:\n{}", case.reply.plain);
    // One version's cases are recorded: another's would differ by ids and times only.
    if crate::recording() && cause != "forged" && !cause.contains(NEWEST) {
        let file = format!("tests/cases/{symptom}--{id}--{cause}/evidence.json");
        let json = serde_json::to_string_pretty(&case.evidence)?;
        crate::recorded_as(&crate::tree().join(file), &(json + "\n"));
    }
    Ok(())
}

async fn lab(log_format: LogFormat, timezone: Option<&str>) -> Result<Lab> {
    let timezone = timezone.map(str::to_owned);
    lab_with_role(LabOptions { log_format, timezone, ..LabOptions::default() }).await
}

/// A lab whose database has the role of `kestrel grants`.
pub async fn lab_with_role(options: LabOptions) -> Result<Lab> {
    let lab = Lab::start(options).await?;
    lab.sql(&grants(ROLE)).await.context("the grants do not run")?;
    Ok(lab)
}

/// The name of a cause on this lab's version of Synapse.
fn named(cause: &str, lab: &Lab) -> String {
    match lab.synapse_version() {
        NEWEST => format!("{cause} {NEWEST}"),
        _ => cause.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_fault_gets_its_verdict_from_a_text_log() -> Result<()> {
    each_fault(lab(LogFormat::Precise, Some("America/New_York")).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_fault_gets_its_verdict_on_the_newest_synapse() -> Result<()> {
    each_fault(lab_with_role(newest()).await?).await
}

/// A lab with the newest Synapse.
pub fn newest() -> LabOptions {
    LabOptions { synapse_version: NEWEST.into(), ..LabOptions::default() }
}

async fn each_fault(lab: Lab) -> Result<()> {
    let config = config(&lab, true);
    for (fault, name, verdict, certainty) in [
        (Fault::Evict, "evict", "otk-recreated", Proven),
        (Fault::TwoClients, "two-clients", "otk-concurrent", Consistent),
        (Fault::Rollback, "rollback", "otk-rolled-back", Consistent),
        (Fault::Silent, "silent", "otk-recreated", Proven),
        (Fault::Exhaust, "exhaust", "otk-exhausted", Proven),
        (Fault::Healthy, "healthy", "otk-healthy", Consistent),
        (Fault::Cured, "cured", "otk-healthy", Consistent),
    ] {
        let patient = fault.cause(&lab).await.with_context(|| format!("causing {name}"))?;
        lab.log_written().await?;
        let subject = (patient.user.clone(), patient.device.clone());
        expect(&config, &named(name, &lab), &subject, verdict, certainty).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_crafted_upload_gets_its_verdict() -> Result<()> {
    each_crafted(lab(LogFormat::Precise, None).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_each_crafted_upload_gets_its_verdict_on_the_newest_synapse() -> Result<()> {
    each_crafted(lab_with_role(newest()).await?).await
}

async fn each_crafted(lab: Lab) -> Result<()> {
    let config = config(&lab, true);
    let keyless = crafted::keyless(&lab).await?;
    let foreign = crafted::foreign_identity(&lab).await?;
    let unsigned = crafted::unsigned(&lab).await?;
    let same = crafted::same_account(&lab).await?;
    let race = crafted::race(&lab).await?;
    let flood = crafted::flood(&lab).await?;
    let again = crafted::upload_loop(&lab).await?;
    let unknown = (keyless.0.clone(), "NO such \"device\"; --".to_owned());
    lab.log_written().await?;
    for (cause, subject, verdict, certainty) in [
        ("nobody", &unknown, "unknown-device", Proven),
        ("keyless", &keyless, "keyless-device", Proven),
        ("foreign", &foreign, "otk-foreign-identity", Proven),
        ("unsigned", &unsigned, "otk-diverged", Proven),
        ("twice", &same, "otk-same-account", Proven),
        ("race", &race, "otk-race", Consistent),
        ("flood", &flood, "otk-flood", Proven),
        ("loop", &again, "otk-upload-loop", Consistent),
    ] {
        expect(&config, &named(cause, &lab), subject, verdict, certainty).await?;
    }
    crate::blind::rewritten(&lab, &config, &same).await?;
    let blind = Config { database: None, ..config.clone() };
    let cause = named("blind", &lab);
    expect(&blind, &cause, &keyless, "inconclusive", NotEnoughEvidence).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_forged_login_line_never_changes_a_verdict() -> Result<()> {
    let lab = lab(LogFormat::Precise, None).await?;
    let config = config(&lab, true);
    let healthy = faults::healthy(&lab).await?;
    let exhausted = faults::exhaust(&lab).await?;
    for (patient, verdict, certainty) in
        [(&healthy, "otk-healthy", Consistent), (&exhausted, "otk-exhausted", Proven)]
    {
        let subject = (patient.user.clone(), patient.device.clone());
        faults::forged_login(&lab, &patient.user, &patient.device).await?;
        faults::forged_storm(&lab, &patient.user, &patient.device).await?;
        lab.log_written().await?;
        let text = fs::read_to_string(lab.log_path())?;
        let forged = text.lines().filter(|line| {
            line.starts_with("20")
                && line.contains("already exists")
                && line.contains(&patient.user)
        });
        assert!(forged.count() > 1, "the forged lines did not reach the log");
        expect(&config, "forged", &subject, verdict, certainty).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_json_log_proves_by_itself() -> Result<()> {
    let lab = lab(LogFormat::Terse, None).await?;
    let config = config(&lab, true);
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let subject = (patient.user.clone(), patient.device.clone());
    expect(&config, "evict-json", &subject, "otk-recreated", Proven).await?;
    let blind = Config { database: None, ..config.clone() };
    expect(&blind, "evict-json-blind", &subject, "otk-diverged", Proven).await?;
    a_cure_is_history(&lab, &config).await
}

/// A logout and a login under the same ID: what was rejected before proves nothing of the device as it is.
async fn a_cure_is_history(lab: &Lab, config: &Config) -> Result<()> {
    let cured = cured::cured(lab).await?;
    let subject = (cured.user.clone(), cured.device.clone());
    expect(config, "cured-json", &subject, "otk-healthy", Consistent).await?;
    let case = judge(config, &subject).await?;
    let resolved = crate::verdict(&case).resolved.context("nothing says that it was cured")?;
    assert_eq!(resolved.by, Some(RemovedBy::Deleted));
    assert!(resolved.span.count >= 5 && resolved.span.last <= resolved.at, "{resolved:?}");
    assert!(case.reply.plain.contains("logged in again under the same ID"), "{}", case.reply.plain);
    // The log alone says that the refusals are over; nobody is declared well without the database.
    let blind = Config { database: None, ..config.clone() };
    expect(&blind, "cured-json-blind", &subject, "inconclusive", NotEnoughEvidence).await?;
    // The watch saw a storm; by the time it is judged it is history.
    let event = |change| Event {
        at: jiff::Timestamp::now(),
        storm: 1,
        change,
        kind: StormKind::OtkConflict,
        whose: Whose::Device {
            user: cured.user.as_str().try_into().expect("a user ID"),
            device: cured.device.as_str().into(),
        },
        trigger: "signed_curve25519:AAAAAAAAAA0".into(),
        count: resolved.span.count,
        devices: 1,
        first: resolved.span.first,
        last: resolved.span.last,
    };
    let flow = Flow::new(Arc::new(config.clone()));
    for change in [Change::Started, Change::Ended] {
        let judged = flow.judge_storm(&event(change), jiff::Timestamp::now(), Depth::Keys).await;
        assert!(matches!(judged.sure, Confirmation::Unconfirmed(_)), "{:?}", judged.sure);
        assert_eq!(judged.cure, Cure::Yes);
    }
    Ok(())
}
