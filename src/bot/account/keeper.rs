//! A restored session → one that keeps working: its lease is renewed, problems of the account are noticed, and the
//! ops room gets one notice about each.
//!
//! Notices for the room are in `session.json` until the homeserver accepts them, so a crash loses none. This file
//! never decides about a command or a storm.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Client;
use matrix_sdk::encryption::DuplicateOneTimeKeyErrorMessage;
use ruma::{DeviceId, OwnedTransactionId};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, watch};

use super::device_keys;
use super::lease::Lease;
use super::notices;
use super::password::{self, Password};
use super::session::{RunEnd, StoredSession};
use super::session_end::{NeedsPerson, UnusableDevice};
use crate::bot::clock_offset;
use crate::bot::messages::delivery;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::bot::messages::transaction;
use crate::bot::ops_rooms::{alert_room, ops_rooms};
use crate::bot::settings::matrix_config;
use crate::config::{self, Config};
use crate::store::Store;

/// How often the clocks are compared and the device's signature is checked.
const LOOK: Duration = Duration::from_secs(60 * 60);
const LOOKS_A_DAY: u32 = 24;
/// The pause before the clocks are compared again where the homeserver did not answer: it may only be busy, as after
/// a restart of the whole machine.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// The pause after a notice could not be posted.
const PAUSE: Duration = Duration::from_secs(5);

/// The Matrix client's reports of one-time keys that the homeserver rejected.
pub(crate) type OneTimeKeyConflicts = broadcast::Receiver<Option<DuplicateOneTimeKeyErrorMessage>>;

/// A session that works, on an account that this process holds.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) client: Client,
    pub(crate) lease: Lease,
    pub(crate) store: Store,
    pub(crate) conflicts: OneTimeKeyConflicts,
}

impl Account {
    /// Runs `work` while the account certainly belongs to this process, and gives the client to the storm alerts for
    /// that time. In doubt the work is dropped, and restarted when the account is certain again. Ends when the work
    /// does, when the account is lost, or when the device has to be replaced; the error says which.
    pub(crate) async fn during<F: Future<Output = anyhow::Error>>(
        self,
        config: &Config,
        let_in: &watch::Sender<Option<Client>>,
        work: impl Fn() -> F,
    ) -> anyhow::Error {
        let Self { client, lease, store, conflicts } = self;
        let news = Notify::new();
        let keeper = Keeper { config, client: &client, store: &store, news: &news };
        let guarded = async {
            loop {
                lease.sure().await;
                let_in.send_replace(Some(client.clone()));
                tokio::select! {
                    biased;
                    () = lease.doubt() => drop(let_in.send_replace(None)),
                    ended = work() => return ended,
                }
            }
        };
        let ended = tokio::select! {
            ended = guarded => ended,
            lost = lease.clone().hold() => lost,
            unusable = keeper.notice_conflicts(conflicts) => unusable.into(),
            never = keeper.watch_clocks() => match never {},
            never = keeper.look_around() => match never {},
            never = keeper.tell() => match never {},
        };
        let_in.send_replace(None);
        note_end(&store, &ended);
        ended
    }
}

/// What looks after one session.
#[derive(Clone, Copy)]
struct Keeper<'a> {
    config: &'a Config,
    client: &'a Client,
    store: &'a Store,
    /// A notice is waiting.
    news: &'a Notify,
}

enum Never {}

