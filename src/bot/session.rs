//! A password or a token → a session on disk → a Matrix client that speaks for it.
//!
//! A device whose keys on the server are not the ones in the local store must not go on: it would be
//! refused at every key upload and never tell why, which is the failure Kestrel looks for. That is
//! noticed before the first upload, and ends in a new device. No token or password is ever logged.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use matrix_sdk::ruma::DeviceKeyAlgorithm;
use matrix_sdk::ruma::api::client::keys::get_keys;
use matrix_sdk::ruma::api::client::session::{login, logout};
use matrix_sdk::ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use matrix_sdk::{Client, HttpError};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use super::client::{self, patiently};
use super::identity;
use crate::config::{self, Matrix};
use crate::store::Store;

/// What a session is made from.
pub enum Secret {
    /// Typed at a prompt; forgotten after the login.
    Password(String),
    /// A file with the password and nothing else. Its path is remembered, so that a new device can be
    /// made without a person when the store is lost.
    PasswordFile(PathBuf),
    /// A session that was made elsewhere for this bot alone.
    Token { access_token: String, device_id: OwnedDeviceId },
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::PasswordFile(_) => "PasswordFile(…)",
            Self::Token { .. } => "Token(…)",
        })
    }
}

/// What a login came to.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// Whether the device is signed by the user's own identity, so that others can trust it.
    pub verified: bool,
    /// Where the recovery key was written; `None` when there is none yet.
    pub recovery_key: Option<PathBuf>,
    /// What the person who logs in should know or do, a line each.
    pub remarks: Vec<String>,
}

/// `session.json`.
#[derive(Clone, Serialize, Deserialize)]
struct Session {
    user: OwnedUserId,
    device: OwnedDeviceId,
    access_token: String,
    /// Opens the client's databases.
    store_key: [u8; 32],
    password_file: Option<PathBuf>,
    /// Whether the device's keys were published: from then on the server must have them.
    published: bool,
}

/// Makes a session and everything that goes with it. An earlier session's device is logged out, once
/// the new one is on disk.
pub(super) async fn make(matrix: &Matrix, store: &Store, secret: Secret) -> Result<LoggedIn> {
    let password_file = match &secret {
        Secret::PasswordFile(path) => Some(std::path::absolute(path)?),
        _ => None,
    };
    let password = match &secret {
        Secret::Password(password) => Some(password.clone()),
        Secret::PasswordFile(path) => Some(read_password(path)?),
        Secret::Token { .. } => None,
    };
    let (device, access_token) = match (&secret, &password) {
        (Secret::Token { access_token, device_id }, _) => {
            check_token(matrix, store, access_token, device_id).await?;
            (device_id.clone(), access_token.clone())
        }
        (_, Some(password)) => log_in(matrix, password).await?,
        (_, None) => bail!("there is no password to log in with"),
    };
    let old = load(store);
    store.forget_crypto()?;
    let mut session = Session {
        user: matrix.user.clone(),
        device,
        access_token,
        store_key: random_key()?,
        password_file,
        published: false,
    };
    // In this order: a crash before this line leaves the old session, whose store is seen to be lost.
    save(store, &session)?;
    match old {
        Ok(Some(old)) => leave(matrix, &old).await,
        Ok(None) => {}
        Err(error) => tracing::warn!("the old device stays behind, sign it out by hand: {error:#}"),
    }
    let client = open(matrix, store, &session).await?;
    let settled = identity::settle(&client, store, password.as_deref()).await?;
    session.published = true;
    save(store, &session)?;
    Ok(LoggedIn {
        user: session.user,
        device: session.device,
        verified: settled.verified,
        recovery_key: settled.recovery_key,
        remarks: settled.remarks,
    })
}

