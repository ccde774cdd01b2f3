//! `session.json` in the store → the session, its client, and its end. No token is ever logged.

use std::path::PathBuf;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Client;
use matrix_sdk::ruma::api::client::session::logout;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::client::{self, patiently};
use super::cross_signing;
use super::session_end::{NeedsPerson, SessionEnd};
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::config::Matrix;
use crate::store::Store;

/// `session.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    pub(crate) user: OwnedUserId,
    pub(crate) device: OwnedDeviceId,
    pub(crate) access_token: String,
    /// Opens the client's databases.
    pub(crate) store_key: [u8; 32],
    pub(super) password_file: Option<PathBuf>,
    /// Whether the device's keys were published: from then on the server must have them.
    pub(crate) published: bool,
    /// The public keys of the device and of the identity, as last confirmed. For `kestrel doctor`, which may not open
    /// the client's databases while the bot runs.
    #[serde(default)]
    pub(crate) ed25519: Option<String>,
    #[serde(default)]
    pub(crate) identity: Option<String>,
    /// When the homeserver began to reject the device's one-time keys.
    #[serde(default)]
    pub(crate) conflict: Option<Timestamp>,
    /// When devices were created without a person, the newest ones.
    #[serde(default)]
    pub(crate) replaced: Vec<Timestamp>,
    /// Whether the ops room has the notice that the device is not verified.
    #[serde(default)]
    pub(crate) said_unverified: bool,
    /// Whether the ops room has the notice that the password in the password file is wrong.
    #[serde(default)]
    pub(crate) said_password: bool,
    /// Notices about the account that are not posted yet.
    #[serde(default)]
    pub(crate) notes: Vec<OutgoingMessage>,
    /// Why the last run ended, where only a person could help.
    #[serde(default)]
    pub(crate) ended: Option<RunEnd>,
}

/// Why a run ended, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunEnd {
    pub(crate) at: Timestamp,
    pub(crate) why: String,
}

impl StoredSession {
    pub(crate) fn load(store: &Store) -> Result<Option<Self>> {
        store.session()?.map(|text| Self::read(&text)).transpose()
    }

    /// From the file's text.
    pub(crate) fn read(text: &str) -> Result<Self> {
        // The text contains secrets, and serde's message might too: it is left out.
        serde_json::from_str(text).map_err(|_| {
            NeedsPerson::error(
                "session.json in the store cannot be read: remove it and run `kestrel login`",
            )
        })
    }

    pub(crate) fn save(&self, store: &Store) -> Result<()> {
        store.save_session(&serde_json::to_string_pretty(self)?)
    }

    /// The password file: from the config, or from `kestrel login --password-file`.
    pub(crate) fn password_file(&self, matrix: &Matrix) -> Option<PathBuf> {
        matrix.password_file.clone().or_else(|| self.password_file.clone())
    }

    /// Notes that the device's keys are published, and which they are. An identity that does not sign the
    /// device is not its own.
    pub(crate) async fn note_keys(&mut self, client: &Client, verified: bool) -> Result<()> {
        self.published = true;
        self.ed25519 = client.encryption().ed25519_key().await;
        if verified {
            let identity = cross_signing::on_server(client).await?;
            self.identity = identity.map(|identity| identity.master);
        }
        Ok(())
    }

    /// Changes the session on disk; does nothing if there is none.
    pub(crate) fn change(store: &Store, change: impl FnOnce(&mut Self)) -> Result<()> {
        let Some(mut session) = Self::load(store)? else { return Ok(()) };
        change(&mut session);
        let text = serde_json::to_string_pretty(&session)?;
        // Checked every hour, and rarely changed.
        if store.session()?.as_deref() == Some(text.as_str()) {
            return Ok(());
        }
        store.save_session(&text)
    }
}

/// The client of a session, on its databases.
pub(crate) async fn open(
    matrix: &Matrix,
    store: &Store,
    session: &StoredSession,
) -> Result<Client> {
    let path = store.crypto_folder()?;
    client::with_store(matrix, &path, &session.store_key, &session.device, &session.access_token)
        .await
}

/// Logs a device out, so that it does not remain with keys that nobody holds. Best effort: its token may be invalid
/// already.
pub(crate) async fn leave(matrix: &Matrix, device: &DeviceId, access_token: &str) {
    let done = async {
        let client = client::with_token(matrix, device, access_token).await?;
        patiently("logging the device out", || async {
            client.send(logout::v3::Request::new()).await
        })
        .await
    };
    match done.await {
        Ok(_) => tracing::info!("device {device} is logged out"),
        Err(error) if SessionEnd::in_chain(&error).is_some() => {
            tracing::info!("device {device} was already gone");
        }
        Err(error) => tracing::warn!("device {device} could not be logged out: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_broken_session_says_so_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        store.save_session("{\"access_token\": \"syt_secret\"").unwrap();
        let Err(error) = StoredSession::load(&store) else {
            panic!("a torn session was read");
        };
        assert!(!format!("{error:#}").contains("syt_secret"));
    }

    /// As the version before this one wrote it.
    #[test]
    fn an_older_session_still_opens() {
        let text = r#"{"user": "@kestrel:example.org", "device": "ABC", "access_token": "syt",
            "store_key": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32],
            "password_file": "/etc/kestrel/password", "published": true}"#;
        let session = StoredSession::read(text).unwrap();
        assert_eq!(session.password_file.as_deref(), Some(Path::new("/etc/kestrel/password")));
        assert!(session.published && session.notes.is_empty() && session.conflict.is_none());
    }
}
