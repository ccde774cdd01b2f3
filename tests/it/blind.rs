//! Real refusals that the log cannot show: a silenced logger, Synapse at WARNING, docker's wrapping. None of them
//! is healthy, and what the database proves alone stays proven.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kestrel::config::{Config, LogSource};
use kestrel::flow::{self, Answer, Case, Flow};
use kestrel_core::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_core::question::Topic;
use kestrel_lab::{Lab, LabOptions};
use serde_json::{Value, json};

use crate::crafted;
use crate::sources::config_file;
use crate::terminal::kestrel;
use crate::verdicts::{compare, config, judge, lab_with_role};

const PATIENCE: Duration = Duration::from_secs(60);

/// What an answer holds besides the verdict.
fn also(case: &Case) -> Vec<(&'static str, Certainty)> {
    crate::verdict(case).also.iter().map(|also| (also.id.name(), also.certainty)).collect()
}

fn wanted(case: &Case) -> String {
    crate::verdict(case).missing.iter().map(|missing| missing.how.as_str()).collect()
}

async fn expect(
    config: &Config,
    cause: &str,
    subject: &(String, String),
    verdict: (&str, Certainty),
    besides: (&str, Certainty),
) -> Result<Case> {
    let case = judge(config, subject).await?;
    compare(&case, "ke1", cause, 0.0, verdict)?;
    assert_eq!(also(&case), [besides], "{cause}:\n{}", case.reply.plain);
    assert!(case.reply.plain.contains(besides.0), "{}", case.reply.plain);
    let json = flow::json(&case.evidence, &case.judgement);
    assert_eq!(json["also"][0]["id"], besides.0, "{json:#}");
    assert_eq!(json["also"][0]["certainty"], besides.1.name());
    assert!(json["findings"].as_array().is_some_and(|all| all.iter().all(Value::is_string)));
    Ok(case)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_refusals_that_the_log_cannot_show_are_not_healthy() -> Result<()> {
    let silenced = ("synapse.http.server".to_owned(), "WARNING".to_owned());
    let lab =
        lab_with_role(LabOptions { loggers: vec![silenced], ..LabOptions::default() }).await?;
    let config = config(&lab, true);
    let refused = crafted::same_account(&lab).await?;
    lab.log_written().await?;
    let blind = ("log-blind-to", Consistent);
    let undecided = ("inconclusive", NotEnoughEvidence);
    let case = expect(&config, "silenced", &refused, undecided, blind).await?;
    let lines = wanted(&case);
    assert!(lines.contains("`synapse.http.server: {level: INFO}`"), "{lines}");
    assert!(!lines.contains("synapse.access: "), "it writes: {lines}");

    at_warning(&lab).await?;
    let off = ("log-info-off", Proven);
    for subject in [&refused, &crafted::same_account(&lab).await?] {
        let case = expect(&config, "warning", subject, undecided, off).await?;
        let lines = wanted(&case);
        for logger in ["synapse.access", "synapse.http.server", "synapse.handlers.device"] {
            assert!(lines.contains(&format!("`{logger}: {{level: INFO}}`")), "{lines}");
        }
    }
    let keyless = crafted::keyless(&lab).await?;
    expect(&config, "warning-keyless", &keyless, ("keyless-device", Proven), off).await?;
    nobody_is_not_said(&config).await?;
    doctor_says_it(&lab)
}

/// An old log config with a buffer put in front of its handler, whose filter then runs late: a line gets the ID of the
/// request that empties the buffer.
#[tokio::test(flavor = "multi_thread")]
async fn lab_request_ids_of_other_requests_are_said_and_tie_nothing() -> Result<()> {
    let lab = lab_with_role(LabOptions::default()).await?;
    let file = lab.scratch().join("log.yaml");
    let mut logging: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let filter = json!({"()": "synapse.logging.context.LoggingContextFilter", "request": ""});
    logging["filters"] = json!({"context": filter});
    logging["handlers"]["file"]["filters"] = json!(["context"]);
    fs::write(&file, serde_json::to_vec(&logging)?)?;
    lab.restart_synapse().await?;
    let config = config(&lab, true);
    let refused = crafted::same_account(&lab).await?;
    let calm = kestrel_lab::faults::healthy(&lab).await?;
    lab.log_written().await?;
    let case = judge(&config, &refused).await?;
    assert_eq!(crate::verdict(&case).id.name(), "otk-same-account", "{}", case.reply.plain);
    let case = judge(&config, &(calm.user.clone(), calm.device.clone())).await?;
    assert_eq!(crate::verdict(&case).id.name(), "inconclusive", "{}", case.reply.plain);
    assert!(wanted(&case).contains("`filters: [context]`"), "{}", wanted(&case));
    Ok(())
}

/// Restarts Synapse at WARNING, as matrix-docker-ansible-deploy runs it, and waits for a line of it.
async fn at_warning(lab: &Lab) -> Result<()> {
    let file = lab.scratch().join("log.yaml");
    let mut logging: Value = serde_json::from_slice(&fs::read(&file)?)?;
    logging["root"]["level"] = json!("WARNING");
    fs::write(&file, serde_json::to_vec(&logging)?)?;
    lab.restart_synapse().await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refused = lab.wire().get("/_matrix/client/v3/account/whoami", Some("x")).await;
        refused.err().context("it took a token that it never gave")?;
        let log = fs::read_to_string(lab.log_path())?;
        let (_, since) = log.rsplit_once("STARTING SERVER").context("it did not start")?;
        if since.contains("Invalid access token") {
            assert!(!since.contains(" - INFO - "), "INFO is on: {since}");
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("Synapse wrote no warning: {since}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A survey over such a log does not say that nobody is in trouble.
async fn nobody_is_not_said(config: &Config) -> Result<()> {
    let flow = Flow::new(Arc::new(Config { database: None, ..config.clone() }));
    let now = jiff::Timestamp::now();
    let everybody = crate::verdicts::over_default_window(Topic::Fleet);
    let Answer::Survey(survey) = flow.answer(&everybody, now).await else {
        bail!("no survey");
    };
    let json = flow::json(&survey.evidence, &survey.judgement);
    assert_eq!(json["also"][0]["id"], "log-info-off", "{json:#}");
    assert!(survey.reply.plain.contains("log-info-off"), "{}", survey.reply.plain);
    assert!(
        !survey.reply.plain.contains("o affected device found in the checked sources"),
        "{}",
        survey.reply.plain
    );
    let told = flow.blind_logs(now).await;
    assert!(told[0].text.contains("INFO is off"), "{told:?}");
    Ok(())
}

fn doctor_says_it(lab: &Lab) -> Result<()> {
    let file = config_file(lab)?;
    let said = kestrel(&["doctor", "--config", &file.to_string_lossy()]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("FAILED  log level: INFO is off in log main"), "{text}");
    assert!(text.contains("synapse.http.server: {level: INFO}"), "{text}");
    assert_eq!(said.status.code(), Some(1));
    Ok(())
}

/// How a carrier writes one line.
type Carrier = fn(&str) -> String;

const TIME: &str = "2026-11-28T00:00:00.000000000Z";
const CARRIERS: [(&str, Carrier); 6] = [
    ("a copy made on Windows", |line| format!("{line}\r\n")),
    ("docker's json-file", |line| {
        let object = json!({ "log": format!("{line}\n"), "stream": "stderr", "time": TIME });
        format!("{object}\n")
    }),
    ("docker compose logs", |line| format!("synapse-1  | {line}\n")),
    ("/var/log/pods", |line| format!("{TIME} stderr F {line}\n")),
    ("journalctl -o json", |line| {
        let object = json!({
            "__REALTIME_TIMESTAMP": "1795824000000000", "_SYSTEMD_UNIT": "matrix-synapse.service",
            "_PID": "812", "PRIORITY": "6", "_TRANSPORT": "stdout", "MESSAGE": line,
        });
        format!("{object}\n")
    }),
    ("syslog", |line| format!("Nov 28 00:00:00 matrix synapse[812]: {line}\n")),
];

/// The lab's log as carriers have it: each gives the verdict of the plain one.
pub async fn rewritten(lab: &Lab, config: &Config, subject: &(String, String)) -> Result<()> {
    let log = fs::read_to_string(lab.log_path())?;
    let plain = judge(config, subject).await?;
    for (name, carrier) in CARRIERS {
        let file = lab.scratch().join("carried.log");
        fs::write(&file, log.lines().map(carrier).collect::<String>())?;
        let logs = vec![LogSource { name: "main".into(), path: file, timezone: None }];
        let read = judge(&Config { logs, ..config.clone() }, subject).await?;
        let of = |case| (crate::verdict(case).id, crate::verdict(case).certainty);
        assert_eq!(of(&read), of(&plain), "{name}: {}", read.reply.plain);
    }
    Ok(())
}
