//! Uploads that no honest client makes on demand, on a real server: each key is signed by a real
//! account, and the refusals are Synapse's own.

use anyhow::{Context, Result};
use kestrel_lab::{Account, Lab};
use ruma::CanonicalJsonValue;
use serde_json::{Map, Value, json};
use vodozemac::olm;

/// The uploads that this many tries make are a storm and no race.
const TRIES: usize = 4;

/// A logged-in device with an encryption account of our making.
struct Crafted {
    session: Account,
    olm: olm::Account,
}

impl Crafted {
    async fn register(lab: &Lab, name: &str) -> Result<Self> {
        let session = lab.register(&lab.fresh_name(name)).await?;
        Ok(Self { session, olm: olm::Account::new() })
    }

    fn signed(&self, mut value: Value) -> Value {
        let text = CanonicalJsonValue::try_from(value.clone()).expect("canonical").to_string();
        let (user, device) = (&self.session.user_id, &self.session.device_id);
        let signature = self.olm.sign(text).to_base64();
        value["signatures"] = json!({ user: { format!("ed25519:{device}"): signature } });
        value
    }

    fn device_keys(&self) -> Value {
        let (user, device) = (&self.session.user_id, &self.session.device_id);
        self.signed(json!({
            "user_id": user,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{device}"): self.olm.curve25519_key().to_base64(),
                format!("ed25519:{device}"): self.olm.ed25519_key().to_base64(),
            },
        }))
    }

    /// A fresh key, signed by this account.
    fn key(&self) -> Value {
        let key = vodozemac::Curve25519PublicKey::from(&vodozemac::Curve25519SecretKey::new());
        self.signed(json!({ "key": key.to_base64() }))
    }

    async fn upload(&self, lab: &Lab, body: Value) -> Result<Value> {
        let token = Some(self.session.access_token.as_str());
        lab.wire().post("/_matrix/client/v3/keys/upload", token, body).await
    }

    async fn publish(&self, lab: &Lab) -> Result<()> {
        self.upload(lab, json!({ "device_keys": self.device_keys() })).await.map(drop)
    }

    /// Gives Synapse's own words, as the client is told them.
    async fn refused(&self, lab: &Lab, keys: Value) -> Result<Value> {
        let answer = self.upload(lab, json!({ "one_time_keys": keys })).await;
        let error = answer.expect_err("the server took what it should refuse").to_string();
        let (_, body) = error.split_once(": {").context("the refusal has no body")?;
        Ok(serde_json::from_str(&format!("{{{body}"))?)
    }

    fn subject(self) -> (String, String) {
        (self.session.user_id, self.session.device_id)
    }
}

/// Ids as vodozemac counts them.
fn ids(from: u64, count: u64) -> impl Iterator<Item = String> {
    (from..from + count)
        .map(|id| format!("signed_curve25519:{}", vodozemac::base64_encode(id.to_be_bytes())))
}

/// A device that never published anything.
pub async fn keyless(lab: &Lab) -> Result<(String, String)> {
    Ok(Crafted::register(lab, "keyless").await?.subject())
}

/// The uploader has another identity than the one that the server holds.
pub async fn foreign_identity(lab: &Lab) -> Result<(String, String)> {
    Ok(foreign_refusal(lab).await?.0)
}

/// The same, with the last refusal's body.
pub async fn foreign_refusal(lab: &Lab) -> Result<((String, String), Value)> {
    let mut device = Crafted::register(lab, "foreign").await?;
    device.publish(lab).await?;
    let id = ids(0, 1).next().expect("one id");
    device.upload(lab, json!({ "one_time_keys": { &id: device.key() } })).await?;
    device.olm = olm::Account::new();
    let mut refusal = Value::Null;
    for _ in 0..TRIES {
        refusal = device.refused(lab, json!({ &id: device.key() })).await?;
    }
    Ok((device.subject(), refusal))
}

/// Keys without a signature: nothing tells whose they are.
pub async fn unsigned(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "unsigned").await?;
    device.publish(lab).await?;
    device.upload(lab, json!({ "one_time_keys": { "curve25519:AAAA": "abc" } })).await?;
    for _ in 0..TRIES {
        device.refused(lab, json!({ "curve25519:AAAA": "abd" })).await?;
    }
    Ok(device.subject())
}

