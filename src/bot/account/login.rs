//! A password or a token → a device of the bot's own → a session on disk.
//!
//! A login that is rejected leaves everything as it was: the session in the store, its device, and the account's
//! identity. No token or password is ever logged.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use matrix_sdk::Client;
use matrix_sdk::ruma::api::client::session::login;
use matrix_sdk::ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId};

use super::client::{self, patiently};
use super::cross_signing::{self, IdentityPlan, SettledDevice, Wishes};
use super::session::{StoredSession, leave, open};
use super::session_end::{NeedsPerson, SessionEnd};
use super::{device_keys, lease, random};
use crate::config::{self, Matrix};
use crate::store::Store;

/// What a session is created from.
pub enum Secret {
    /// Typed at a prompt; forgotten after the login.
    Password(String),
    /// A file with the password and nothing else. Its path is saved, so that a lost device can be replaced without a
    /// person.
    PasswordFile(PathBuf),
    /// A session that was created elsewhere for this bot only.
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

/// The result of a login.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// Whether the device is signed by the user's own identity, so that others can trust it.
    pub verified: bool,
    /// Where the recovery key was written; `None` when there is none yet.
    pub recovery_key: Option<PathBuf>,
    /// What the person who logs in should know or do, one line each.
    pub remarks: Vec<String>,
}

/// A device that was just created, or given, and is not used yet.
pub(crate) struct NewDevice {
    pub(crate) device: OwnedDeviceId,
    access_token: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

impl NewDevice {
    /// A client that stores nothing, for what has to be asked before the store is changed.
    pub(crate) async fn client(&self, matrix: &Matrix) -> Result<Client> {
        client::with_token(matrix, &self.device, &self.access_token).await
    }

    /// Removes the device again. A device that was given stays: its owner may use it for another try.
    pub(crate) async fn undo(&self, matrix: &Matrix) {
        if self.password.is_some() {
            leave(matrix, &self.device, &self.access_token).await;
        }
    }
}

/// Logs in for a person: creates a session, and signs its device. An earlier session's device is logged out once the
/// new one is on disk.
pub(crate) async fn log_in(
    matrix: &Matrix,
    store: &Store,
    secret: Secret,
    wishes: &Wishes,
) -> Result<LoggedIn> {
    let entry = enter(matrix, store, secret).await?;
    let looked = async {
        let client = entry.client(matrix).await?;
        let plan = cross_signing::plan_with(&client, store, wishes).await?;
        Ok::<_, anyhow::Error>((plan, held_elsewhere(&client, store).await?))
    };
    let (plan, held) = match looked.await {
        Ok(looked) => looked,
        Err(error) => {
            entry.undo(matrix).await;
            return Err(error);
        }
    };
    let (session, mut settled) = make(matrix, store, entry, plan).await?;
    settled.remarks.extend(held);
    Ok(LoggedIn {
        user: session.user,
        device: session.device,
        verified: settled.verified,
        recovery_key: settled.recovery_key,
        remarks: settled.remarks,
    })
}

/// Creates a device without a person, to replace an old one; `path` holds the password. It waits for a homeserver
/// that is offline.
pub(crate) async fn enter_alone(
    matrix: &Matrix,
    path: &Path,
    old: &StoredSession,
) -> Result<NewDevice> {
    let shown = path.display();
    let password = read_password(path).map_err(|error| {
        NeedsPerson::error(format!("{error:#}. Correct it, or run `kestrel login`"))
    })?;
    let client = client::bare(matrix).await?;
    let request = request(matrix, &password);
    let answer = patiently("logging in", || async { client.send(request.clone()).await }).await;
    // Temporary errors were retried.
    let answer = answer.map_err(|error| {
        if let Some(over) = SessionEnd::in_chain(&error) {
            return NeedsPerson::error(over.to_string());
        }
        if is_refused(&error) {
            return NeedsPerson::error(format!(
                "the homeserver rejects the password in {shown}: the password was changed, or the account is \
                 deactivated. Put the account's current password into the file, or run `kestrel login`"
            ));
        }
        NeedsPerson::error(format!("{error:#}. Run `kestrel login`"))
    })?;
    check_user(matrix, &answer)?;
    Ok(NewDevice {
        device: answer.device_id,
        access_token: answer.access_token,
        password: Some(password),
        password_file: old.password_file.clone(),
    })
}

/// Replaces the device in the store with a new one, and settles its identity.
pub(crate) async fn make(
    matrix: &Matrix,
    store: &Store,
    entry: NewDevice,
    plan: IdentityPlan,
) -> Result<(StoredSession, SettledDevice)> {
    let old = StoredSession::load(store);
    store.forget_crypto()?;
    let kept = old.as_ref().ok().and_then(Option::as_ref);
    let mut session = StoredSession {
        user: matrix.user.clone(),
        device: entry.device,
        access_token: entry.access_token,
        store_key: random::key()?,
        password_file: entry.password_file,
        published: false,
        ed25519: None,
        identity: None,
        conflict: None,
        replaced: kept.map(|old| old.replaced.clone()).unwrap_or_default(),
        said_unverified: false,
        said_password: false,
        notes: kept.map(|old| old.notes.clone()).unwrap_or_default(),
        ended: None,
    };
    // In this order: a crash before this line leaves the old session, whose store is seen to be lost.
    session.save(store)?;
    match old {
        Ok(Some(old)) => leave(matrix, &old.device, &old.access_token).await,
        Ok(None) => {}
        Err(error) => {
            tracing::warn!("the old device could not be signed out; sign it out by hand: {error:#}")
        }
    }
    let client = open(matrix, store, &session).await?;
    let settled = cross_signing::settle(&client, store, plan, entry.password.as_deref()).await?;
    session.note_keys(&client, settled.verified).await?;
    session.save(store)?;
    // The encryption state is new, even if the store was an older copy.
    lease::adopt(&client, store).await?;
    Ok((session, settled))
}

/// A device for a person's login.
async fn enter(matrix: &Matrix, store: &Store, secret: Secret) -> Result<NewDevice> {
    let (password, password_file) = match secret {
        Secret::Token { access_token, device_id } => {
            check_token(matrix, store, &access_token, &device_id).await?;
            let password = None;
            let password_file = None;
            return Ok(NewDevice { device: device_id, access_token, password, password_file });
        }
        Secret::Password(password) => (password, None),
        Secret::PasswordFile(path) => (read_password(&path)?, Some(std::path::absolute(path)?)),
    };
    // On a client that has no store: nothing is lost if it is rejected.
    let answer = client::bare(matrix).await?.send(request(matrix, &password)).await;
    let answer = answer.with_context(|| format!("cannot log in at {}", matrix.homeserver))?;
    check_user(matrix, &answer)?;
    let device = answer.device_id;
    let access_token = answer.access_token;
    Ok(NewDevice { device, access_token, password: Some(password), password_file })
}

fn request(matrix: &Matrix, password: &str) -> login::v3::Request {
    let who = UserIdentifier::Matrix(MatrixUserIdentifier::new(matrix.user.to_string()));
    let info = login::v3::LoginInfo::Password(login::v3::Password::new(who, password.to_owned()));
    let mut request = login::v3::Request::new(info);
    request.initial_device_display_name = Some("Kestrel".to_owned());
    request
}

fn check_user(matrix: &Matrix, answer: &login::v3::Response) -> Result<()> {
    if answer.user_id != matrix.user {
        bail!("the homeserver logged in {} instead of {}", answer.user_id, matrix.user);
    }
    Ok(())
}

/// Whether the homeserver rejected the password. Synapse answers the same for a deactivated account.
fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let http = cause.downcast_ref::<matrix_sdk::HttpError>();
        http.and_then(matrix_sdk::HttpError::as_client_api_error)
            .is_some_and(|error| error.status_code.as_u16() == 403)
    })
}

