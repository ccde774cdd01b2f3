//! An event as the Matrix client read it → how it reached the bot: plain, or encrypted by which kind of device; and
//! which encrypted message it is. It looks and never decides.
//!
//! Anybody with an access token can send plain events, and copies of encrypted ones, but does not have a device's
//! keys.

use std::time::Duration;

use anyhow::{Context, Result};
use matrix_sdk::Room;
use matrix_sdk::deserialized_responses::{
    AlgorithmInfo, DeviceLinkProblem, EncryptionInfo, TimelineEvent, VerificationLevel,
    VerificationState,
};
use matrix_sdk::ruma::api::client::room::get_room_event;
use matrix_sdk::ruma::events::AnyTimelineEvent;
use matrix_sdk::ruma::serde::Raw;
use ruma::{DeviceId, EventId, UserId};
use serde::Deserialize;
use tokio::time::timeout;
use vodozemac::megolm::MegolmMessage;

/// How long one request to the homeserver may take: the sync loop waits for it.
const LOOKING: Duration = Duration::from_secs(15);

/// How an event reached the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// As anybody with an access token can send it.
    Plain {
        room_encrypted: bool,
    },
    Encrypted(SenderDevice),
}

/// Which device encrypted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SenderDevice {
    /// One of the sender's, signed by the sender's identity.
    CrossSigned,
    /// One of the sender's, not signed.
    NotSigned,
    /// One of the sender's, signed by an identity that replaced one that the bot's account had verified.
    IdentityChanged,
    /// Not in the crypto store: not seen yet, or signed out.
    Unknown,
    /// The key came from a backup, a file or a third party, which may claim any sender.
    UnknownSource,
    /// Another user's.
    OtherUsers,
}

/// How an event reached the bot, by what is known here.
pub(super) async fn origin(room: &Room, sender: &UserId, event: &TimelineEvent) -> Origin {
    match event.kind.encryption_info() {
        Some(info) => Origin::Encrypted(device(room, sender, info).await),
        None => Origin::Plain { room_encrypted: is_encrypted(room).await },
    }
}

/// The same, after the homeserver was asked once for the sender's devices and identity.
pub(super) async fn asked_origin(room: &Room, sender: &UserId, event: &TimelineEvent) -> Origin {
    let encryption = room.client().encryption();
    match timeout(LOOKING, encryption.request_user_identity(sender)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("the devices of {sender} could not be queried: {error}"),
        Err(_) => tracing::warn!("the query for the devices of {sender} timed out"),
    }
    // The event has the state from when it was decrypted.
    let session = event.kind.encryption_info().and_then(|info| info.session_id());
    let newer = match session {
        Some(session) => room.get_encryption_info(session, sender).await,
        None => None,
    };
    match newer {
        Some(info) => Origin::Encrypted(device(room, sender, &info).await),
        None => origin(room, sender, event).await,
    }
}

/// A room whose state cannot be read counts as encrypted: then no plain event counts in it. A sync that leaves out
/// members does not leave out this state, and what is not known is asked for.
async fn is_encrypted(room: &Room) -> bool {
    match room.latest_encryption_state().await {
        Ok(state) => state.is_encrypted() || state.is_unknown(),
        Err(error) => {
            tracing::warn!("whether {} is encrypted cannot be read: {error}", room.room_id());
            true
        }
    }
}

async fn device(room: &Room, sender: &UserId, info: &EncryptionInfo) -> SenderDevice {
    if info.sender != sender {
        return SenderDevice::OtherUsers;
    }
    // Forwarded keys name their creator without proof.
    if info.forwarder.is_some() {
        return SenderDevice::UnknownSource;
    }
    let device = linked(&info.verification_state);
    match (device, &info.sender_device) {
        (
            SenderDevice::NotSigned | SenderDevice::CrossSigned | SenderDevice::IdentityChanged,
            Some(id),
        ) => present(room, sender, id, info, device).await,
        (
            SenderDevice::NotSigned | SenderDevice::CrossSigned | SenderDevice::IdentityChanged,
            None,
        ) => SenderDevice::Unknown,
        (device, _) => device,
    }
}

/// What the crypto store linked the message's key to.
fn linked(state: &VerificationState) -> SenderDevice {
    let level = match state {
        VerificationState::Verified => return SenderDevice::CrossSigned,
        VerificationState::Unverified(level) => level,
    };
    match level {
        // Cross-signed by its owner. The bot's own account verifies nobody.
        VerificationLevel::UnverifiedIdentity => SenderDevice::CrossSigned,
        VerificationLevel::VerificationViolation => SenderDevice::IdentityChanged,
        VerificationLevel::UnsignedDevice => SenderDevice::NotSigned,
        VerificationLevel::None(DeviceLinkProblem::MissingDevice) => SenderDevice::Unknown,
        VerificationLevel::None(DeviceLinkProblem::InsecureSource) => SenderDevice::UnknownSource,
        VerificationLevel::MismatchedSender => SenderDevice::OtherUsers,
    }
}