impl Keeper<'_> {
    /// Ends when the server rejected this device's one-time keys and a new device can be created. Without a password
    /// the device keeps working as well as it can, and the room gets a notice.
    async fn notice_conflicts(self, mut conflicts: OneTimeKeyConflicts) -> UnusableDevice {
        loop {
            if let Err(RecvError::Closed) = conflicts.recv().await {
                std::future::pending::<()>().await;
            }
            tracing::error!("{}", UnusableDevice::Conflict);
            let mut replaceable = false;
            self.change(|session| {
                if session.conflict.is_none() {
                    session.conflict = Some(Timestamp::now());
                    let matrix = matrix_config(self.config);
                    replaceable =
                        matrix.is_ok_and(|matrix| session.password_file(matrix).is_some());
                    if !replaceable {
                        session.notes.push(notices::conflict(&session.device));
                    }
                }
            });
            if replaceable {
                return UnusableDevice::Conflict;
            }
        }
    }

    /// Compares the clocks: now, and every hour. The room gets one notice as long as a clock stays wrong.
    async fn watch_clocks(self) -> Never {
        let mut said = false;
        loop {
            let pause = match clock_offset::offset(self.client).await {
                Ok(offset) => {
                    let wrong = clock_offset::is_wrong(offset);
                    if wrong {
                        tracing::warn!("{}", clock_offset::describe(offset));
                    }
                    if wrong && !said {
                        self.change(|session| session.notes.push(notices::clocks(offset)));
                    }
                    said = wrong;
                    LOOK
                }
                Err(error) => {
                    tracing::info!("the clocks could not be compared, trying again: {error:#}");
                    ASK_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks whether the device is still signed: now, and every hour. Asks whether the password is still right: now,
    /// and every day.
    async fn look_around(self) -> Never {
        for look in 0_u32.. {
            self.look_at_signature().await;
            if look % LOOKS_A_DAY == 0 {
                self.look_at_password().await;
            }
            tokio::time::sleep(LOOK).await;
        }
        std::future::pending().await
    }

    async fn look_at_signature(self) {
        let Some(meta) = self.client.session_meta() else { return };
        match device_keys::own(self.client, &meta.user_id, &meta.device_id).await {
            Ok(keys) => self.change(|session| {
                let verified = keys.is_signed();
                if !verified && !session.said_unverified {
                    session.notes.push(notices::unverified(&session.device));
                }
                session.said_unverified = !verified;
            }),
            Err(error) => tracing::info!("the device's signature could not be checked: {error}"),
        }
    }

    async fn look_at_password(self) {
        let (Ok(Some(session)), Ok(matrix)) =
            (StoredSession::load(self.store), matrix_config(self.config))
        else {
            return;
        };
        let Some(path) = session.password_file(matrix) else { return };
        let wrong = match config::secret_file(&path) {
            Ok(secret) => {
                password::check(self.client, &matrix.user, &secret).await == Password::Wrong
            }
            Err(error) => {
                return tracing::warn!(
                    "{error}. Without the password Kestrel cannot replace a lost device (matrix.password_file)"
                );
            }
        };
        self.change(|session| {
            if wrong && !session.said_password {
                session.notes.push(notices::password(&path));
            }
            session.said_password = wrong;
        });
    }

    /// Posts the notices that are waiting.
    async fn tell(self) -> Never {
        loop {
            match self.tell_next().await {
                Ok(true) => {}
                Ok(false) => self.news.notified().await,
                Err(error) => {
                    tracing::warn!(
                        "a notice about the account could not be posted, trying again: {error:#}"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Posts the oldest notice; false when there is none.
    async fn tell_next(self) -> Result<bool> {
        let Some(session) = StoredSession::load(self.store)? else { return Ok(false) };
        let Some(note) = session.notes.first() else { return Ok(false) };
        let wanted = alert_room(self.config)?;
        let rooms = ops_rooms(self.config, &self.store.ledger());
        let open = rooms.open(self.client, &wanted).await?;
        let rings = if note.rings { matrix_config(self.config)?.admins.as_slice() } else { &[] };
        for room in &open.rooms {
            let txn = transaction(&session.device, note);
            match room_message::post(room, Destination::Room, note, rings, txn).await {
                Ok(_) => {}
                // The homeserver would reject it every time.
                Err(error) if delivery::is_unsendable(&error) => {
                    tracing::error!("a notice about the account is dropped: {error:#}");
                }
                Err(error) => return Err(error),
            }
        }
        StoredSession::change(self.store, |session| session.notes.retain(|kept| kept != note))?;
        Ok(true)
    }

    fn change(self, change: impl FnOnce(&mut StoredSession)) {
        if let Err(error) = StoredSession::change(self.store, change) {
            tracing::error!("session.json cannot be changed: {error:#}");
        }
        self.news.notify_one();
    }
}

/// Saves why a run ended for `kestrel doctor`, if only a person can help.
pub(crate) fn note_end(store: &Store, error: &anyhow::Error) {
    if !error.is::<NeedsPerson>() {
        return;
    }
    let ended = RunEnd { at: Timestamp::now(), why: format!("{error:#}") };
    if let Err(error) = StoredSession::change(store, |session| session.ended = Some(ended)) {
        tracing::error!("the reason why this run ended could not be saved: {error:#}");
    }
}

/// The same for the same notice of the same device, in every process.
fn transaction(device: &DeviceId, note: &OutgoingMessage) -> OwnedTransactionId {
    let note = format!("{device}\n{}", note.plain);
    format!("kestrel-account-{}", transaction::digest(note.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_note_is_one_message_whatever_the_process() {
        let device = ruma::device_id!("ABC");
        let note = notices::conflict(device);
        assert_eq!(transaction(device, &note), transaction(device, &notices::conflict(device)));
        assert_ne!(transaction(device, &note), transaction(ruma::device_id!("ABD"), &note));
        assert_ne!(transaction(device, &note), transaction(device, &notices::unverified(device)));
    }

    #[test]
    fn only_an_end_that_needs_a_person_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let text = r#"{"user": "@k:example.org", "device": "ABC", "access_token": "syt", "store_key":
            [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],
            "password_file": null, "published": true}"#;
        store.save_session(text).unwrap();
        note_end(&store, &anyhow!("the disk is full"));
        assert_eq!(StoredSession::load(&store).unwrap().unwrap().ended, None);
        note_end(&store, &NeedsPerson::error("held elsewhere"));
        let ended = StoredSession::load(&store).unwrap().unwrap().ended.unwrap();
        assert_eq!(ended.why, "held elsewhere");
    }
}
