//! One-time keys: their ids as counters, their values as views that give nothing away, and the
//! signature test that tells whose account made them.
//!
//! Nothing here keeps a whole key value past the moment it was checked.

use std::fmt;

use jiff::Timestamp;
use ruma::{CanonicalJsonValue, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vodozemac::{Ed25519PublicKey, Ed25519Signature};

/// A big-endian number in unpadded base64, of 64 or 32 bits. Without allocation: a log has 50 of these in a line.
pub(crate) fn counter(name: &str) -> Option<u64> {
    // The last character holds so many bits beyond the number; they are zero.
    let (bits, spare) = match name.len() {
        11 => (64, 2),
        6 => (32, 4),
        _ => return None,
    };
    let mut sum = 0_u128;
    for byte in name.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        sum = sum << 6 | u128::from(digit);
    }
    let number = sum >> spare;
    (number << spare == sum && number >> bits == 0).then_some(number as u64)
}

/// `ALGORITHM:ID` as Synapse writes it. Opaque: a client may put anything into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

impl KeyId {
    /// The part after the algorithm.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The counter in the ID, one higher for each key that the account ever made: the unpadded base64
    /// of a big-endian number, of 64 bits by vodozemac (11 characters, `src/types/key_id.rs`) and of 32 by
    /// libolm (6 characters). `None` for everything else.
    pub fn counter(&self) -> Option<u64> {
        counter(self.name())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether a key's signature verifies under the device key that the server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Verifies,
    Fails,
    /// No signature of this device, no device key to check with, or not asked yet.
    #[default]
    Unknown,
}

/// One key value, seen without giving it away.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyView {
    /// The first 8 characters of the key.
    pub head: String,
    /// A digest of the key alone, signatures aside: equal digests are equal keys, as Synapse compares.
    pub digest: String,
    /// The signature test against the stored device key.
    pub check: Check,
    /// The `user device` pairs that the value carries signatures of, as text: the uploader's claim.
    #[serde(default)]
    pub signed_by: Vec<(String, String)>,
    /// The whole value until it was checked; never serialised.
    #[serde(skip)]
    raw: Option<Value>,
}

/// How many characters of a key value an answer may show.
const SHOWN: usize = 8;

impl KeyView {
    /// Looks at a key value as stored or logged: an object with `key` and `signatures`, or a bare string.
    pub fn from_raw(raw: Value) -> Self {
        let key = match &raw {
            Value::String(key) => key.as_str(),
            other => other.get("key").and_then(Value::as_str).unwrap_or(""),
        };
        Self {
            head: key.chars().take(SHOWN).collect(),
            digest: digest(&raw),
            check: Check::Unknown,
            signed_by: signers(&raw),
            raw: Some(raw),
        }
    }

    /// Checks the signature that `device` of `user` should have made, under the stored key `ed25519`,
    /// and lets go of the value.
    pub fn check(&mut self, user: &UserId, device: &DeviceId, ed25519: Option<&str>) {
        let Some(raw) = self.raw.take() else { return };
        if let Some(key) = ed25519 {
            self.check = verify(&raw, user, device, key);
        }
    }

    /// Whether this is that curve25519 key, as a client's log names it: whole, and without signatures.
    pub fn is_curve25519(&self, key: &str) -> bool {
        let object = digest(&serde_json::json!({ "key": key }));
        !key.is_empty() && [object, digest(&Value::from(key))].contains(&self.digest)
    }

    /// Whether both views are of the same key. Synapse ignores signatures when it compares.
    pub fn same_key(&self, other: &Self) -> bool {
        !self.digest.is_empty() && self.digest == other.digest
    }
}

/// The signature test of one value (domain: ed25519 over canonical JSON without `signatures` and
/// `unsigned`; spec "Signing JSON").
pub fn verify(raw: &Value, user: &UserId, device: &DeviceId, ed25519: &str) -> Check {
    let Some(signature) = raw
        .get("signatures")
        .and_then(|all| all.get(user.as_str()))
        .and_then(|own| own.get(format!("ed25519:{device}")))
        .and_then(Value::as_str)
    else {
        return Check::Unknown;
    };
    let (Some(message), Ok(key)) = (canonical(raw), Ed25519PublicKey::from_base64(ed25519)) else {
        return Check::Unknown;
    };
    // What is no signature at all says nothing of who made the key: anything can be uploaded.
    let Ok(signature) = Ed25519Signature::from_base64(signature) else { return Check::Unknown };
    match key.verify(message.as_bytes(), &signature) {
        Ok(()) => Check::Verifies,
        Err(_) => Check::Fails,
    }
}

/// Canonical JSON of a value without `signatures` and `unsigned`; `None` where the value has no
/// canonical form (a float, an integer beyond 2^53).
fn canonical(raw: &Value) -> Option<String> {
    let mut bare = raw.clone();
    if let Some(object) = bare.as_object_mut() {
        object.remove("signatures");
        object.remove("unsigned");
    }
    Some(CanonicalJsonValue::try_from(bare).ok()?.to_string())
}

