//! Turns a name of a fault into that fault: real clients on real stores, brought into the state that
//! real users' devices get into.
//!
//! Each fault is caused, never written: no row is inserted and no log line made up. Only the peers'
//! claims are bare requests, because a client claims when it sends and not when a test needs it to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

use crate::device::{Device, Syncing};
pub use crate::forge::{forged_login, forged_storm};
use crate::lab::{Account, Lab};
use crate::media;
use crate::wire::Wire;

/// So many refusals make a storm in everybody's eyes.
const STORM: usize = 5;
const STORM_PATIENCE: Duration = Duration::from_secs(40);
/// A client answers a wake-up within a second: it waits that long between two syncs.
const WAKE_EVERY: Duration = Duration::from_millis(400);
/// A call's keys change with who is in it; here this often.
const UNDRAINED_EVERY: Duration = Duration::from_secs(1);
/// A client's first batch, ids 0 to 49.
const FIRST_BATCH: usize = 50;

/// The faults by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The store was deleted and the session kept: a new identity under the old device id.
    Evict,
    /// Two clients on copies of one store: both top up with the same ids.
    TwoClients,
    /// The store was replaced by an older copy of itself.
    Rollback,
    /// As evict, after the first batch was claimed: nothing collides and nothing is refused.
    Silent,
    /// The device is away and its keys are used up, down to the fallback key.
    Exhaust,
    /// Nothing is wrong: keys are claimed and topped up.
    Healthy,
    /// As evict, and then logged out and logged in again under the same device ID: cured.
    Cured,
    /// A call's media keys are sent to the identity from before an eviction.
    DeadIdentity,
    /// A call's media keys are sent to a device that is away.
    Undrained,
    /// A call's media keys are sent to a device that was logged out.
    Stale,
}

impl Fault {
    pub async fn cause(self, lab: &Lab) -> Result<Patient> {
        match self {
            Self::Evict => evict(lab).await,
            Self::TwoClients => two_clients(lab).await,
            Self::Rollback => rollback(lab).await,
            Self::Silent => silent(lab).await,
            Self::Exhaust => exhaust(lab).await,
            Self::Healthy => healthy(lab).await,
            Self::Cured => crate::cured::cured(lab).await,
            Self::DeadIdentity => Ok(media::dead_identity(lab).await?.0),
            Self::Undrained => {
                let (patient, caller) = media::undrained(lab).await?;
                // The call continues, and what waits grows, for as long as this process lives.
                tokio::spawn(async move { caller.send(u64::MAX, UNDRAINED_EVERY).await });
                Ok(patient)
            }
            Self::Stale => Ok(media::stale(lab).await?.0),
        }
    }
}

/// A device with a fault. Its clients run, and peers keep waking them, until this is dropped or `rest`
/// is called.
#[derive(Debug)]
pub struct Patient {
    pub user: String,
    pub device: String,
    /// Just before the account was made.
    pub since: SystemTime,
    /// The patient's session: anyone who holds it is the device.
    pub account: Account,
    /// Somebody who talks to the patient.
    pub peer: Account,
    pub(crate) store: PathBuf,
    pub(crate) clients: Vec<Syncing>,
    waker: Option<Waker>,
}

/// The store is deleted and the session kept. The new identity offers ids 0–49 again, for ever: twice a
/// second while peers wake it, and until it is told to `calm` down, `rest` or `heal`.
pub async fn evict(lab: &Lab) -> Result<Patient> {
    let mut patient = admit(lab, "evicted").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    forget(device).await?;
    patient.run(lab).await?;
    patient.wake(lab);
    patient.refused(lab, STORM).await?;
    Ok(patient)
}