/// Restores the session, on a device that the server knows by the keys in the store. A device that it
/// knows by other keys is logged out, and a new one made where the password is at hand.
pub(super) async fn restore(matrix: &Matrix, store: &Store) -> Result<Client> {
    let (client, mut session) = match take_up(matrix, store).await? {
        TakenUp::Whole(client, session) => (client, session),
        TakenUp::Lost(password_file) => {
            tracing::warn!("making a new device with the password file");
            make(matrix, store, Secret::PasswordFile(password_file)).await?;
            match take_up(matrix, store).await? {
                TakenUp::Whole(client, session) => (client, session),
                TakenUp::Lost(_) => bail!("the new device was lost at once; giving up"),
            }
        }
    };
    let verified = identity::is_verified(&client).await?;
    if !session.published || !verified || store.recovery_key()?.is_none() {
        let password = (session.password_file.as_deref())
            .map(read_password)
            .transpose()
            .unwrap_or_else(|error| {
                tracing::warn!("{error:#}");
                None
            });
        let settled = identity::settle(&client, store, password.as_deref()).await?;
        for remark in settled.remarks {
            tracing::warn!("{remark}");
        }
        session.published = true;
        save(store, &session)?;
    }
    Ok(client)
}

enum TakenUp {
    Whole(Client, Session),
    /// The password is in this file. The session stays until a new one takes its place: a login that
    /// fails, or a crash, is then made good by the next start.
    Lost(PathBuf),
}

async fn take_up(matrix: &Matrix, store: &Store) -> Result<TakenUp> {
    let Some(session) = load(store)? else {
        bail!("there is no session in the store: run `kestrel login`");
    };
    if session.user != matrix.user {
        let (had, wanted) = (&session.user, &matrix.user);
        bail!("the session is {had}'s, the configuration names {wanted}: run `kestrel login`");
    }
    let client = open(matrix, store, &session).await?;
    let Some(why) = estranged(&client, &session).await? else {
        return Ok(TakenUp::Whole(client, session));
    };
    let device = &session.device;
    tracing::error!(
        "the crypto store was lost or replaced: {why}. Device {device} can never work again and is logged out"
    );
    drop(client);
    if let Some(path) = session.password_file {
        return Ok(TakenUp::Lost(path));
    }
    leave(matrix, &session).await;
    store.forget_session()?;
    store.forget_crypto()?;
    bail!(
        "the crypto store was lost or replaced: {why}. The old device {device} was logged out so that it \
         does not become a stuck device. Run `kestrel login` again to make a new one"
    )
}

/// Why the server and the store do not mean the same device; `None` when they do. Must come before the
/// client's first upload.
async fn estranged(client: &Client, session: &Session) -> Result<Option<&'static str>> {
    let ours = (
        client.encryption().ed25519_key().await,
        (client.encryption().curve25519_key().await).map(|key| key.to_base64()),
    );
    let (Some(ed25519), Some(curve25519)) = ours else {
        bail!("the crypto store has no identity keys");
    };
    let theirs = patiently("asking for the own device's keys", || {
        published_keys(client, &session.user, &session.device)
    })
    .await?;
    Ok(match theirs {
        None if session.published => Some("the server has no keys of this device any more"),
        None => None,
        Some(keys) if keys == (ed25519, curve25519) => None,
        Some(_) => Some("the server knows this device by other keys"),
    })
}

/// The ed25519 and curve25519 keys the server has for a device.
async fn published_keys(
    client: &Client,
    user: &UserId,
    device: &DeviceId,
) -> Result<Option<(String, String)>, HttpError> {
    let mut request = get_keys::v3::Request::new();
    request.device_keys.insert(user.to_owned(), vec![device.to_owned()]);
    let response = client.send(request).await?;
    let Some(raw) = (response.device_keys.get(user)).and_then(|devices| devices.get(device)) else {
        return Ok(None);
    };
    // Keys that cannot be read are not ours either.
    let Ok(keys) = raw.deserialize() else {
        return Ok(Some(Default::default()));
    };
    let key_of = |algorithm: DeviceKeyAlgorithm| {
        (keys.keys.iter())
            .find(|(id, _)| id.algorithm() == algorithm)
            .map(|(_, key)| key.clone())
            .unwrap_or_default()
    };
    Ok(Some((key_of(DeviceKeyAlgorithm::Ed25519), key_of(DeviceKeyAlgorithm::Curve25519))))
}