/// Checks that a token belongs to the bot, and to a device that no other client uses for encryption.
async fn check_token(
    matrix: &Matrix,
    store: &Store,
    access_token: &str,
    device: &DeviceId,
) -> Result<()> {
    let client = client::with_token(matrix, device, access_token).await?;
    let whose = (client.whoami().await).context("the homeserver rejected the access token")?;
    if whose.user_id != matrix.user {
        let had = &whose.user_id;
        let wanted = &matrix.user;
        bail!("the access token is {had}'s, the configuration names {wanted}");
    }
    if whose.device_id.as_deref() != Some(device) {
        bail!("the access token belongs to another device than {device}");
    }
    let known = device_keys::own(&client, &matrix.user, device).await?.device;
    let ours = StoredSession::load(store).ok().flatten().is_some_and(|old| old.device == device);
    match (known, ours) {
        (None, false) => Ok(()),
        (_, true) => bail!("Kestrel is already logged in as device {device}. Run `kestrel run`"),
        (Some(_), false) => bail!(
            "device {device} already has encryption keys from another client; with new ones both would \
             break. Make a session for Kestrel alone (a POST to /_matrix/client/v3/login) and give its token"
        ),
    }
}

/// A remark for a person whose other store holds the account.
async fn held_elsewhere(client: &Client, store: &Store) -> Result<Option<String>> {
    let store_run = store.lease()?.and_then(|text| lease::StoreRun::read(&text));
    let record = patiently("asking which process uses the account", || lease::read(client)).await?;
    let holder = lease::holder(record.as_ref(), store_run.as_ref());
    Ok(record.filter(|_| holder == lease::AccountHolder::Other).map(|record| {
        format!(
            "Another store uses this account: {}. Stop that Kestrel before you run this one.",
            record.describe()
        )
    }))
}

fn read_password(path: &Path) -> Result<String> {
    config::secret_file(path)
        .map_err(|error| anyhow!("{error}"))
        .context("the password file cannot be used")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let token =
            Secret::Token { access_token: "syt_secret".to_owned(), device_id: "DEV".into() };
        assert_eq!(format!("{token:?}"), "Token(…)");
        let password = Secret::Password("hunter2".to_owned());
        assert_eq!(format!("{password:?}"), "Password(…)");
        let wishes = Wishes { recovery_key: Some("EsTx".to_owned()), ..Wishes::default() };
        assert!(!format!("{wishes:?}").contains("EsTx"));
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
}
