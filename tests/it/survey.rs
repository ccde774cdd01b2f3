//! Everybody at once: several real faults in one homeserver, and a database of two million one-time keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use kestrel::config::Config;
use kestrel::flow::{self, Answer, Flow, Survey};
use kestrel_core::diagnose::Certainty;
use kestrel_core::evidence::{Gathered, State};
use kestrel_core::question::Topic;
use kestrel_core::render;
use kestrel_lab::{Lab, Patient, cured, faults};
use serde_json::Value;

use crate::crafted;
use crate::verdicts::{NEWEST, config, judge, lab_with_role, newest};

async fn survey(config: &Config) -> Result<Survey> {
    let flow = Flow::new(Arc::new(config.clone()));
    let everybody = crate::verdicts::over_default_window(Topic::Fleet);
    match flow.answer(&everybody, jiff::Timestamp::now()).await {
        Answer::Survey(survey) => Ok(*survey),
        other => anyhow::bail!("no survey: {other:?}"),
    }
}

/// Device → its causes; without the keyless ones, which are the lab's peers.
fn troubled(json: &Value) -> BTreeMap<String, String> {
    let affected = json["affected"].as_array().into_iter().flatten();
    let causes = |of: &Value| {
        let causes = of["causes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        causes.collect::<Vec<_>>().join("+")
    };
    affected
        .map(|of| (of["device"].as_str().unwrap_or_default().to_owned(), causes(of)))
        .filter(|(_, causes)| causes != "keyless")
        .collect()
}

fn expected<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    all.into_iter().map(|(device, causes)| (device.to_owned(), causes.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_exactly_the_troubled_ones_are_named() -> Result<()> {
    troubled_ones(lab_with_role(Default::default()).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_exactly_the_troubled_ones_are_named_on_the_newest_synapse() -> Result<()> {
    troubled_ones(lab_with_role(newest()).await?).await
}

async fn troubled_ones(lab: Lab) -> Result<()> {
    let _healthy = faults::healthy(&lab).await?;
    // Cured since: history, and nobody's trouble any more.
    let cured = cured::cured(&lab).await?;
    let evicted = faults::evict(&lab).await?;
    let doubled = faults::two_clients(&lab).await?;
    let silent = faults::silent(&lab).await?;
    let exhausted = faults::exhaust(&lab).await?;
    let (_, flooded) = crafted::flood(&lab).await?;
    let (_, raced) = crafted::race(&lab).await?;
    let (_, keyless) = crafted::keyless(&lab).await?;
    faults::forged_storm(&lab, &exhausted.user, &exhausted.device).await?;
    lab.log_written().await?;
    let id = |patient: &Patient| patient.device.clone();
    let (evicted, doubled) = (id(&evicted), id(&doubled));
    let all = [
        (evicted.as_str(), "conflict+dead-identity"),
        (doubled.as_str(), "conflict"),
        (&silent.device, "dead-identity"),
        (&exhausted.device, "exhausted"),
        (&flooded, "flood"),
    ];

    let granted = config(&lab, true);
    let start = Instant::now();
    let both = survey(&granted).await?;
    println!("log and database: {:.2} s\n{}", start.elapsed().as_secs_f32(), both.reply.plain);
    let json = flow::json(&both.evidence, &both.judgement);
    assert_eq!(troubled(&json), expected(all), "{json:#}");
    let first = json["affected"][0]["causes"][0].as_str();
    assert_eq!(first, Some("conflict"), "refusals that go on come first: {json:#}");
    for of in json["affected"].as_array().context("no list")? {
        assert_eq!(of["confirmed"], true, "{of}");
    }
    assert!(!troubled(&json).contains_key(&raced), "one crossing is no storm");
    let resolved = json["findings"].to_string().contains("1 device resolved");
    assert!(resolved, "{} is not told as resolved: {:#}", cured.device, json["findings"]);
    assert!(json["groups"]["agent"][0]["devices"].as_u64() >= Some(2), "{json:#}");
    assert_eq!(json["cut"], Value::Array(Vec::new()));
    let keyless_ones = json["groups"]["cause"].as_array().into_iter().flatten();
    let keyless_ones = keyless_ones.filter(|group| group["name"] == "keyless").count();
    assert_eq!(keyless_ones, 1, "{keyless} is not counted: {json:#}");
    let page = flow::page(&both.evidence, &both.judgement, &flow_view());
    assert!(page.len() <= render::LINES, "{} lines are too many for a phone", page.len());
    let why = flow::why(&both.evidence, &both.judgement, &flow_view()).markdown();
    for (device, _) in all {
        assert!(why.replace('\\', "").contains(device), "{device} is not in\n{why}");
    }

    let saved = serde_json::to_string(&both.evidence)?;
    let replayed = serde_json::from_str(&saved)?;
    assert_eq!(
        flow::why(&replayed, &flow::judge(&replayed), &flow_view()).markdown(),
        flow::why(&both.evidence, &both.judgement, &flow_view()).markdown()
    );
    assert!(!saved.contains("127.0.0.1"), "an address is in the evidence");

    // The database alone: it holds no refusals, and what is in it is enough for the others.
    let mut logless = granted.clone();
    logless.logs.clear();
    let rows = survey(&logless).await?;
    let mut stored = expected(all);
    stored.insert(evicted.clone(), "dead-identity".into());
    stored.remove(&doubled);
    assert_eq!(troubled(&flow::json(&rows.evidence, &rows.judgement)), stored);

    // The log alone: refusals, and nobody confirms them.
    let blind = Config { database: None, ..granted.clone() };
    let log = survey(&blind).await?;
    let json = flow::json(&log.evidence, &log.judgement);
    let mut logged = expected([(&*evicted, "conflict"), (&*doubled, "conflict")]);
    if lab.synapse_version() == NEWEST {
        // It refuses an upload that would leave too many keys, and says so.
        logged.insert(flooded.clone(), "flood".into());
    }
    assert_eq!(troubled(&json), logged);
    assert!(json["affected"].as_array().into_iter().flatten().all(|of| of["confirmed"] == false));
    assert!(log.reply.plain.contains("unconfirmed"), "{}", log.reply.plain);

    let neither = Config { database: None, logs: Vec::new(), ..granted };
    let nothing = survey(&neither).await?;
    assert_eq!(nothing.judgement.certainty(), Certainty::NotEnoughEvidence);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_row_that_synapse_never_writes_is_evidence_and_no_panic() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let subject = crafted::upload_loop(&lab).await?;
    lab.log_written().await?;
    lab.sql(
        "ALTER TABLE e2e_one_time_keys_json ALTER ts_added_ms DROP NOT NULL, ALTER key_json DROP NOT NULL; \
         ALTER TABLE e2e_device_keys_json ALTER key_json DROP NOT NULL, ALTER ts_added_ms DROP NOT NULL; \
         ALTER TABLE e2e_one_time_keys_json DROP CONSTRAINT e2e_one_time_keys_json_uniqueness; \
         ALTER TABLE e2e_one_time_keys_json ALTER key_id DROP NOT NULL; \
         ALTER TABLE devices ALTER device_id DROP NOT NULL; \
         UPDATE e2e_one_time_keys_json SET ts_added_ms = NULL, key_json = NULL, key_id = NULL; \
         UPDATE e2e_device_keys_json SET key_json = NULL, ts_added_ms = 9223372036854775807",
    )
    .await?;
    let config = config(&lab, true);
    let case = judge(&config, &subject).await?;
    let failed = |answer: &&Gathered| matches!(answer.state, State::Failed(_));
    let failed: Vec<_> = case.evidence.gathered.iter().filter(failed).collect();
    assert_eq!(failed.len(), 1, "{:?}", case.reply.plain);
    assert!(failed[0].what.contains("that Synapse did not write"), "{}", failed[0].what);
    let survey = survey(&config).await?;
    assert!(!survey.reply.plain.contains("not enough evidence"), "{}", survey.reply.plain);
    lab.sql("UPDATE e2e_device_keys_json SET ts_added_ms = NULL").await?;
    judge(&config, &subject).await?;
    Ok(())
}

fn flow_view() -> render::View {
    render::View::in_zone(jiff::tz::TimeZone::UTC)
}