/// One account, two keys under one id, and ids that are no counters: the shape says nothing.
pub async fn same_account(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "twice").await?;
    device.publish(lab).await?;
    let id = "signed_curve25519:once-more";
    device.upload(lab, json!({ "one_time_keys": { id: device.key() } })).await?;
    for _ in 0..TRIES {
        device.refused(lab, json!({ id: device.key() })).await?;
    }
    Ok(device.subject())
}

/// Two uploads of one device cross once.
pub async fn race(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "racer").await?;
    device.publish(lab).await?;
    let mut ids = ids(0, 2);
    let (first, next) = (ids.next().expect("one"), ids.next().expect("two"));
    device.upload(lab, json!({ "one_time_keys": { &first: device.key() } })).await?;
    device.refused(lab, json!({ &first: device.key() })).await?;
    device.upload(lab, json!({ "one_time_keys": { &next: device.key() } })).await?;
    Ok(device.subject())
}

/// One upload is rejected, and nothing comes after it.
pub async fn refused_once(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "once").await?;
    device.publish(lab).await?;
    let id = ids(0, 1).next().expect("one");
    device.upload(lab, json!({ "one_time_keys": { &id: device.key() } })).await?;
    device.refused(lab, json!({ &id: device.key() })).await?;
    Ok(device.subject())
}

/// The same, of a key without a signature.
pub async fn refused_once_unsigned(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "bare").await?;
    device.publish(lab).await?;
    device.upload(lab, json!({ "one_time_keys": { "curve25519:AAAA": "abc" } })).await?;
    device.refused(lab, json!({ "curve25519:AAAA": "abd" })).await?;
    Ok(device.subject())
}

/// Two processes of a client on libolm, whose key IDs have six characters, top up with the same IDs: one is taken and
/// continues, the other is rejected.
pub async fn libolm_two_clients(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "libolm").await?;
    device.publish(lab).await?;
    let batch = |from: u32| -> Map<String, Value> {
        let name =
            |id: u32| format!("signed_curve25519:{}", vodozemac::base64_encode(id.to_be_bytes()));
        (from..from + 5).map(|id| (name(id), device.key())).collect()
    };
    device.upload(lab, json!({ "one_time_keys": batch(1) })).await?;
    for round in 0..4 {
        device.upload(lab, json!({ "one_time_keys": batch(6 + 5 * round) })).await?;
        device.refused(lab, Value::Object(batch(6))).await?;
    }
    Ok(device.subject())
}

/// As matrix-nio: each try names another key ID, and all are rejected.
pub async fn ever_new_ids(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "ever-new").await?;
    device.publish(lab).await?;
    let names: Vec<_> = ids(0, 4).collect();
    let keys: Map<_, _> = names.iter().map(|id| (id.clone(), device.key())).collect();
    device.upload(lab, json!({ "one_time_keys": keys })).await?;
    for name in &names {
        device.refused(lab, json!({ name: device.key() })).await?;
    }
    Ok(device.subject())
}

/// More keys than any client should have. Synapse ≥ 1.163 takes 500 and refuses the rest.
pub async fn flood(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "flooder").await?;
    device.publish(lab).await?;
    for batch in 0..11 {
        let keys: Map<_, _> = ids(batch * 50, 50).map(|id| (id, device.key())).collect();
        let answer = device.upload(lab, json!({ "one_time_keys": keys })).await;
        if let Err(error) = answer {
            let full = batch >= 10 && error.to_string().contains("M_TOO_LARGE");
            assert!(full, "batch {batch}: {error}");
        }
    }
    Ok(device.subject())
}

/// The same keys, again and again; the server takes equal values without a word.
pub async fn upload_loop(lab: &Lab) -> Result<(String, String)> {
    let device = Crafted::register(lab, "looper").await?;
    device.publish(lab).await?;
    let keys: Map<_, _> = ids(0, 50).map(|id| (id, device.key())).collect();
    for _ in 0..TRIES {
        device.upload(lab, json!({ "one_time_keys": keys })).await?;
    }
    Ok(device.subject())
}
