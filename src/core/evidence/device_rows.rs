//! A device's rows in Synapse's database: the device, its identity keys, its stored keys.

use jiff::Timestamp;
use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};

use crate::evidence::otk::{Check, KeyId, KeyView};

/// A row of `devices` that stands for a real device (hidden rows are cross-signing keys).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    pub device: OwnedDeviceId,
    pub display_name: Option<String>,
    /// Synapse notes this at most every few minutes.
    pub last_seen: Option<Timestamp>,
    pub hidden: bool,
    /// Whether the device has published identity keys; `None` where that was not asked.
    pub has_keys: Option<bool>,
    /// How many one-time keys are stored, capped; `None` where that was not asked.
    pub one_time_keys: Option<u64>,
    /// The signature test of the oldest stored key, which is handed out next; `None` where that was not
    /// asked or there is none.
    pub next_key: Option<Check>,
}

/// A row of `e2e_device_keys_json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// `ts_added_ms`: when this identity replaced the one before, by the server's clock.
    pub added: Timestamp,
    /// The identity's ed25519 key, unpadded base64; `None` where the row holds none for this device.
    pub ed25519: Option<String>,
    /// The identity's curve25519 key, unpadded base64.
    pub curve25519: Option<String>,
}

/// The device's rows of `e2e_one_time_keys_json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoredKeys {
    /// How many rows there are; exact up to `COUNT_LIMIT` of the probe, then `capped` is set.
    pub total: u64,
    pub capped: bool,
    /// The oldest rows, then the newest, at most as many as the probe's limit.
    pub keys: Vec<StoredKey>,
}

/// One row of `e2e_one_time_keys_json`. A row is inserted once and deleted by its claim, never changed:
/// `added` is the birth of this value (Synapse, `end_to_end_keys.py`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    pub id: KeyId,
    pub added: Timestamp,
    pub value: KeyView,
}

/// One row of `e2e_fallback_keys_json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackKey {
    pub id: KeyId,
    /// Handed out since it was uploaded. Stays true after the one-time keys are back.
    pub used: bool,
}
