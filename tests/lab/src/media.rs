//! Turns a name of a fault into a call whose media keys go astray: real clients send real encrypted
//! to-device messages, to devices in the states that real devices get into.
//!
//! As in [`faults`](crate::faults), each fault is caused and never written. Only the dehydrated device is
//! uploaded by hand, because no client here makes one.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use matrix_sdk::ruma::events::AnyToDeviceEventContent;
use matrix_sdk::ruma::serde::Raw;
use matrix_sdk::ruma::{CanonicalJsonValue, OwnedDeviceId, OwnedUserId};
use serde_json::{Value, json};
use vodozemac::olm;

use crate::device::Device;
use crate::faults::{Patient, admit, forget};
use crate::lab::{Account, Lab};

/// What Element Call names its media keys.
const MEDIA_KEY: &str = "io.element.call.encryption_keys";
/// A client's first batch of one-time keys.
const FIRST_BATCH: usize = 50;
/// Keys that a fault sends astray.
const KEYS: u64 = 3;

/// A client in a call that sends its media keys to one device, by the list of devices that it once fetched.
#[derive(Clone, Debug)]
pub struct Caller {
    device: Device,
    user: OwnedUserId,
    target: OwnedDeviceId,
}

impl Caller {
    /// Opens the peer's client and lets it learn of the device.
    pub async fn join(lab: &Lab, peer: &Account, user: &str, device: &str) -> Result<Self> {
        let store = lab.scratch().join(format!("store-{}", lab.fresh_name("caller")));
        let caller = Self {
            device: Device::open(lab, peer, &store).await?,
            user: user.try_into()?,
            target: device.into(),
        };
        caller.device.sync().await?;
        caller.look().await?;
        Ok(caller)
    }

    /// Fetches the user's devices anew.
    pub async fn look(&self) -> Result<()> {
        self.device.client().encryption().request_user_identity(&self.user).await?;
        Ok(())
    }

    /// Sends so many media keys, encrypted, with a pause behind each.
    pub async fn send(&self, count: u64, pause: Duration) -> Result<()> {
        let encryption = self.device.client().encryption();
        let target = encryption.get_device(&self.user, &self.target).await?;
        let target = target.context("the caller does not know the device")?;
        for index in 0..count {
            let content = json!({
                "keys": {"index": index % 256, "key": "bm90IGEga2V5IGJ1dCBhIGxhYg"},
                "member": {"id": "lab", "claimed_device_id": "LAB"},
                "room_id": "!lab:lab.local",
            });
            let content = Raw::<AnyToDeviceEventContent>::from_json(
                serde_json::value::to_raw_value(&content)?,
            );
            let failed = encryption
                .encrypt_and_send_raw_to_device(
                    vec![&target],
                    MEDIA_KEY,
                    content,
                    Default::default(),
                )
                .await?;
            ensure!(failed.is_empty(), "a media key could not be sent: {failed:?}");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// A device that nobody runs, and a caller who has a session with it.
async fn call(lab: &Lab, name: &str) -> Result<(Patient, Caller)> {
    let patient = admit(lab, name).await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    device.sync().await?;
    let caller = Caller::join(lab, &patient.peer, &patient.user, &patient.device).await?;
    caller.send(1, Duration::ZERO).await?;
    device.sync().await?;
    // The next round tells the server that the first was received.
    device.sync().await?;
    device.close().await;
    Ok((patient, caller))
}

/// The device's store was evicted, its new identity stands, and the caller still uses the old one.
pub async fn dead_identity(lab: &Lab) -> Result<(Patient, Caller)> {
    let (patient, caller) = call(lab, "dead").await?;
    forget(patient.open(lab).await?).await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    device.close().await;
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}

/// As [`dead_identity`], and a second caller knows the new identity. He can only call once the keys of the
/// old one are used up: until then he is given one of those, whose signature his client refuses.
pub async fn mixed_identities(lab: &Lab) -> Result<(Patient, Caller)> {
    let (patient, caller) = call(lab, "mixed").await?;
    forget(patient.open(lab).await?).await?;
    let device = patient.open(lab).await?;
    device.sync().await?;
    patient.claim(lab, FIRST_BATCH).await?;
    device.sync().await?;
    device.sync().await?;
    device.close().await;
    caller.send(KEYS, Duration::ZERO).await?;
    let second = lab.register(&lab.fresh_name("second")).await?;
    let second = Caller::join(lab, &second, &patient.user, &patient.device).await?;
    second.send(2, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}

/// The device is away; its keys wait, for the right identity.
pub async fn undrained(lab: &Lab) -> Result<(Patient, Caller)> {
    let (patient, caller) = call(lab, "away").await?;
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}

/// The device is away and has no key left for a new caller; the one in the call has a session.
pub async fn exhausted(lab: &Lab) -> Result<(Patient, Caller)> {
    let (patient, caller) = call(lab, "spent").await?;
    // A fallback key is handed out without end: an id that comes twice is its.
    let mut seen = HashSet::new();
    while let [id] = &patient.claim(lab, 1).await?[..] {
        if !seen.insert(id.clone()) {
            break;
        }
    }
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}

/// The device was logged out, and the caller still sends to it.
pub async fn stale(lab: &Lab) -> Result<(Patient, Caller)> {
    let (patient, caller) = call(lab, "stale").await?;
    let token = Some(patient.account.access_token.as_str());
    lab.wire().post("/_matrix/client/v3/logout", token, json!({})).await?;
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}

/// The device is online: its messages are fetched as they come. It runs as long as the patient lives.
pub async fn online(lab: &Lab) -> Result<(Patient, Caller)> {
    let (mut patient, caller) = call(lab, "online").await?;
    patient.run(lab).await?;
    Ok((patient, caller))
}

/// Sends media keys to a dehydrated device (MSC3814). The lab has to be started with
/// `experimental_features: {msc3814_enabled: true}`.
pub async fn dehydrated(lab: &Lab) -> Result<(Patient, Caller)> {
    let mut patient = admit(lab, "dehydrated").await?;
    let device = lab.fresh_name("DEHYDRATED");
    let mut account = olm::Account::new();
    account.generate_one_time_keys(5);
    let sign = |mut value: Value| {
        let text = CanonicalJsonValue::try_from(value.clone())?.to_string();
        let signature = account.sign(text).to_base64();
        value["signatures"] = json!({ &patient.user: { format!("ed25519:{device}"): signature } });
        anyhow::Ok(value)
    };
    let device_keys = sign(json!({
        "user_id": patient.user,
        "device_id": device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            format!("curve25519:{device}"): account.curve25519_key().to_base64(),
            format!("ed25519:{device}"): account.ed25519_key().to_base64(),
        },
    }))?;
    let mut one_time_keys = json!({});
    for (id, key) in account.one_time_keys() {
        let id = format!("signed_curve25519:{}", id.to_base64());
        one_time_keys[id] = sign(json!({ "key": key.to_base64() }))?;
    }
    let body = json!({
        "device_id": device,
        "device_data": {"algorithm": "m.dehydration.v2", "device_pickle": "lab", "nonce": "lab"},
        "initial_device_display_name": "Dehydrated device",
        "device_keys": device_keys,
        "one_time_keys": one_time_keys,
    });
    let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
    lab.wire().put(path, Some(&patient.account.access_token), body).await?;
    patient.device = device;
    let caller = Caller::join(lab, &patient.peer, &patient.user, &patient.device).await?;
    caller.send(KEYS, Duration::ZERO).await?;
    lab.log_written().await?;
    Ok((patient, caller))
}
