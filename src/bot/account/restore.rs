//! The session in the store → a client that uses it and holds the account; or the reason why only a person can help.
//!
//! A device whose keys on the server differ from those in the store must not be used: the server would reject every
//! key upload without a visible error, which is the very failure that Kestrel looks for. It is detected before the
//! first upload. A new device replaces it if a password is available, under the account's existing identity.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Client;
use ruma::OwnedDeviceId;

use super::client::patiently;
use super::cross_signing::{self, IdentityPlan, SettledDevice};
use super::device_keys;
use super::keeper;
use super::keeper::{Account, OneTimeKeyConflicts};
use super::lease::{self, Lease};
use super::login;
use super::notices;
use super::session::{self, StoredSession, leave};
use super::session_end::{NeedsPerson, SessionEnd, UnusableDevice};
use crate::config::{self, Matrix};
use crate::store::Store;

/// The most devices in an hour. More means that something deletes or breaks them.
const MOST: usize = 5;
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// Restores the session on a device whose keys on the server match the store, and takes the account.
pub(crate) async fn restore(matrix: &Matrix, store: &Store) -> Result<Account> {
    let restored = whole(matrix, store).await;
    match &restored {
        Ok(_) => StoredSession::change(store, |session| session.ended = None)?,
        Err(error) => keeper::note_end(store, error),
    }
    restored
}

async fn whole(matrix: &Matrix, store: &Store) -> Result<Account> {
    let taken = loop {
        match take_up(matrix, store).await? {
            TakenUp::Whole(taken) => break taken,
            TakenUp::Gone(session, gone) => replace(matrix, store, &session, gone).await?,
        }
    };
    let Taken { client, session, signed, lease, conflicts } = *taken;
    settle(matrix, store, (&client, session), signed).await?;
    Ok(Account { client, lease, store: store.clone(), conflicts })
}

/// Ensures that the device's keys are published and signed, as far as that works without a person. `signed`: whether
/// the identity on the homeserver signs the device; the client may not know yet that the identity was replaced.
async fn settle(
    matrix: &Matrix,
    store: &Store,
    (client, session): (&Client, StoredSession),
    signed: bool,
) -> Result<()> {
    let mut session = session;
    let mut verified = signed && cross_signing::is_verified(client).await?;
    if !session.published || !verified || store.recovery_key()?.is_none() {
        let password = session.password_file(matrix).and_then(|path| {
            let password = config::secret_file(&path);
            let unusable = |error| tracing::warn!("the password file cannot be used: {error}");
            password.map_err(unusable).ok()
        });
        let plan =
            if verified { IdentityPlan::Leave } else { cross_signing::plan(client, store).await? };
        let settled = cross_signing::settle(client, store, plan, password.as_deref()).await?;
        for remark in &settled.remarks {
            tracing::warn!("{remark}");
        }
        verified = settled.verified;
    } else if session.ed25519.is_some() && session.identity.is_some() {
        return Ok(());
    }
    session.note_keys(client, verified).await?;
    if !verified && !session.said_unverified {
        session.notes.push(notices::unverified(&session.device));
    }
    session.said_unverified = !verified;
    session.save(store)
}

enum TakenUp {
    Whole(Box<Taken>),
    /// The device no longer works. The session is kept until a new one replaces it, so the next start repairs a
    /// failed login or a crash.
    Gone(Box<StoredSession>, DeviceLoss),
}

struct Taken {
    client: Client,
    session: StoredSession,
    signed: bool,
    lease: Lease,
    conflicts: OneTimeKeyConflicts,
}

/// Why a device no longer works.
#[derive(Debug, Clone, Copy)]
enum DeviceLoss {
    /// The homeserver ended the session.
    Ended(SessionEnd),
    /// The session works, and the crypto store is not the device's.
    Lost(&'static str),
    Unusable(UnusableDevice),
}

impl std::fmt::Display for DeviceLoss {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(over) => write!(out, "{over}"),
            Self::Lost(why) => write!(out, "the crypto store was lost or replaced: {why}"),
            Self::Unusable(why) => write!(out, "{why}"),
        }
    }
}

async fn take_up(matrix: &Matrix, store: &Store) -> Result<TakenUp> {
    let Some(session) = StoredSession::load(store)? else {
        return Err(NeedsPerson::error("there is no session in the store: run `kestrel login`"));
    };
    if session.user != matrix.user {
        let had = &session.user;
        let wanted = &matrix.user;
        return Err(NeedsPerson::error(format!(
            "the session is {had}'s, the configuration names {wanted}: run `kestrel login`"
        )));
    }
    if session.conflict.is_some() && session.password_file(matrix).is_some() {
        return Ok(TakenUp::Gone(
            Box::new(session),
            DeviceLoss::Unusable(UnusableDevice::Conflict),
        ));
    }
    let client = session::open(matrix, store, &session).await?;
    // Before the first upload: a conflict is reported once.
    let conflicts = client.subscribe_to_duplicate_key_upload_errors();
    let usable = async {
        let asked = patiently("asking for the own device's keys", || {
            device_keys::own(&client, &session.user, &session.device)
        });
        let keys = asked.await?;
        if let Some(why) = estranged(&client, &session, keys.device.as_ref()).await? {
            return Ok(Err(DeviceLoss::Lost(why)));
        }
        let lease = lease::take(&client, store).await?;
        Ok(Ok((lease, keys.is_signed())))
    };
    let gone = match usable.await {
        Ok(Ok((lease, signed))) => {
            let taken = Taken { client, session, signed, lease, conflicts };
            return Ok(TakenUp::Whole(Box::new(taken)));
        }
        Ok(Err(gone)) => gone,
        Err(error) => {
            match (SessionEnd::in_chain(&error), error.downcast_ref::<UnusableDevice>()) {
                (Some(over), _) => DeviceLoss::Ended(over),
                (None, Some(why)) => DeviceLoss::Unusable(*why),
                (None, None) => return Err(error),
            }
        }
    };
    Ok(TakenUp::Gone(Box::new(session), gone))
}

