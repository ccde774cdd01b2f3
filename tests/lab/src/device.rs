//! Turns an account and a folder into a real Matrix client: matrix-rust-sdk with a crypto store.
//!
//! The session lives in the account, the keys in the folder, so a fault can take one without the
//! other. It never logs out by itself: that would delete the keys the fault is about.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use matrix_sdk::authentication::matrix::MatrixSession;
use matrix_sdk::config::SyncSettings;
use matrix_sdk::{Client, SessionMeta, SessionTokens};
use tokio::task::JoinHandle;

use crate::lab::{Account, Lab};

const LONG_POLL: Duration = Duration::from_secs(10);
/// A client whose sync failed tries again after so long.
const SYNC_AGAIN: Duration = Duration::from_millis(500);
/// A dropped client's store is closed by a thread of its own.
const CLOSE_PATIENCE: Duration = Duration::from_millis(200);

/// A client that is logged in and has its store open.
#[derive(Clone, Debug)]
pub struct Device {
    client: Client,
    store: PathBuf,
}

impl Device {
    /// Opens the account's session on the store in this folder; an empty folder makes new keys.
    pub async fn open(lab: &Lab, account: &Account, store: &Path) -> Result<Self> {
        let client = Client::builder()
            .homeserver_url(lab.homeserver())
            .sqlite_store(store, None)
            .build()
            .await
            .with_context(|| format!("cannot open a client's store in {}", store.display()))?;
        let session = MatrixSession {
            meta: SessionMeta {
                user_id: account.user_id.parse()?,
                device_id: account.device_id.as_str().into(),
            },
            tokens: SessionTokens {
                access_token: account.access_token.clone(),
                refresh_token: None,
            },
        };
        client.restore_session(session).await?;
        Ok(Self { client, store: store.to_owned() })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn store(&self) -> &Path {
        &self.store
    }

    /// One round: sends what waits to be sent, takes what the server has, sends again.
    pub async fn sync(&self) -> Result<()> {
        // For two minutes Synapse gives its old answer, key counts and all, to the same question of
        // the same device. A round of its own length is a question of its own.
        static ROUND: AtomicU64 = AtomicU64::new(0);
        let milliseconds = 1 + ROUND.fetch_add(1, Ordering::Relaxed) % 50;
        let settings = SyncSettings::default().timeout(Duration::from_millis(milliseconds));
        self.client.sync_once(settings).await?;
        Ok(())
    }

    /// Syncs as a running client does until the returned value is dropped.
    pub fn syncing(&self) -> Syncing {
        let client = self.client.clone();
        Syncing(tokio::spawn(async move {
            // A refusal of the whole sync is the server going away; it may come back.
            loop {
                let settings = SyncSettings::default().timeout(LONG_POLL);
                if let Err(error) = client.sync(settings).await {
                    tracing::debug!(%error, "a lab client's sync failed");
                }
                tokio::time::sleep(SYNC_AGAIN).await;
            }
        }))
    }

    /// Ends the client and leaves its session and its store.
    pub async fn close(self) -> PathBuf {
        let store = self.store.clone();
        drop(self);
        tokio::time::sleep(CLOSE_PATIENCE).await;
        store
    }
}

/// A client at work in the background.
#[derive(Debug)]
pub struct Syncing(JoinHandle<()>);

impl Drop for Syncing {
    fn drop(&mut self) {
        self.0.abort();
    }
}
