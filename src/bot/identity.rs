//! A fresh or a known device → one that is signed by the bot's own identity, with a recovery key on disk.
//!
//! What cannot be done without a person is a remark, not an error: an unsigned device still answers. It
//! never replaces an identity that it can recover, and it logs no key.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use matrix_sdk::config::SyncSettings;
use matrix_sdk::encryption::CrossSigningResetAuthType;
use matrix_sdk::encryption::recovery::{RecoveryError, RecoveryState};
use matrix_sdk::ruma::api::client::filter::{FilterDefinition, RoomEventFilter};
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::ruma::api::client::uiaa::{
    AuthData, MatrixUserIdentifier, Password, UserIdentifier,
};
use matrix_sdk::{Client, ruma::uint};

use crate::store::Store;

/// How a device stands after it was settled.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) verified: bool,
    pub(super) recovery_key: Option<PathBuf>,
    pub(super) remarks: Vec<String>,
}

/// Publishes the device's keys, has it signed by the bot's identity, and makes sure of a recovery key.
pub(super) async fn settle(
    client: &Client,
    store: &Store,
    password: Option<&str>,
) -> Result<Settled> {
    let settings = SyncSettings::new().filter(Filter::FilterDefinition(brief()));
    (client.sync_once(settings).await).context("the first sync failed")?;
    let mut remarks = Vec::new();
    if !is_verified(client).await? {
        remarks.extend(sign(client, store, password).await?);
        // The signature counts once the server has shown it.
        let user = client.user_id().context("the client has no session")?;
        client.encryption().request_user_identity(user).await?;
    }
    let verified = is_verified(client).await?;
    if !verified && remarks.is_empty() {
        remarks.push("this device is not verified; the log may say why".to_owned());
    }
    if verified {
        keep_recovery_key(client, store).await?;
    }
    let path = store.recovery_key_path();
    Ok(Settled { verified, recovery_key: store.recovery_key()?.map(|_| path), remarks })
}

/// Whether the bot's identity has signed this device and its private keys are at hand.
pub(super) async fn is_verified(client: &Client) -> Result<bool> {
    let encryption = client.encryption();
    let whole =
        (encryption.cross_signing_status().await).is_some_and(|status| status.is_complete());
    let device = encryption.get_own_device().await?;
    Ok(whole && device.is_some_and(|device| device.is_cross_signed_by_owner()))
}

/// A sync that brings the account's state and no messages: those are for the loop that answers them.
fn brief() -> FilterDefinition {
    let mut filter = FilterDefinition::default();
    let mut timeline = RoomEventFilter::default();
    timeline.limit = Some(uint!(1));
    filter.room.timeline = timeline;
    filter
}

/// Has the device signed: by the identity in the recovery store, by a new one where there is none, or by
/// one that replaces a lost one. Returns what a person has to do instead.
async fn sign(client: &Client, store: &Store, password: Option<&str>) -> Result<Option<String>> {
    let user = client.user_id().context("the client has no session")?;
    let encryption = client.encryption();
    let known = encryption.request_user_identity(user).await?.is_some();
    if !known {
        return bootstrap(client, password).await;
    }
    if let Some(key) = store.recovery_key()? {
        match encryption.recovery().recover(&key).await {
            Ok(()) if is_verified(client).await? => {
                tracing::info!("the identity was recovered with the recovery key");
                return Ok(None);
            }
            Ok(()) => tracing::warn!("the recovery key opened a store without the whole identity"),
            Err(error) => tracing::warn!("the recovery key did not open the identity: {error}"),
        }
    }
    match password {
        Some(password) => replace(client, password).await.map(Some),
        None => Ok(Some(format!(
            "this device is not verified: the account has an identity whose keys are not here. Put its \
             recovery key into {}, or log in with the password to make a new identity",
            store.recovery_key_path().display()
        ))),
    }
}

/// Makes the account's first identity. Synapse asks for the password only when there was one before
/// (MSC3967), other homeservers always.
async fn bootstrap(client: &Client, password: Option<&str>) -> Result<Option<String>> {
    let encryption = client.encryption();
    let Err(error) = encryption.bootstrap_cross_signing(None).await else {
        return Ok(None);
    };
    let Some(asked) = error.as_uiaa_response() else {
        return Err(error).context("cannot set up cross-signing");
    };
    let Some(password) = password else {
        return Ok(Some(
            "this device is not verified: the homeserver asks for the password to set up cross-signing. Run \
             `kestrel login` with the password"
                .to_owned(),
        ));
    };
    let proof = proof(client, password, asked.session.clone())?;
    let done = encryption.bootstrap_cross_signing(Some(proof)).await;
    done.context("cannot set up cross-signing")?;
    Ok(None)
}

/// Replaces an identity whose keys are lost; whoever had verified the bot has to do so again.
async fn replace(client: &Client, password: &str) -> Result<String> {
    let recovery = client.encryption().recovery();
    if let Some(handle) = (recovery.reset_identity().await).context("cannot reset the identity")? {
        let CrossSigningResetAuthType::Uiaa(asked) = handle.auth_type() else {
            bail!("the homeserver wants the identity's reset confirmed on its account page");
        };
        let proof = proof(client, password, asked.session.clone())?;
        (handle.reset(Some(proof)).await).context("cannot reset the identity")?;
    }
    Ok("the account's old identity could not be recovered and was replaced: whoever verified the bot \
        has to verify it again"
        .to_owned())
}

fn proof(client: &Client, password: &str, session: Option<String>) -> Result<AuthData> {
    let user = client.user_id().context("the client has no session")?;
    let who = UserIdentifier::Matrix(MatrixUserIdentifier::new(user.to_string()));
    let mut proof = Password::new(who, password.to_owned());
    proof.session = session;
    Ok(AuthData::Password(proof))
}

/// Makes a recovery key unless one that works is on disk.
async fn keep_recovery_key(client: &Client, store: &Store) -> Result<()> {
    let recovery = client.encryption().recovery();
    let state = recovery.state();
    if state == RecoveryState::Enabled && store.recovery_key()?.is_some() {
        return Ok(());
    }
    let key = match state {
        // The server has secrets under a key that was lost, and all of them are here.
        RecoveryState::Enabled => recovery.reset_key().await?,
        _ => match recovery.enable().await {
            // Left by an attempt that ended between the backup and its key.
            Err(RecoveryError::BackupExistsOnServer) => {
                client.encryption().backups().disable_and_delete().await?;
                recovery.enable().await?
            }
            made => made?,
        },
    };
    store.save_recovery_key(&key)?;
    tracing::info!("a recovery key was written to {}", store.recovery_key_path().display());
    Ok(())
}
