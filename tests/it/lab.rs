//! Turns each promise of the lab into a look at a real Synapse's log and database.
//!
//! It never asks the lab whether a fault took: it reads the log as text and the tables with SQL.
//! The first run installs Synapse and takes a minute longer.

use std::time::Duration;

use anyhow::Result;
use kestrel_lab::ops::OpsRoom;
use kestrel_lab::{Lab, LabOptions, LogFormat, Patient, faults};
use tokio_postgres::NoTls;

/// One upload as the log tells it.
#[derive(Debug, PartialEq, Eq)]
struct Upload {
    keys: Vec<String>,
    device_keys: bool,
    accepted: bool,
}

fn log(lab: &Lab) -> String {
    std::fs::read_to_string(lab.log_path()).expect("the log is there")
}

/// The patient's uploads in the order they were begun, joined by request id.
fn uploads(lab: &Lab, patient: &Patient) -> Vec<Upload> {
    // A login is logged with all it holds, newlines escaped: that line is no upload.
    let log: Vec<String> = log(lab)
        .lines()
        .filter(|line| !line.contains("Got login request"))
        .map(str::to_owned)
        .collect();
    let request = |line: &str| line.split(" - ").nth(4).map(str::to_owned);
    let status = |id: &str| {
        log.iter()
            .find(|line| line.contains("Processed request") && request(line).as_deref() == Some(id))
            .map(|line| line.contains(" 200 \""))
    };
    log.iter()
        .filter(|line| line.contains("Adding one_time_keys") && line.contains(&patient.user))
        .filter_map(|line| {
            let id = request(line)?;
            let device_keys = log.iter().any(|other| {
                other.contains("Updating device_keys") && request(other).as_deref() == Some(&id)
            });
            Some(Upload {
                keys: line
                    .split("signed_curve25519:")
                    .skip(1)
                    .filter_map(|rest| rest.get(..11).map(str::to_owned))
                    .collect(),
                device_keys,
                accepted: status(&id)?,
            })
        })
        .collect()
}

