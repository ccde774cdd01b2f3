//! A key query for the bot's own account → the public keys that the homeserver shows: the device's, and the
//! cross-signing identity's. It reads only, and works with a client that has no store.

use std::collections::BTreeMap;

use matrix_sdk::ruma::DeviceKeyAlgorithm;
use matrix_sdk::ruma::api::client::keys::get_keys;
use matrix_sdk::ruma::encryption::{CrossSigningKey, DeviceKeys};
use matrix_sdk::ruma::serde::Raw;
use matrix_sdk::{Client, HttpError};
use ruma::{DeviceId, OwnedUserId, UserId};

/// What the homeserver shows of the bot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnKeys {
    pub(crate) device: Option<PublicDeviceKeys>,
    pub(crate) identity: Option<PublicIdentity>,
}

/// A device's public keys. Empty where the homeserver's answer cannot be read: such keys match no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PublicDeviceKeys {
    pub(crate) ed25519: String,
    pub(crate) curve25519: String,
    /// The IDs of the keys that signed it.
    signers: Vec<String>,
}

/// The public parts of a cross-signing identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicIdentity {
    pub(crate) master: String,
    pub(crate) self_signing: String,
    pub(crate) user_signing: String,
}

impl OwnKeys {
    /// Whether the device carries a signature of the identity's. The signature itself is not tested: this is
    /// for telling a person, not for trust.
    pub(crate) fn is_signed(&self) -> bool {
        let Some(device) = &self.device else { return false };
        let Some(identity) = &self.identity else { return false };
        let signer = format!("ed25519:{}", identity.self_signing);
        device.signers.contains(&signer)
    }
}

/// Asks for the device's keys and the user's identity.
pub(crate) async fn own(
    client: &Client,
    user: &UserId,
    device: &DeviceId,
) -> Result<OwnKeys, HttpError> {
    let mut request = get_keys::v3::Request::new();
    request.device_keys.insert(user.to_owned(), vec![device.to_owned()]);
    let answer = client.send(request).await?;
    let raw = answer.device_keys.get(user).and_then(|devices| devices.get(device));
    let identity = public(&answer.master_keys, user).map(|master| PublicIdentity {
        master,
        self_signing: public(&answer.self_signing_keys, user).unwrap_or_default(),
        user_signing: public(&answer.user_signing_keys, user).unwrap_or_default(),
    });
    Ok(OwnKeys { device: raw.map(|raw| read(raw, user)), identity })
}

fn read(raw: &Raw<DeviceKeys>, user: &UserId) -> PublicDeviceKeys {
    let Ok(keys) = raw.deserialize() else {
        return PublicDeviceKeys::default();
    };
    let key_of = |algorithm: DeviceKeyAlgorithm| {
        (keys.keys.iter())
            .find(|(id, _)| id.algorithm() == algorithm)
            .map(|(_, key)| key.clone())
            .unwrap_or_default()
    };
    let signers = keys.signatures.get(user).into_iter().flat_map(|signatures| signatures.keys());
    PublicDeviceKeys {
        ed25519: key_of(DeviceKeyAlgorithm::Ed25519),
        curve25519: key_of(DeviceKeyAlgorithm::Curve25519),
        signers: signers.map(ToString::to_string).collect(),
    }
}

fn public(keys: &BTreeMap<OwnedUserId, Raw<CrossSigningKey>>, user: &UserId) -> Option<String> {
    let key = keys.get(user)?;
    // One that cannot be read is there, and matches no other.
    let key = key.deserialize().ok().and_then(|key| key.keys.into_values().next());
    Some(key.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_signed_by_the_identity_that_stands_and_by_no_other() {
        let identity = PublicIdentity {
            master: "M".to_owned(),
            self_signing: "S".to_owned(),
            user_signing: "U".to_owned(),
        };
        let signers = vec!["ed25519:DEVICE".to_owned(), "ed25519:S".to_owned()];
        let device = PublicDeviceKeys { signers, ..PublicDeviceKeys::default() };
        let mut keys = OwnKeys { device: Some(device), identity: Some(identity.clone()) };
        assert!(keys.is_signed());
        keys.identity = Some(PublicIdentity { self_signing: "T".to_owned(), ..identity });
        assert!(!keys.is_signed(), "a replaced identity signed nothing");
        keys.identity = None;
        assert!(!keys.is_signed());
    }

    #[test]
    fn unreadable_keys_are_there_and_match_nothing() {
        let raw = Raw::from_json_string(r#"{"keys": 1}"#.to_owned()).unwrap();
        let user = ruma::user_id!("@kestrel:example.org");
        assert_eq!(read(&raw, user), PublicDeviceKeys::default());
        let raw = Raw::from_json_string("[]".to_owned()).unwrap();
        let keys = BTreeMap::from([(user.to_owned(), raw)]);
        assert_eq!(public(&keys, user).as_deref(), Some(""));
    }
}