/// The device's current state: a message's key outlives the device and its signature.
async fn present(
    room: &Room,
    sender: &UserId,
    id: &DeviceId,
    info: &EncryptionInfo,
    linked: SenderDevice,
) -> SenderDevice {
    let device = match room.client().encryption().get_device(sender, id).await {
        Ok(Some(device)) => device,
        Ok(None) => return SenderDevice::Unknown,
        Err(error) => {
            tracing::error!("the crypto store cannot be read: {error}");
            return SenderDevice::Unknown;
        }
    };
    // The ID of a device that was signed out can be used by another one.
    let AlgorithmInfo::MegolmV1AesSha2 { curve25519_key, .. } = &info.algorithm_info else {
        return SenderDevice::Unknown;
    };
    if device.curve25519_key().is_none_or(|key| key.to_base64() != *curve25519_key) {
        return SenderDevice::Unknown;
    }
    match (linked, device.is_cross_signed_by_owner()) {
        (SenderDevice::IdentityChanged, true) => SenderDevice::IdentityChanged,
        (_, true) => SenderDevice::CrossSigned,
        (_, false) => SenderDevice::NotSigned,
    }
}

/// Which message of its Megolm session an event carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MegolmPosition {
    pub(super) session: String,
    pub(super) index: u32,
}

/// Asks the homeserver for the event as it was sent, because the Matrix client keeps only the decrypted event. `None`
/// if it is not an encrypted message any more: it was redacted.
pub(super) async fn message(room: &Room, event: &EventId) -> Result<Option<MegolmPosition>> {
    let request = get_room_event::v3::Request::new(room.room_id().to_owned(), event.to_owned());
    let response = timeout(LOOKING, async { room.client().send(request).await }).await;
    match response.context("the homeserver took too long")? {
        Ok(response) => Ok(megolm_position(&response.event)),
        // It is not visible any more, which means the same.
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_gone(error: &matrix_sdk::HttpError) -> bool {
    let status = error.as_client_api_error().map(|error| error.status_code.as_u16());
    matches!(status, Some(403 | 404))
}

fn megolm_position(event: &Raw<AnyTimelineEvent>) -> Option<MegolmPosition> {
    #[derive(Deserialize)]
    struct Content {
        session_id: String,
        ciphertext: String,
    }
    let content = event.get_field::<Content>("content").ok().flatten()?;
    let message = MegolmMessage::from_base64(&content.ciphertext).ok()?;
    Some(MegolmPosition { session: content.session_id, index: message.message_index() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vodozemac::megolm::{GroupSession, SessionConfig};

    use super::*;

    #[test]
    fn every_link_to_a_device_is_told_apart() {
        use VerificationState::{Unverified, Verified};
        for (state, device) in [
            (Verified, SenderDevice::CrossSigned),
            (Unverified(VerificationLevel::UnverifiedIdentity), SenderDevice::CrossSigned),
            (Unverified(VerificationLevel::VerificationViolation), SenderDevice::IdentityChanged),
            (Unverified(VerificationLevel::UnsignedDevice), SenderDevice::NotSigned),
            (Unverified(VerificationLevel::MismatchedSender), SenderDevice::OtherUsers),
            (
                Unverified(VerificationLevel::None(DeviceLinkProblem::MissingDevice)),
                SenderDevice::Unknown,
            ),
            (
                Unverified(VerificationLevel::None(DeviceLinkProblem::InsecureSource)),
                SenderDevice::UnknownSource,
            ),
        ] {
            assert_eq!(linked(&state), device, "{state:?}");
        }
    }

    #[test]
    fn a_message_is_told_by_its_place_in_its_session() {
        let mut session = GroupSession::new(SessionConfig::version_1());
        let read = |content: serde_json::Value| {
            let event = json!({"type": "m.room.encrypted", "content": content});
            megolm_position(&Raw::new(&event).unwrap().cast_unchecked())
        };
        for index in 0..3 {
            let ciphertext = session.encrypt(b"!mute all 24h").to_base64();
            let content = json!({"session_id": "S", "ciphertext": ciphertext, "device_id": "D"});
            assert_eq!(read(content), Some(MegolmPosition { session: "S".into(), index }));
        }
        for content in [
            json!({}),
            json!({"session_id": "S"}),
            json!({"session_id": "S", "ciphertext": "!"}),
            json!({"session_id": "S", "ciphertext": 5}),
            json!({"msgtype": "m.text", "body": "!mute all"}),
        ] {
            assert_eq!(read(content.clone()), None, "{content}");
        }
    }
}
