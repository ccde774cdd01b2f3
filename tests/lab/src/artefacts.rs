//! Turns a fault into the files that the user of the broken client could send: each is made by a real
//! client while the fault lasts, and beside the log and the database of the server that saw it.
//!
//! The web clients are matrix-js-sdk's, the native one is matrix-rust-sdk with its log written to a file.
//! Nothing in a file is made up, and nothing is taken out of it: the tokens in them are the lab's.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio_postgres::NoTls;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::EnvFilter;

use crate::calls::fresh_address;
use crate::faults::{Patient, admit, forget, rolled_back};
use crate::jsdk::{Artefacts, Host, WebClient};
use crate::lab::{Account, Lab};
use crate::media::Caller;

/// A web client's line about an upload that was taken.
const UPLOADED: &str = r"<-- POST .*/keys/upload \[\d+ms 200\]";
const RESTARTED: &str = r"<-- POST .*/delayed_events/.*restart \[\d+ms 200\]";
/// Refusals that make a storm in everybody's eyes.
const STORM: u64 = 5;
const RESTART_EVERY: Duration = Duration::from_secs(2);
/// Two restarts are given up meanwhile.
const LOCKED: Duration = Duration::from_millis(5500);
/// Media keys that are sent to the dead identity.
const KEYS: u64 = 3;

/// A web client whose store was evicted, refused again and again.
pub async fn evicted(lab: &Lab, host: Host) -> Result<(Patient, Artefacts)> {
    let mut patient = admit(lab, "evicted-web").await?;
    let address = fresh_address();
    let mut client = WebClient::start(lab, host, &address).await?;
    client.open(lab, &patient.account).await?;
    client.said(UPLOADED).await?;
    let mut client = client.forget(lab, &address).await?;
    client.open(lab, &patient.account).await?;
    patient.wake(lab);
    client.counted("KE-1", STORM).await?;
    patient.rest();
    let artefacts = client.close().await?;
    lab.log_written().await?;
    Ok((patient, artefacts))
}

/// A web client that is back with a new identity, while a caller sends media keys to the old one.
pub async fn dead_identity(lab: &Lab, host: Host) -> Result<(Patient, Artefacts)> {
    let patient = admit(lab, "dead-web").await?;
    let address = fresh_address();
    let mut client = WebClient::start(lab, host, &address).await?;
    client.open(lab, &patient.account).await?;
    client.said(UPLOADED).await?;
    let caller = Caller::join(lab, &patient.peer, &patient.user, &patient.device).await?;
    caller.send(1, Duration::ZERO).await?;
    let mut client = client.forget(lab, &address).await?;
    client.open(lab, &patient.account).await?;
    client.counted("KE-1", 1).await?;
    caller.send(KEYS, Duration::ZERO).await?;
    client.said("doesn't contain a ciphertext for our key").await?;
    let artefacts = client.close().await?;
    // What comes while the client is away stays on the server.
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, artefacts))
}

/// A web client in a call, whose restarts of its delayed leave wait for a lock in the database.
pub async fn slow_restart(lab: &Lab, host: Host) -> Result<(Account, Artefacts)> {
    let name = lab.fresh_name("slow-web");
    let account = lab.register(&name).await?;
    let address = fresh_address();
    let (wire, token) = (lab.wire().behind(&address), Some(account.access_token.as_str()));
    let made = wire.post("/_matrix/client/v3/createRoom", token, json!({})).await?;
    let room = made["room_id"].as_str().context("no room id")?;
    let mut client = WebClient::start(lab, host, &address).await?;
    client.open(lab, &account).await?;
    client.call(room, RESTART_EVERY).await?;
    client.said(RESTARTED).await?;
    lock_leaves(lab, &name, LOCKED).await?;
    client.counted("KE-4", 1).await?;
    // The answers that came too late are recorded too.
    tokio::time::sleep(RESTART_EVERY).await;
    let artefacts = client.close().await?;
    lab.log_written().await?;
    Ok((account, artefacts))
}

/// A native client whose store was evicted, and its log.
pub async fn evicted_native(lab: &Lab) -> Result<(Patient, PathBuf)> {
    let patient = admit(lab, "evicted-native").await?;
    let log = log_of(lab, &patient);
    let storm = async {
        let device = patient.open(lab).await?;
        device.sync().await?;
        forget(device).await?;
        storm(lab, &patient).await
    };
    told(&log, storm).await?;
    lab.log_written().await?;
    Ok((patient, log))
}

/// A native client whose store was replaced by an older copy of itself, and its log from then on.
pub async fn rolled_back_native(lab: &Lab) -> Result<(Patient, PathBuf)> {
    let patient = rolled_back(lab).await?;
    let log = log_of(lab, &patient);
    told(&log, storm(lab, &patient)).await?;
    lab.log_written().await?;
    Ok((patient, log))
}

/// A native client that is back with a new identity, while a caller sends media keys to the old one.
pub async fn dead_identity_native(lab: &Lab) -> Result<(Patient, PathBuf)> {
    let (patient, caller) = crate::media::dead_identity(lab).await?;
    let log = log_of(lab, &patient);
    let back = async {
        let device = patient.open(lab).await?;
        device.sync().await?;
        device.close().await;
        Ok(())
    };
    told(&log, back).await?;
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, log))
}

/// Peers wake a client that is refused at each round.
async fn storm(lab: &Lab, patient: &Patient) -> Result<()> {
    let device = patient.open(lab).await?;
    let began = patient.refusals(lab)?;
    for _ in 0..4 * STORM {
        patient.top_up(lab, &device).await?;
        lab.log_written().await?;
        if patient.refusals(lab)? >= began + STORM as usize {
            device.close().await;
            return Ok(());
        }
    }
    bail!("{} was not refused {STORM} times, see {}", patient.user, lab.log_path().display())
}

fn log_of(lab: &Lab, patient: &Patient) -> PathBuf {
    lab.scratch().join(format!("rust-sdk-{}.log", patient.device))
}

/// Does this with the Matrix client's own log in a file. Only what it does itself is written there: other
/// clients of the same process keep their own.
async fn told(log: &Path, done: impl Future<Output = Result<()>>) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_writer(Mutex::new(file))
        .with_env_filter(EnvFilter::new("warn,matrix_sdk=debug,matrix_sdk_crypto=debug"))
        .with_ansi(false)
        .finish();
    done.with_subscriber(Dispatch::new(subscriber)).await
}

/// Somebody else's transaction holds a user's delayed leaves for a while.
async fn lock_leaves(lab: &Lab, localpart: &str, length: Duration) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(&lab.database_url(), NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute("BEGIN").await?;
    let statement = "UPDATE delayed_events SET delay = delay WHERE user_localpart = $1";
    let held = client.execute(statement, &[&localpart]).await?;
    tokio::time::sleep(length).await;
    client.batch_execute("COMMIT").await?;
    drop(client);
    driver.await??;
    if held == 0 {
        bail!("{localpart} has no delayed leave");
    }
    Ok(())
}
