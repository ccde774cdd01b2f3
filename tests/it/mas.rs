//! A homeserver that leaves sign-in to Matrix Authentication Service (a stub of it) → the verdicts while that is
//! up, while it is down, and of a device that came back without its keys.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kestrel::config::Config;
use kestrel_core::diagnose::Certainty::{self, Consistent, NotEnoughEvidence, Proven};
use kestrel_core::question::{Question, Span, Topic};
use kestrel_lab::calls::{Member, fresh_address};
use kestrel_lab::mas::Mas;
use kestrel_lab::{Account, Device, Lab, LabOptions, LogFormat};
use serde_json::json;

use crate::verdicts::{NEWEST, answer, compare, config, lab_with_role};

/// What is waited for comes within seconds; a slow machine is given minutes.
const PATIENCE: Duration = Duration::from_secs(90);

async fn lab(mas: &Mas, log_format: LogFormat) -> Result<Lab> {
    let synapse_version = NEWEST.to_owned();
    let config = mas.config();
    lab_with_role(LabOptions { synapse_version, log_format, config, ..LabOptions::default() }).await
}

async fn ke1(
    config: &Config,
    account: &Account,
    span: Span,
    (cause, verdict, certainty): (&str, &str, Certainty),
) -> Result<String> {
    let user = account.user_id.as_str().try_into()?;
    let device = Some(account.device_id.as_str().into());
    let case = answer(config, Question { topic: Topic::Ke1 { user, device }, span }).await?;
    compare(&case, "ke1", cause, 0.0, (verdict, certainty))?;
    Ok(case.reply.plain.clone())
}

async fn ke4(
    config: &Config,
    member: &Member,
    expected: (&str, &str, Certainty),
) -> Result<String> {
    let user = member.account.user_id.as_str().try_into()?;
    let case = answer(config, crate::verdicts::over_default_window(Topic::Ke4 { user })).await?;
    let (cause, verdict, certainty) = expected;
    compare(&case, "ke4", cause, 0.0, (verdict, certainty))?;
    Ok(case.reply.plain.clone())
}

/// Waits until a line of the log holds all of these words, behind so many bytes.
async fn logged(lab: &Lab, from: usize, words: &[&str]) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let log = std::fs::read(lab.log_path())?;
        let text = String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned();
        if text.lines().any(|line| words.iter().all(|word| line.contains(word))) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let log = std::fs::read_to_string(lab.log_path())?;
    let end: Vec<_> = log.lines().rev().take(5).collect();
    anyhow::bail!("no line of the log holds {words:?}; its end: {end:#?}")
}

fn length(lab: &Lab) -> Result<usize> {
    Ok(std::fs::metadata(lab.log_path())?.len().try_into()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_service_that_is_down_is_no_healthy_device() -> Result<()> {
    let mas = Mas::start().await?;
    let lab = lab(&mas, LogFormat::Terse).await?;
    let config = config(&lab, true);
    let (name, late_name) = (lab.fresh_name("calm"), lab.fresh_name("late"));
    let calm = mas.account(&lab, &name, "CALMDEVICE").await?;
    let store = lab.scratch().join("calm");
    let device = Device::open(&lab, &calm, &store).await?;
    device.sync().await?;
    device.sync().await?;
    let mut member = Member::of(&lab, calm.clone(), &fresh_address()).await?;
    member.delay_id = member.delay_leave(600_000).await?;
    ensure!(member.act("restart").await? == 200);
    lab.log_written().await?;
    ke1(&config, &calm, Span::Unsaid, ("mas-up", "otk-healthy", Consistent)).await?;
    ke4(&config, &member, ("mas-up", "delay-healthy", Consistent)).await?;

    // A token that is no longer good: answered, and not restarted.
    member.account.access_token = "ended".into();
    let mut member = member.authenticate();
    ensure!(member.act("restart").await? == 401);
    lab.log_written().await?;
    let told =
        ke4(&config, &member, ("mas-token-ended", "inconclusive", NotEnoughEvidence)).await?;
    ensure!(told.contains("with 401"), "{told}");

    let from = length(&lab)?;
    let late = mas.account(&lab, &late_name, "LATEDEVICE").await?;
    // It learns what the server can do, and is gone before its first sync.
    let started = Device::open(&lab, &late, &lab.scratch().join("late")).await?;
    started.client().whoami().await?;
    let store = started.close().await;
    mas.set_down(true);
    let late = mas.session(&lab, &late_name, "LATEDEVICE");
    let starting = Device::open(&lab, &late, &store).await?;
    // What a client sends first of all, before any sync: its device keys.
    let client = starting.client().clone();
    let publishing =
        tokio::spawn(async move { client.encryption().bootstrap_cross_signing(None).await });
    logged(&lab, from, &["/keys/upload", "503 - Unable to introspect the access token"]).await?;
    // The client that ran before works on until its token is forgotten; a new one cannot.
    member.account = mas.session(&lab, &name, "CALMDEVICE");
    ensure!(member.act("restart").await? == 503);
    lab.log_written().await?;
    for (account, cause) in [(&calm, "mas-down"), (&late, "mas-down-first-start")] {
        let told = ke1(&config, account, Span::Unsaid, (cause, "auth-unreachable", Proven)).await?;
        ensure!(told.contains("authentication service"), "{told}");
    }
    ke4(&config, &member, ("mas-down", "auth-unreachable", Proven)).await?;
    let topic = Topic::Ke2 {
        user: calm.user_id.as_str().try_into()?,
        device: Some("CALMDEVICE".into()),
        sender: None,
        live: None,
    };
    let case = answer(&config, crate::verdicts::over_default_window(topic)).await?;
    compare(&case, "ke2", "mas-down", 0.0, ("auth-unreachable", Proven))?;

    publishing.abort();
    mas.set_down(false);
    starting.sync().await.context("the client does not come back")?;
    let since = Span::Since(Timestamp::now());
    starting.sync().await?;
    lab.log_written().await?;
    ke1(&config, &late, since, ("mas-up-again", "otk-healthy", Consistent)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_device_that_came_back_lost_its_keys() -> Result<()> {
    let mas = Mas::start().await?;
    let lab = lab(&mas, LogFormat::Precise).await?;
    let config = config(&lab, true);
    let (name, root) = (lab.fresh_name("back"), lab.fresh_name("root"));
    let account = mas.account(&lab, &name, "BACKDEVICE").await?;
    mas.account(&lab, &root, "ROOTDEVICE").await?;
    let admin = mas.admin(&lab, &root, "ROOTDEVICE");
    let device = Device::open(&lab, &account, &lab.scratch().join("back")).await?;
    device.sync().await?;
    let path = format!("/_synapse/admin/v2/users/{}/delete_devices", account.user_id);
    let body = json!({"devices": ["BACKDEVICE"]});
    lab.wire().post(&path, Some(&admin.access_token), body).await?;
    lab.log_written().await?;
    let told =
        ke1(&config, &account, Span::Unsaid, ("mas-removed", "unknown-device", Proven)).await?;
    ensure!(told.contains(&admin.user_id), "{told}");

    mas.sync_devices(&lab, &name, &["BACKDEVICE"]).await?;
    let from = length(&lab)?;
    let syncing = device.syncing();
    logged(&lab, from, &["Adding one_time_keys", "BACKDEVICE"]).await?;
    drop(syncing);
    lab.log_written().await?;
    let told = ke1(&config, &account, Span::Unsaid, ("mas-back", "keyless-device", Proven)).await?;
    ensure!(told.contains(&admin.user_id) && told.contains("MAS"), "{told}");
    ensure!(!told.contains("never published"), "{told}");
    Ok(())
}