fn digest(raw: &Value) -> String {
    use sha2::{Digest, Sha256};
    let text = canonical(raw).unwrap_or_else(|| raw.to_string());
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn signers(raw: &Value) -> Vec<(String, String)> {
    let Some(users) = raw.get("signatures").and_then(Value::as_object) else {
        return Vec::new();
    };
    users
        .iter()
        .flat_map(|(user, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.filter_map(|(id, _)| Some((user.clone(), id.strip_prefix("ed25519:")?.to_owned())))
        })
        .take(8)
        .collect()
}

/// A moment and a key id: one claim of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub at: Timestamp,
    pub id: KeyId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A key and the identity that signed it, from a real client (matrix-js-sdk 41.7.0).
    const IDENTITY: &str = "M8jfsz2k8YFayjK9l6gGoAdXgAI0vLA+mhgov0/wfis";

    fn device_keys() -> Value {
        json!({
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "device_id": "DEVS1STORM",
            "keys": {
                "curve25519:DEVS1STORM": "hiU4T+yfyL6JM8oY+gk2e/K2Qy0BJmsMMiBG2vuL10s",
                "ed25519:DEVS1STORM": IDENTITY,
            },
            "signatures": {"@s1storm:lab.local": {"ed25519:DEVS1STORM":
                "ixB+wc7pMEjlbGB1zRWHzEJ9N4L1yI4H5Q485N3xEGPtDPnibnZrMvaVfUrLMpu4E+pM3JPkevFYAVsnXpnoDg"}},
            "user_id": "@s1storm:lab.local",
        })
    }

    fn check(value: &Value, identity: &str) -> Check {
        let user = UserId::parse("@s1storm:lab.local").unwrap();
        verify(value, &user, "DEVS1STORM".into(), identity)
    }

    #[test]
    fn the_signature_test_tells_whose_account_it_was() {
        let own = device_keys();
        assert_eq!(check(&own, IDENTITY), Check::Verifies);
        let mut unsigned = own.clone();
        unsigned["unsigned"] = json!({"device_display_name": "anything"});
        assert_eq!(check(&unsigned, IDENTITY), Check::Verifies);
        let mut other = own.clone();
        other["device_id"] = json!("ANOTHER");
        assert_eq!(check(&other, IDENTITY), Check::Fails);
        assert_eq!(check(&own, "aBrY1ZAotZAb/EhqZmyKvnQs5T3tAS79BBmeEYLCjlQ"), Check::Fails);
    }

    #[test]
    fn what_cannot_be_tested_is_unknown() {
        let mut garbage = device_keys();
        garbage["signatures"]["@s1storm:lab.local"]["ed25519:DEVS1STORM"] = json!("s");
        assert_eq!(check(&garbage, IDENTITY), Check::Unknown);
        assert_eq!(check(&json!("abc"), IDENTITY), Check::Unknown);
        assert_eq!(check(&device_keys(), "no key"), Check::Unknown);
        let mut float = device_keys();
        float["keys"] = json!(0.5);
        assert_eq!(check(&float, IDENTITY), Check::Unknown);
    }

    #[test]
    fn ids_of_vodozemac_and_libolm_are_counters() {
        let counter = |id: &str| KeyId(id.to_owned()).counter();
        assert_eq!(counter("signed_curve25519:AAAAAAAAAA0"), Some(13));
        assert_eq!(counter("signed_curve25519:AAAAAAAAADI"), Some(50));
        // libolm's, of mautrix-python 0.20.
        assert_eq!(counter("signed_curve25519:AAAAAQ"), Some(1));
        assert_eq!(counter("signed_curve25519:AAAAHg"), Some(30));
        assert_eq!(counter("signed_curve25519:foobar"), None);
        assert_eq!(counter("signed_curve25519:not base64!"), None);
        // As a library decodes and encodes it.
        for name in [
            "AAAAAAAAADI",
            "__________8",
            "//////////8",
            "//////////9",
            "AAAAHg",
            "AAAAHh",
            "AAAA=g",
        ] {
            let bytes = vodozemac::base64_decode(name).unwrap_or_default();
            let number = match bytes[..] {
                [a, b, c, d] => Some(u64::from(u32::from_be_bytes([a, b, c, d]))),
                _ => bytes[..].try_into().ok().map(u64::from_be_bytes),
            };
            let is_same = vodozemac::base64_encode(&bytes) == name;
            assert_eq!(super::counter(name), number.filter(|_| is_same), "{name}");
        }
    }

    #[test]
    fn equal_keys_are_equal_whatever_signs_them() {
        let view = |signature: &str| {
            KeyView::from_raw(json!({"key": "k", "signatures": {"@u:s": {"ed25519:D": signature}}}))
        };
        assert!(view("a").same_key(&view("b")));
        assert!(!view("a").same_key(&KeyView::from_raw(json!("k"))));
        assert!(!KeyView::default().same_key(&KeyView::default()));
    }
}