/// Two clients on copies of one store. A claim makes both of them top up with the same ids; one is
/// accepted and continues, the other is refused and cannot.
pub async fn two_clients(lab: &Lab) -> Result<Patient> {
    const ROUNDS: usize = 4;
    const CLAIMS_A_ROUND: usize = 8;
    let mut patient = admit(lab, "doubled").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    device.sync().await?;
    let store = device.close().await;
    let copy = store.with_added_extension("copy");
    copy_store(&store, &copy)?;
    patient.run(lab).await?;
    let second = Device::open(lab, &patient.account, &copy).await?;
    patient.clients.push(second.syncing());
    for _ in 0..ROUNDS {
        patient.claim(lab, CLAIMS_A_ROUND).await?;
        patient.wake(lab);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    patient.refused(lab, STORM).await?;
    Ok(patient)
}

/// The store is replaced by a copy from before the last upload. Claims are oldest first, so a client
/// asked to top up offers ids of that upload while they are still there.
pub async fn rollback(lab: &Lab) -> Result<Patient> {
    let mut patient = rolled_back(lab).await?;
    patient.run(lab).await?;
    patient.wake(lab);
    patient.refused(lab, STORM).await?;
    Ok(patient)
}

/// The same before its client runs on the older store.
pub(crate) async fn rolled_back(lab: &Lab) -> Result<Patient> {
    let patient = admit(lab, "rolledback").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    device.sync().await?;
    let store = device.close().await;
    let older = store.with_added_extension("older");
    copy_store(&store, &older)?;

    patient.claim(lab, 30).await?;
    let device = patient.open(lab).await?;
    patient.top_up(lab, &device).await?;
    forget(device).await?;
    std::fs::rename(&older, &store).context("cannot put the older store back")?;

    patient.claim(lab, 10).await?;
    Ok(patient)
}

/// As `evict`, but the first batch is claimed by then. The server has forgotten those ids and takes
/// the new identity's; the dead one's second batch stays beside them.
pub async fn silent(lab: &Lab) -> Result<Patient> {
    let mut patient = admit(lab, "silent").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    patient.claim(lab, FIRST_BATCH).await?;
    patient.top_up(lab, &device).await?;
    forget(device).await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    patient.top_up(lab, &device).await?;
    patient.clients.push(device.syncing());
    lab.log_written().await?;
    Ok(patient)
}

/// Every key is claimed while the device is away, and then the fallback key twice.
pub async fn exhaust(lab: &Lab) -> Result<Patient> {
    let patient = admit(lab, "exhausted").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    device.sync().await?;
    device.close().await;
    patient.claim(lab, FIRST_BATCH + 2).await?;
    lab.log_written().await?;
    Ok(patient)
}

/// A device as it should be.
pub async fn healthy(lab: &Lab) -> Result<Patient> {
    let mut patient = admit(lab, "healthy").await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    for claims in [12, 5] {
        patient.claim(lab, claims).await?;
        patient.top_up(lab, &device).await?;
    }
    patient.clients.push(device.syncing());
    lab.log_written().await?;
    Ok(patient)
}

impl Patient {
    /// Peers claim so many of the device's keys, one request each; returns the ids handed out.
    pub async fn claim(&self, lab: &Lab, count: usize) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let body = json!({"one_time_keys": {&self.user: {&self.device: "signed_curve25519"}}});
            let token = Some(self.peer.access_token.as_str());
            let answer = lab.wire().post("/_matrix/client/v3/keys/claim", token, body).await?;
            let keys = &answer["one_time_keys"][&self.user][&self.device];
            ids.extend(keys.as_object().into_iter().flat_map(|keys| keys.keys().cloned()));
        }
        Ok(ids)
    }

    /// Lets a device that is not syncing notice how many of its keys are left, and fill up. A client
    /// looks at the count only in a sync that brings something, so it is sent something.
    pub(crate) async fn top_up(&self, lab: &Lab, device: &Device) -> Result<()> {
        Hello::new(lab, &self.peer, &self.user, &self.device).say().await?;
        device.sync().await
    }

    /// How many of the user's uploads were refused so far.
    pub fn refusals(&self, lab: &Lab) -> Result<usize> {
        refusals(lab.log_path(), &self.user)
    }

    /// The peers fall silent and the device's clients continue: an evicted one is refused at every sync still,
    /// which is once a long poll and no longer twice a second. `wake` makes it fast again.
    pub fn calm(&mut self) {
        self.waker = None;
    }

    /// Ends an eviction's refusals as time does: peers claim every key of the dead identity, after which the
    /// running client's own are taken. Gives the ids that were handed out dead. It cures nothing: each of
    /// them is one message that cannot be decrypted.
    pub async fn heal(&self, lab: &Lab) -> Result<Vec<String>> {
        let (before, dead) = (accepted(lab, self).await?, self.claim(lab, FIRST_BATCH).await?);
        let hello = Hello::new(lab, &self.peer, &self.user, &self.device);
        let deadline = Instant::now() + STORM_PATIENCE;
        while accepted(lab, self).await? <= before {
            if Instant::now() > deadline {
                bail!("{} is refused still, {} claims later", self.user, dead.len());
            }
            hello.say().await?;
            tokio::time::sleep(WAKE_EVERY).await;
        }
        Ok(dead)
    }

    /// Stops the device's clients and the peers that wake them.
    pub fn rest(&mut self) {
        self.waker = None;
        self.clients.clear();
    }

    /// Lets peers wake the device a few times a second.
    pub fn wake(&mut self, lab: &Lab) {
        if self.waker.is_none() {
            let hello = Hello::new(lab, &self.peer, &self.user, &self.device);
            self.waker = Some(Waker::start(hello));
        }
    }

    /// Waits until so many of the device's uploads were refused since it was admitted.
    pub async fn refused(&self, lab: &Lab, count: usize) -> Result<()> {
        let deadline = Instant::now() + STORM_PATIENCE;
        loop {
            let seen = refusals(lab.log_path(), &self.user)?;
            if seen >= count {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} was to be refused {count} times and was {seen} times in {STORM_PATIENCE:?}; \
                     the fault did not take, see {}",
                    self.user,
                    lab.log_path().display()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Opens the device on its store: a new one when there is none.
    pub async fn open(&self, lab: &Lab) -> Result<Device> {
        Device::open(lab, &self.account, &self.store).await
    }

    /// Opens the device and leaves it running.
    pub async fn run(&mut self, lab: &Lab) -> Result<()> {
        let device = self.open(lab).await?;
        self.clients.push(device.syncing());
        Ok(())
    }
}

/// A new account and somebody who talks to it.
pub(crate) async fn admit(lab: &Lab, name: &str) -> Result<Patient> {
    let since = SystemTime::now();
    let name = lab.fresh_name(name);
    let account = lab.register(&name).await?;
    let peer = lab.register(&format!("{name}-peer")).await?;
    Ok(Patient {
        user: account.user_id.clone(),
        device: account.device_id.clone(),
        since,
        store: lab.scratch().join(format!("store-{name}")),
        account,
        peer,
        clients: Vec::new(),
        waker: None,
    })
}

/// Ends a client and deletes its store, as a browser does when it needs the room.
pub(crate) async fn forget(device: Device) -> Result<()> {
    let store = device.close().await;
    std::fs::remove_dir_all(&store).context("cannot delete a client's store")
}

fn copy_store(from: &Path, to: &Path) -> Result<()> {
    crate::template::copy(from, to)
}

/// How many uploads of this user were refused, by the log. The user's name is in the line because
/// the offered keys are signed with it.
fn refusals(log: &Path, user: &str) -> Result<usize> {
    let log = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let log = String::from_utf8_lossy(&log);
    let refused = log
        .lines()
        .filter(|line| line.contains(" already exists. Old key: ") && line.contains(user));
    Ok(refused.count())
}

/// When the newest of the device's stored keys was taken, in the milliseconds of the server's clock.
async fn accepted(lab: &Lab, patient: &Patient) -> Result<i64> {
    let (client, connection) = tokio_postgres::connect(&lab.database_url(), NoTls).await?;
    let driver = tokio::spawn(connection);
    let row = client
        .query_one(
            "SELECT coalesce(max(ts_added_ms), 0) FROM e2e_one_time_keys_json \
             WHERE user_id = $1 AND device_id = $2",
            &[&patient.user, &patient.device],
        )
        .await?;
    drop(client);
    driver.await??;
    Ok(row.get(0))
}

/// A peer's message to the device, of no meaning but that it arrives.
struct Hello {
    wire: Wire,
    token: String,
    body: Value,
}

impl Hello {
    fn new(lab: &Lab, peer: &Account, user: &str, device: &str) -> Self {
        Self {
            wire: lab.wire().clone(),
            token: peer.access_token.clone(),
            body: json!({"messages": {user: {device: {"hello": "from the lab"}}}}),
        }
    }

    async fn say(&self) -> Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let transaction = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/_matrix/client/v3/sendToDevice/org.kestrel.lab.hello/{transaction}");
        self.wire.put(&path, Some(&self.token), self.body.clone()).await?;
        Ok(())
    }
}

/// A peer whose messages end the device's long poll again and again.
#[derive(Debug)]
struct Waker(JoinHandle<()>);

impl Waker {
    fn start(hello: Hello) -> Self {
        Self(tokio::spawn(async move {
            loop {
                if let Err(error) = hello.say().await {
                    tracing::debug!(%error, "a peer's message was not taken");
                }
                tokio::time::sleep(WAKE_EVERY).await;
            }
        }))
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