/// Asks for a session with a password, on a client that has no store: nothing is lost if it is refused.
async fn log_in(matrix: &Matrix, password: &str) -> Result<(OwnedDeviceId, String)> {
    let who = UserIdentifier::Matrix(MatrixUserIdentifier::new(matrix.user.to_string()));
    let info = login::v3::LoginInfo::Password(login::v3::Password::new(who, password.to_owned()));
    let mut request = login::v3::Request::new(info);
    request.initial_device_display_name = Some("Kestrel".to_owned());
    let client = client::bare(matrix).await?;
    let response = (client.send(request).await)
        .with_context(|| format!("cannot log in at {}", matrix.homeserver))?;
    if response.user_id != matrix.user {
        bail!("the homeserver logged in {} instead", response.user_id);
    }
    Ok((response.device_id, response.access_token))
}

/// Makes sure that a token belongs to the bot, and to a device that nobody else uses for encryption.
async fn check_token(
    matrix: &Matrix,
    store: &Store,
    access_token: &str,
    device: &DeviceId,
) -> Result<()> {
    let client = client::with_token(matrix, device, access_token).await?;
    let whose = (client.whoami().await).context("the homeserver refused the access token")?;
    if whose.user_id != matrix.user {
        let (had, wanted) = (&whose.user_id, &matrix.user);
        bail!("the access token is {had}'s, the configuration names {wanted}");
    }
    if whose.device_id.as_deref() != Some(device) {
        bail!("the access token belongs to another device than {device}");
    }
    let known = published_keys(&client, &matrix.user, device).await?;
    let ours = load(store).ok().flatten().is_some_and(|old| old.device == device);
    match (known, ours) {
        (None, false) => Ok(()),
        (_, true) => bail!("device {device} is the one Kestrel is logged in as: just run it"),
        (Some(_), false) => bail!(
            "device {device} already has encryption keys from another client; with new ones both would \
             break. Make a session for Kestrel alone (a POST to /_matrix/client/v3/login) and give its token"
        ),
    }
}

/// Logs a session's device out, so that it does not stay behind with keys that nobody holds. Best effort:
/// its token may be dead already.
async fn leave(matrix: &Matrix, session: &Session) {
    let device = &session.device;
    let done = async {
        let client = client::with_token(matrix, device, &session.access_token).await?;
        patiently("logging the old device out", || async {
            client.send(logout::v3::Request::new()).await
        })
        .await
    };
    match done.await {
        Ok(_) => tracing::info!("the old device {device} is logged out"),
        Err(error) => tracing::warn!("the old device {device} could not be logged out: {error:#}"),
    }
}

async fn open(matrix: &Matrix, store: &Store, session: &Session) -> Result<Client> {
    let path = store.crypto_folder()?;
    client::with_store(matrix, &path, &session.store_key, &session.device, &session.access_token)
        .await
}

fn load(store: &Store) -> Result<Option<Session>> {
    let Some(text) = store.session()? else {
        return Ok(None);
    };
    // The text holds secrets and so might serde's message: it stays unsaid.
    let session = serde_json::from_str(&text).map_err(|_| {
        anyhow!("session.json in the store is broken: remove it and run `kestrel login`")
    })?;
    Ok(Some(session))
}

fn save(store: &Store, session: &Session) -> Result<()> {
    store.save_session(&serde_json::to_string_pretty(session)?)
}

fn read_password(path: &Path) -> Result<String> {
    config::secret_file(path).context("the password file cannot be used")
}

/// 256 random bits from the system.
fn random_key() -> Result<[u8; 32]> {
    let mut random = [0; 32];
    let mut source = fs::File::open("/dev/urandom").context("no source of randomness")?;
    source.read_exact(&mut random)?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let token =
            Secret::Token { access_token: "syt_secret".to_owned(), device_id: "DEV".into() };
        assert_eq!(format!("{token:?}"), "Token(…)");
        let password = Secret::Password("hunter2".to_owned());
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    #[test]
    fn a_password_file_may_end_in_a_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, " two words \r\n").unwrap();
        assert!(read_password(&path).is_err(), "everyone can read it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_password(&path).unwrap(), " two words ");
    }

    #[test]
    fn a_broken_session_says_so_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        store.save_session("{\"access_token\": \"syt_secret\"").unwrap();
        let Err(error) = load(&store) else {
            panic!("a torn session was read");
        };
        assert!(!format!("{error:#}").contains("syt_secret"));
    }

    #[test]
    fn keys_differ() {
        assert_ne!(random_key().unwrap(), random_key().unwrap());
    }
}
