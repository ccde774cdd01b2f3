//! A fresh or a known device → one that is signed by the bot's own identity, with a recovery key on disk.
//!
//! An identity that the account has is used or left alone. It is replaced only where a person asked for that,
//! because everybody who verified the bot has to do so again. What cannot be done without a person is a remark,
//! not an error: an unsigned device still answers. No key is logged.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use matrix_sdk::config::SyncSettings;
use matrix_sdk::encryption::CrossSigningResetAuthType;
use matrix_sdk::encryption::recovery::{RecoveryError, RecoveryState};
use matrix_sdk::encryption::secret_storage::{ImportError, SecretStorageError, SecretStore};
use matrix_sdk::ruma::api::client::filter::{FilterDefinition, RoomEventFilter};
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::ruma::api::client::uiaa::{
    AuthData, MatrixUserIdentifier, Password, UserIdentifier,
};
use matrix_sdk::ruma::events::secret::request::SecretName;
use matrix_sdk::{Client, ruma::uint};
use vodozemac::Ed25519SecretKey;

use super::client::patiently;
use super::device_keys::{self, PublicIdentity};
use crate::store::Store;

/// A device's state after `settle`.
#[derive(Debug)]
pub(crate) struct SettledDevice {
    pub(crate) verified: bool,
    pub(crate) recovery_key: Option<PathBuf>,
    pub(crate) remarks: Vec<String>,
}

/// What becomes of the account's identity.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum IdentityPlan {
    /// There is none yet: create one.
    First,
    /// This recovery key opens it.
    Recover(String),
    /// A person asked for a new one.
    Replace,
    /// Nothing here opens it; the device stays unverified.
    Leave,
}

/// A person's choices about the identity at a login.
#[derive(Clone, Default)]
pub struct Wishes {
    pub recovery_key: Option<String>,
    pub reset_identity: bool,
    /// Asks for the recovery key when it turns out to be needed; an empty answer is none.
    pub ask: Option<fn() -> Result<String>>,
}

impl std::fmt::Debug for Wishes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Wishes(reset_identity: {}, …)", self.reset_identity)
    }
}

/// Decides for a device that is created without a person: the identity is never replaced.
pub(crate) async fn plan(client: &Client, store: &Store) -> Result<IdentityPlan> {
    let Some(identity) = on_server(client).await? else {
        return Ok(IdentityPlan::First);
    };
    Ok(match store.recovery_key()? {
        Some(key) if opens(client, &key, &identity).await? => IdentityPlan::Recover(key),
        _ => IdentityPlan::Leave,
    })
}

/// Decides for a person who logs in; an error if the account's identity would be lost without a request.
pub(crate) async fn plan_with(
    client: &Client,
    store: &Store,
    wishes: &Wishes,
) -> Result<IdentityPlan> {
    let Some(identity) = on_server(client).await? else {
        return Ok(IdentityPlan::First);
    };
    if wishes.reset_identity {
        return Ok(IdentityPlan::Replace);
    }
    let given = wishes.recovery_key.clone();
    let mut is_wrong = given.is_some();
    for key in given.into_iter().chain(store.recovery_key()?) {
        if opens(client, &key, &identity).await? {
            return Ok(IdentityPlan::Recover(key));
        }
    }
    if let Some(ask) = wishes.ask {
        let key = ask()?;
        is_wrong = !key.trim().is_empty();
        if is_wrong && opens(client, &key, &identity).await? {
            return Ok(IdentityPlan::Recover(key.trim().to_owned()));
        }
    }
    let what = if is_wrong {
        "the recovery key does not open the account's cross-signing identity"
    } else {
        "the account already has a cross-signing identity, and its recovery key is not here"
    };
    bail!(
        "{what}. Nothing was changed. Log in with --recovery-key-file FILE: the key is in the file \
         `recovery-key` of the store that Kestrel first logged in with, and wherever you keep a copy. \
         If it is lost, --reset-identity creates a new identity. Impact: everybody who verified the bot has to \
         verify it again, all other devices of the account become unverified, and its old recovery key and key \
         backup are deleted"
    )
}

/// Publishes the device's keys, signs the device with the bot's identity and ensures that there is a recovery key.
pub(crate) async fn settle(
    client: &Client,
    store: &Store,
    plan: IdentityPlan,
    password: Option<&str>,
) -> Result<SettledDevice> {
    let settings = SyncSettings::new().filter(Filter::FilterDefinition(brief()));
    (client.sync_once(settings).await).context("the first sync failed")?;
    // Another login may have replaced the identity since this client last looked.
    let user = client.user_id().context("the client has no session")?;
    client.encryption().request_user_identity(user).await?;
    let mut remarks = Vec::new();
    // A key that opens the identity stays the account's key: other stores have it too.
    let has_key = matches!(plan, IdentityPlan::Recover(_));
    if !is_verified(client).await? || plan == IdentityPlan::Replace {
        remarks.extend(sign(client, store, plan, password).await?);
        // The signature counts once the server has shown it.
        client.encryption().request_user_identity(user).await?;
    }
    let verified = is_verified(client).await?;
    if !verified && remarks.is_empty() {
        remarks.push("this device is not verified; the log may say why".to_owned());
    }
    if verified && !has_key {
        keep_recovery_key(client, store).await?;
    }
    let path = store.recovery_key_path();
    Ok(SettledDevice { verified, recovery_key: store.recovery_key()?.map(|_| path), remarks })
}