/// How many keys are stored, and how many of them are older than the device's identity.
async fn stored(lab: &Lab, patient: &Patient) -> Result<(i64, i64)> {
    let (client, connection) = tokio_postgres::connect(&lab.database_url(), NoTls).await?;
    tokio::spawn(connection);
    let row = client
        .query_one(
            "SELECT count(o.*), count(*) FILTER (WHERE o.ts_added_ms < d.ts_added_ms) \
             FROM e2e_device_keys_json d LEFT JOIN e2e_one_time_keys_json o USING (user_id, device_id) \
             WHERE d.user_id = $1 AND d.device_id = $2",
            &[&patient.user, &patient.device],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
}

async fn fallback_used(lab: &Lab, patient: &Patient) -> Result<bool> {
    let (client, connection) = tokio_postgres::connect(&lab.database_url(), NoTls).await?;
    tokio::spawn(connection);
    let row = client
        .query_one(
            "SELECT used FROM e2e_fallback_keys_json WHERE user_id = $1 AND device_id = $2",
            &[&patient.user, &patient.device],
        )
        .await?;
    Ok(row.get(0))
}

async fn precise_lab() -> Lab {
    Lab::start(LabOptions::default()).await.expect("the lab starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_an_evicted_device_is_refused_its_first_batch_again_and_again() {
    let lab = precise_lab().await;
    let patient = faults::evict(&lab).await.unwrap();
    lab.log_written().await.unwrap();
    let uploads = uploads(&lab, &patient);
    let (first, refused) = uploads.split_first().unwrap();
    assert!(first.accepted && first.device_keys && first.keys.len() == 50, "{uploads:?}");
    assert!(refused.len() >= 5, "{uploads:?}");
    for upload in refused {
        assert!(!upload.accepted && upload.device_keys, "{uploads:?}");
        assert_eq!(upload.keys, first.keys);
    }
    assert_eq!(stored(&lab, &patient).await.unwrap(), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_two_clients_are_refused_and_accepted_in_turn() {
    let lab = precise_lab().await;
    let patient = faults::two_clients(&lab).await.unwrap();
    lab.log_written().await.unwrap();
    let uploads = uploads(&lab, &patient);
    let refused = uploads.iter().position(|upload| !upload.accepted).unwrap();
    assert!(uploads[refused..].iter().filter(|upload| upload.accepted).count() >= 2, "{uploads:?}");
    assert!(uploads[1..].iter().all(|upload| !upload.device_keys), "{uploads:?}");
    assert!(log(&lab).contains("[sync]: using incomplete cached result"));
    // The first batch may be milliseconds older than the device keys of its own request, a later one not.
    let (all, older) = stored(&lab, &patient).await.unwrap();
    assert!(older < all, "{older} of {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_store_rolled_back_is_refused_a_range_it_had_uploaded() {
    let lab = precise_lab().await;
    let patient = faults::rollback(&lab).await.unwrap();
    lab.log_written().await.unwrap();
    let uploads = uploads(&lab, &patient);
    let range = &uploads[1];
    assert!(range.accepted && range.keys.len() == 30, "{uploads:?}");
    assert!(uploads.len() >= 7, "{uploads:?}");
    for upload in &uploads[2..] {
        assert!(!upload.accepted && !upload.device_keys, "{uploads:?}");
        assert!(upload.keys.iter().all(|key| range.keys.contains(key)), "{uploads:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_quiet_faults_are_quiet() {
    let lab = precise_lab().await;
    let silent = faults::silent(&lab).await.unwrap();
    // Synapse reads its clock again for the device keys of an upload: on a busy machine a batch of the
    // same request is older than they are, by milliseconds. The dead identity's batch always is.
    let (all, older) = stored(&lab, &silent).await.unwrap();
    assert_eq!(all, 100);
    assert!(older == 50 || older == 100, "{older}");
    let exhausted = faults::exhaust(&lab).await.unwrap();
    assert_eq!(stored(&lab, &exhausted).await.unwrap(), (0, 0));
    assert!(fallback_used(&lab, &exhausted).await.unwrap());
    let healthy = faults::healthy(&lab).await.unwrap();
    // For the same reason nothing is said here of which is older.
    assert_eq!(stored(&lab, &healthy).await.unwrap().0, 50);
    assert!(!fallback_used(&lab, &healthy).await.unwrap());
    lab.log_written().await.unwrap();
    assert!(!log(&lab).contains("already exists"));
    assert_eq!(uploads(&lab, &healthy).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_forged_lines_look_like_real_ones_and_leave_no_trace_in_the_database() {
    let lab = precise_lab().await;
    let victim = faults::healthy(&lab).await.unwrap();
    faults::forged_login(&lab, &victim.user, &victim.device).await.unwrap();
    faults::forged_storm(&lab, &victim.user, &victim.device).await.unwrap();
    let log = log(&lab);
    // The request itself is logged too, with its newlines escaped; that line is no refusal.
    let refusals = log.lines().filter(|line| {
        line.contains(" 400 - One time key ") && !line.contains("Got login request")
    });
    assert_eq!(refusals.count(), 7);
    assert_eq!(uploads(&lab, &victim).iter().filter(|upload| !upload.accepted).count(), 6);
    assert_eq!(stored(&lab, &victim).await.unwrap().0, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_log_follows_the_options() {
    let zone = |zone: &str| LabOptions { timezone: Some(zone.into()), ..LabOptions::default() };
    let terse = LabOptions { log_format: LogFormat::Terse, ..LabOptions::default() };
    let (west, east, terse) = tokio::join!(
        Lab::start(zone("America/St_Johns")),
        Lab::start(zone("Asia/Kathmandu")),
        Lab::start(terse)
    );
    let (west, east, terse) = (west.unwrap(), east.unwrap(), terse.unwrap());
    for lab in [&west, &east, &terse] {
        lab.log_written().await.unwrap();
    }
    let hour = |lab: &Lab| log(lab).lines().last().unwrap().get(..13).unwrap().to_owned();
    assert_ne!(hour(&west), hour(&east));
    let last = log(&terse).lines().last().unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert!(line["time"].is_f64(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_what_is_said_in_the_ops_room_is_read_by_the_others() {
    let lab = precise_lab().await;
    let ops = OpsRoom::open(&lab).await.unwrap();
    let carol = ops.bring(&lab, "carol").await.unwrap();
    let asked = ops.ask("!ke1 @x:lab.local X").await.unwrap();
    let heard = carol.notices(Duration::from_secs(10)).await.unwrap();
    assert_eq!(heard.last().unwrap().plain, "!ke1 @x:lab.local X");
    carol.ask_in_thread(&asked, "healthy").await.unwrap();
    let answer = ops.thread(&asked, Duration::from_secs(10)).await.unwrap();
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert_eq!((answer[0].plain.as_str(), answer[0].kind.as_str()), ("healthy", "m.text"));
    carol.attach("report.json", "application/json", b"{}".to_vec()).await.unwrap();
    let files = ops.notices(Duration::from_secs(10)).await.unwrap();
    let file = files.last().unwrap();
    assert_eq!(file.attachment_name.as_deref(), Some("report.json"));
    assert_eq!(ops.download(file).await.unwrap(), b"{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_restart_keeps_the_address_the_accounts_and_the_log() {
    let lab = precise_lab().await;
    let account = lab.register("alice").await.unwrap();
    lab.restart_synapse().await.unwrap();
    let again = lab.login("alice", Some(&account.device_id)).await.unwrap();
    assert_eq!(again.device_id, account.device_id);
    lab.log_written().await.unwrap();
    assert_eq!(log(&lab).matches("***** STARTING SERVER *****").count(), 2);
}