/// Why the keys on the server and in the store differ; `None` when they match. Must run before the client's first
/// upload.
async fn estranged(
    client: &Client,
    session: &StoredSession,
    theirs: Option<&device_keys::PublicDeviceKeys>,
) -> Result<Option<&'static str>> {
    let missing = "the crypto store has no identity keys";
    let ed25519 = client.encryption().ed25519_key().await.context(missing)?;
    let curve25519 = client.encryption().curve25519_key().await.context(missing)?.to_base64();
    Ok(match theirs {
        None if session.published => Some("the server has no keys of this device any more"),
        None => None,
        Some(keys) if (&keys.ed25519, &keys.curve25519) == (&ed25519, &curve25519) => None,
        Some(_) => Some("the server has different keys for this device"),
    })
}

/// Replaces a lost device, under the same identity if its recovery key is in the store; otherwise the new device is
/// not verified.
async fn replace(
    matrix: &Matrix,
    store: &Store,
    session: &StoredSession,
    gone: DeviceLoss,
) -> Result<()> {
    let old = session.device.clone();
    tracing::error!("device {old} no longer works: {gone}");
    if let DeviceLoss::Ended(over @ (SessionEnd::Deactivated | SessionEnd::Locked)) = gone {
        return Err(NeedsPerson::error(format!(
            "{over}. An administrator of the homeserver can change that; then start Kestrel again"
        )));
    }
    let Some(path) = session.password_file(matrix) else {
        return Err(without_password(matrix, store, session, gone).await);
    };
    let now = Timestamp::now();
    let lately: Vec<_> = (session.replaced.iter().copied())
        .filter(|at| now.duration_since(*at).abs() < LATELY)
        .collect();
    if lately.len() >= MOST {
        return Err(NeedsPerson::error(format!(
            "{gone}. Kestrel replaced its device {MOST} times within an hour and stops now. Find out who or \
             what deletes the bot's devices, then run `kestrel login`"
        )));
    }
    tracing::warn!("creating a new device with the password in {}", path.display());
    let entry = login::enter_alone(matrix, &path, session).await?;
    let looked = async {
        let client = entry.client(matrix).await?;
        match lease::wait_until_free(&client, store).await {
            // The new device is not a copy of an older one.
            Err(error) if error.is::<UnusableDevice>() => {}
            free => drop(free?),
        }
        cross_signing::plan(&client, store).await
    };
    let plan = match looked.await {
        Ok(plan) => plan,
        Err(error) => {
            entry.undo(matrix).await;
            return Err(error);
        }
    };
    let new = entry.device.clone();
    StoredSession::change(store, |session| {
        session.replaced = lately;
        session.replaced.push(now);
    })?;
    let (_, settled) = login::make(matrix, store, entry, plan).await?;
    tell_of_it(store, (&old, &new), gone, &settled)
}

fn tell_of_it(
    store: &Store,
    (old, new): (&OwnedDeviceId, &OwnedDeviceId),
    gone: DeviceLoss,
    settled: &SettledDevice,
) -> Result<()> {
    for remark in &settled.remarks {
        tracing::warn!("{remark}");
    }
    StoredSession::change(store, |session| {
        session.notes.push(notices::replaced(old, new, &gone.to_string(), settled.verified));
        session.said_unverified = !settled.verified;
    })
}

/// What a person has to do about a lost device. If the store was lost, the device is logged out, so that it does not
/// remain with keys that nobody holds. The device of an older copy may be in use elsewhere.
async fn without_password(
    matrix: &Matrix,
    store: &Store,
    session: &StoredSession,
    gone: DeviceLoss,
) -> anyhow::Error {
    let device = &session.device;
    let then = "Run `kestrel login` to create a new device. With `[matrix] password_file` Kestrel creates it \
                itself";
    let DeviceLoss::Lost(_) = gone else {
        return NeedsPerson::error(format!("{gone}. {then}"));
    };
    leave(matrix, device, &session.access_token).await;
    if let Err(error) = store.forget_session().and_then(|()| store.forget_crypto()) {
        return error;
    }
    NeedsPerson::error(format!(
        "{gone}. The old device {device} was logged out so that it does not become a stuck device. {then}"
    ))
}