/// Whether the bot's identity has signed this device and its private keys are available.
pub(crate) async fn is_verified(client: &Client) -> Result<bool> {
    let encryption = client.encryption();
    let whole =
        (encryption.cross_signing_status().await).is_some_and(|status| status.is_complete());
    let device = encryption.get_own_device().await?;
    Ok(whole && device.is_some_and(|device| device.is_cross_signed_by_owner()))
}

/// The account's identity as the homeserver shows it.
pub(crate) async fn on_server(client: &Client) -> Result<Option<PublicIdentity>> {
    let meta = client.session_meta().context("the client has no session")?;
    let keys = patiently("asking for the account's identity", || {
        device_keys::own(client, &meta.user_id, &meta.device_id)
    });
    Ok(keys.await?.identity)
}

/// Whether a recovery key opens the private parts of this very identity. Changes nothing.
async fn opens(client: &Client, key: &str, identity: &PublicIdentity) -> Result<bool> {
    let opened = client.encryption().secret_storage().open_secret_store(key.trim()).await;
    let secrets = match opened {
        Ok(secrets) => secrets,
        Err(SecretStorageError::Sdk(error)) => {
            return Err(error).context("the account's secret storage cannot be read");
        }
        Err(_) => return Ok(false),
    };
    for (name, public) in [
        (SecretName::CrossSigningMasterKey, &identity.master),
        (SecretName::CrossSigningSelfSigningKey, &identity.self_signing),
        (SecretName::CrossSigningUserSigningKey, &identity.user_signing),
    ] {
        if public_part(&secrets, name).await?.as_ref() != Some(public) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The public part of a private key that the account's secret storage holds, if it can be read.
async fn public_part(secrets: &SecretStore, name: SecretName) -> Result<Option<String>> {
    let secret = match secrets.get_secret(name).await {
        Ok(secret) => secret,
        Err(SecretStorageError::ImportError { error: ImportError::Sdk(error), .. }) => {
            return Err(error).context("the account's secret storage cannot be read");
        }
        Err(_) => None,
    };
    let bytes = secret.and_then(|secret| vodozemac::base64_decode(secret).ok());
    let seed = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    Ok(seed.map(|seed| Ed25519SecretKey::from_slice(&seed).public_key().to_base64()))
}

/// A sync that brings the account's state and no messages: those are for the loop that answers them.
fn brief() -> FilterDefinition {
    let mut filter = FilterDefinition::default();
    let mut timeline = RoomEventFilter::default();
    timeline.limit = Some(uint!(1));
    filter.room.timeline = timeline;
    filter
}

/// Signs the device as planned. Returns what a person should know or do.
async fn sign(
    client: &Client,
    store: &Store,
    plan: IdentityPlan,
    password: Option<&str>,
) -> Result<Option<String>> {
    match plan {
        IdentityPlan::First => bootstrap(client, password).await,
        IdentityPlan::Replace => replace(client, password).await.map(Some),
        IdentityPlan::Recover(key) => {
            let recovered = client.encryption().recovery().recover(&key).await;
            // The last step is the key backup. The device can be verified without it.
            let verified = is_verified(client).await?;
            if let Err(error) = recovered
                && !verified
            {
                return Err(error).context("the account's identity could not be recovered");
            }
            tracing::info!("the identity was recovered with the recovery key");
            store.save_recovery_key(&key)?;
            Ok(None)
        }
        IdentityPlan::Leave => Ok(Some(format!(
            "this device is not verified: the account has a cross-signing identity that no recovery key here \
             opens. Put its recovery key into {} and restart",
            store.recovery_key_path().display()
        ))),
    }
}

/// Creates the account's first identity. Synapse asks for the password only if there was one before (MSC3967), other
/// homeservers always.
async fn bootstrap(client: &Client, password: Option<&str>) -> Result<Option<String>> {
    // Another process may have created one in the meantime.
    if on_server(client).await?.is_some() {
        bail!("another login created the account's identity at the same time. Log in again");
    }
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

/// Replaces an identity because a person asked for it.
async fn replace(client: &Client, password: Option<&str>) -> Result<String> {
    let recovery = client.encryption().recovery();
    if let Some(handle) = (recovery.reset_identity().await).context("cannot reset the identity")? {
        let CrossSigningResetAuthType::Uiaa(asked) = handle.auth_type() else {
            bail!(
                "the homeserver wants the reset of the identity confirmed on its account page. Confirm it \
                 there, then run the same command again"
            );
        };
        let password = password.context(
            "the homeserver asks for the password to reset the identity, and a token was given. Log in with \
             the password",
        )?;
        let proof = proof(client, password, asked.session.clone())?;
        (handle.reset(Some(proof)).await).context("cannot reset the identity")?;
    }
    Ok("The account has a new identity. Everybody who verified the bot has to verify it again."
        .to_owned())
}

fn proof(client: &Client, password: &str, session: Option<String>) -> Result<AuthData> {
    let user = client.user_id().context("the client has no session")?;
    let who = UserIdentifier::Matrix(MatrixUserIdentifier::new(user.to_string()));
    let mut proof = Password::new(who, password.to_owned());
    proof.session = session;
    Ok(AuthData::Password(proof))
}

/// Creates a recovery key unless a working one is on disk.
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
