//! Sources as they are on a bad day, and the database role: what it may read, what it may not, and that
//! every probe goes by an index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kestrel::collect::postgres::grants;
use kestrel::config::{Config, Database};
use kestrel::diagnose::Certainty::{Consistent, NotEnoughEvidence, Proven};
use kestrel::evidence::{Need, State};
use kestrel::flow::Flow;
use kestrel_lab::{Lab, faults};

use crate::verdicts::{ROLE, config, judge, lab_with_role};

#[tokio::test(flavor = "multi_thread")]
async fn the_role_reads_key_material_by_index_and_nothing_else() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    lab.sql(&grants(ROLE)).await.context("the grants do not run twice")?;
    let patient = faults::silent(&lab).await?;
    let subject = (patient.user.clone(), patient.device.clone());
    let case = judge(&config(&lab, true), &subject).await?;

    let (role, connection) =
        tokio_postgres::connect(&lab.database_url_as(ROLE), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for secret in [
        "SELECT token FROM access_tokens",
        "SELECT password_hash FROM users",
        "SELECT json FROM event_json",
        "SELECT message_json FROM device_inbox",
        "SELECT ip FROM devices",
        "SELECT ip FROM user_ips",
        "SELECT session_data FROM e2e_room_keys",
        "SELECT * FROM devices",
        "CREATE TEMPORARY TABLE t (x int)",
        "CREATE TABLE t (x int)",
        "DELETE FROM e2e_one_time_keys_json",
    ] {
        let answer = role.batch_execute(secret).await;
        assert!(answer.is_err(), "the role may run {secret}");
    }
    role.batch_execute("SET enable_seqscan = off").await?;
    let mut explained = 0;
    for answer in case.evidence.gathered.iter().filter(|answer| answer.need != Need::KeyLog) {
        for statement in answer.query.split(";\n") {
            let plan = role.query(&format!("EXPLAIN {statement}"), &[]).await?;
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{statement}: {plan:#?}");
            assert!(plan.iter().any(|line| line.contains("Index")), "{statement}: {plan:#?}");
            explained += 1;
        }
    }
    assert_eq!(explained, 5, "a probe was not explained");

    // The runbook's own set-up: a role that may read the tables whole.
    let owner = Database { url: lab.database_url().parse()? };
    let plain = Config { database: Some(owner), ..config(&lab, true) };
    let again = judge(&plain, &subject).await?;
    assert_eq!(again.verdict.id, case.verdict.id);
    assert_eq!(again.verdict.certainty, Proven);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_is_evidence() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let subject = (patient.user.clone(), patient.device.clone());
    let whole = config(&lab, true);

    // A port that takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgresql://kestrel@{}/synapse", mute.local_addr()?);
    let mut slow = Config { database: Some(Database { url: url.parse()? }), ..whole.clone() };
    slow.limits.deadline = Duration::from_millis(1500);
    let start = Instant::now();
    let case = judge(&slow, &subject).await?;
    assert!(start.elapsed() < Duration::from_secs(4), "the deadline did not hold");
    assert_eq!((case.verdict.id.name(), case.verdict.certainty), ("otk-diverged", Consistent));
    assert!(case.reply.plain.contains("did not answer within 1.5 s"), "{}", case.reply.plain);

    drop(mute);
    let gone = Config { database: Some(Database { url: url.parse()? }), ..whole.clone() };
    let case = judge(&gone, &subject).await?;
    assert!(case.reply.plain.contains("Connection refused"), "{}", case.reply.plain);

    // A role without grants: the answer names the table and the way out.
    lab.sql("CREATE ROLE stranger LOGIN").await?;
    let url = lab.database_url_as("stranger").parse()?;
    let stranger = Config { database: Some(Database { url }), ..whole.clone() };
    let case = judge(&stranger, &subject).await?;
    assert!(case.reply.plain.contains("kestrel grants"), "{}", case.reply.plain);

    // A role that may not read one table: the others still prove.
    lab.sql("REVOKE SELECT (user_id) ON devices FROM kestrel").await?;
    let case = judge(&whole, &subject).await?;
    assert_eq!((case.verdict.id.name(), case.verdict.certainty), ("otk-recreated", Proven));
    lab.sql(&grants(ROLE)).await?;

    // No log: the database alone still proves an eviction, for it holds keys of the dead account.
    let mut logless = whole.clone();
    logless.logs[0].path = lab.scratch().join("no-such.log");
    let case = judge(&logless, &subject).await?;
    assert_eq!((case.verdict.id.name(), case.verdict.certainty), ("otk-recreated", Proven));
    let healthy = faults::healthy(&lab).await?;
    let case = judge(&logless, &(healthy.user.clone(), healthy.device.clone())).await?;
    assert_eq!(
        (case.verdict.id.name(), case.verdict.certainty),
        ("inconclusive", NotEnoughEvidence)
    );
    assert!(case.reply.plain.contains("no-such.log"), "{}", case.reply.plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_case_replays_to_the_same_verdict_and_holds_no_key() -> Result<()> {
    let lab: Lab = lab_with_role(Default::default()).await?;
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let config = config(&lab, true);
    let case = judge(&config, &(patient.user.clone(), patient.device.clone())).await?;
    let flow = Flow::new(Arc::new(config));
    let saved = flow.evidence_json(&case.evidence);
    let replayed = serde_json::from_str(&saved)?;
    assert_eq!(kestrel::diagnose::diagnose(&replayed).id, case.verdict.id);
    assert_eq!(flow.why(&replayed), flow.why(&case.evidence));
    assert!(case.evidence.gathered.iter().all(|answer| answer.state == State::Found));

    let log = std::fs::read_to_string(lab.log_path())?;
    let old = log.split("Old key: {\"key\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let old = old.context("no refusal in the log")?;
    assert!(saved.contains(&old[..8]), "the head of the key is not shown");
    assert!(!saved.contains(old), "a whole key value is in evidence.json");
    assert!(!saved.contains("127.0.0.1"), "a whole address is in evidence.json");
    Ok(())
}
