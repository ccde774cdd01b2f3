//! The tables of devices and their keys → facts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde_json::Value;
use tokio_postgres::{Client, Error, Row};

use super::sql::{literal, millis};
use super::{connect, replica};
use crate::config::Database;
use kestrel_core::evidence::{
    DeviceKeys, DeviceRow, Fact, FallbackKey, KeyId, KeyView, Need, StoredKey, StoredKeys, Subject,
    otk,
};

/// The most devices that are read; a user with more is a bot farm, and the answer says that the list was cut.
const DEVICE_LIMIT: i64 = 500;
/// One-time keys read with their values, oldest first: the order in which Synapse hands them out.
const KEY_LIMIT: i64 = 1000;
/// The most one-time keys that are counted, so that a flood of millions takes only a few milliseconds.
const COUNT_LIMIT: i64 = 20_001;

/// The requested device comes first, so that a limit never hides it.
const DEVICES: &str = "SELECT device_id, display_name, last_seen, hidden\n\
     FROM devices\n\
     WHERE user_id = $1\n\
     ORDER BY (device_id = $2) DESC, device_id LIMIT $3";
const DEVICE_KEYS: &str = "SELECT ts_added_ms, key_json\n\
     FROM e2e_device_keys_json\n\
     WHERE user_id = $1\nAND device_id = $2";
const KEYS: &str = "SELECT algorithm, key_id, ts_added_ms, key_json\n\
     FROM e2e_one_time_keys_json\n\
     WHERE user_id = $1\nAND device_id = $2\n\
     ORDER BY ts_added_ms, key_id LIMIT $3";
const KEY_COUNT: &str = "SELECT count(*) FROM (\n\
     SELECT 1 FROM e2e_one_time_keys_json\n\
     WHERE user_id = $1\nAND device_id = $2\n\
     LIMIT $3) AS bounded";
const FALLBACK: &str = "SELECT algorithm, key_id, used\n\
     FROM e2e_fallback_keys_json\n\
     WHERE user_id = $1\nAND device_id = $2\n\
     ORDER BY algorithm";
/// For the list of a user's devices: signs of trouble.
const DEVICE_LIST: &str = "SELECT d.device_id, d.display_name, d.last_seen, d.hidden, k.key_json, \
     (SELECT count(*) FROM (SELECT 1 FROM e2e_one_time_keys_json o WHERE o.user_id = d.user_id \
        AND o.device_id = d.device_id LIMIT 501) AS bounded), \
     (SELECT o.key_json FROM e2e_one_time_keys_json o WHERE o.user_id = d.user_id \
        AND o.device_id = d.device_id ORDER BY o.ts_added_ms LIMIT 1) \
     FROM devices d LEFT JOIN e2e_device_keys_json k ON k.user_id = d.user_id AND k.device_id = d.device_id \
     WHERE d.user_id = $1 AND NOT coalesce(d.hidden, false) ORDER BY d.last_seen DESC NULLS LAST LIMIT $2";

/// The statements of one need, limits filled in.
pub(super) fn statement(need: Need) -> String {
    match need {
        Need::Devices => DEVICES.replace("$3", &DEVICE_LIMIT.to_string()),
        Need::DeviceKeys => DEVICE_KEYS.to_owned(),
        Need::OneTimeKeys => {
            let keys = KEYS.replace("$3", &KEY_LIMIT.to_string());
            [keys, KEY_COUNT.replace("$3", &COUNT_LIMIT.to_string())].join(";\n")
        }
        Need::FallbackKeys => FALLBACK.to_owned(),
        _ => String::new(),
    }
}

/// Asks for one need of a device.
pub(super) async fn ask(
    client: &Client,
    need: Need,
    subject: &Subject,
) -> Result<Option<Fact>, Error> {
    match need {
        Need::Devices => devices(client, subject).await,
        Need::DeviceKeys => device_keys(client, subject).await,
        Need::OneTimeKeys => one_time_keys(client, subject).await,
        Need::FallbackKeys => fallback_keys(client, subject).await,
        _ => Ok(None),
    }
}

/// A user's devices.
#[derive(Debug, Clone, Default)]
pub struct DeviceList {
    pub rows: Vec<DeviceRow>,
    /// Why devices may be missing, as a sentence for a person: the database is a replica that is behind.
    pub behind: Option<String>,
    /// The statement for pasting.
    pub query: String,
}

/// If the data is older than this, the list says so.
const OLD: SignedDuration = SignedDuration::from_secs(5);

/// A user's devices without hidden ones, with signs of trouble; the newest first.
pub async fn device_list(
    user: &UserId,
    database: &Database,
    deadline: Duration,
) -> Result<DeviceList, String> {
    let listing = async {
        let client = connect::open(database, deadline).await?;
        let lag = replica::lag(&client).await.filter(|lag| lag.is_beyond(OLD));
        let rows = client.query(DEVICE_LIST, &[&user.as_str(), &DEVICE_LIMIT]).await;
        let rows = rows.map_err(|error| connect::words(&error, "devices"))?;
        let rows: Result<_, _> = rows.iter().map(|row| listed(user, row)).collect();
        let rows = rows.map_err(|error| connect::words(&error, "devices"))?;
        let query = DEVICE_LIST.replace("$1", &literal(user.as_str()));
        let query = query.replace("$2", &DEVICE_LIMIT.to_string());
        Ok(DeviceList { rows, behind: lag.map(|lag| lag.words()), query })
    };
    let late = || format!("it did not answer within {} s", deadline.as_secs_f32());
    tokio::time::timeout(deadline, listing).await.unwrap_or_else(|_| Err(late()))
}

fn listed(user: &UserId, row: &Row) -> Result<DeviceRow, Error> {
    let json = |column| -> Result<Option<Value>, Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
    };
    let device = device_row(row)?;
    let identity = json(4)?;
    let own = identity.as_ref().and_then(|keys| identity_key(keys, "ed25519", &device.device));
    // The oldest key is the one that Synapse hands out next.
    let next = json(6)?.zip(own).map(|(key, own)| otk::verify(&key, user, &device.device, &own));
    Ok(DeviceRow {
        has_keys: Some(identity.is_some()),
        one_time_keys: row.try_get::<_, Option<i64>>(5)?.map(i64::unsigned_abs),
        next_key: next,
        ..device
    })
}

pub(super) fn identity_key(keys: &Value, algorithm: &str, device: &DeviceId) -> Option<String> {
    let key = keys.get("keys")?.get(format!("{algorithm}:{device}"))?;
    key.as_str().map(str::to_owned)
}

fn device_row(row: &Row) -> Result<DeviceRow, Error> {
    Ok(DeviceRow {
        device: OwnedDeviceId::from(row.try_get::<_, String>(0)?),
        display_name: row.try_get(1)?,
        last_seen: millis(row.try_get(2)?),
        hidden: row.try_get::<_, Option<bool>>(3)?.unwrap_or(false),
        has_keys: None,
        one_time_keys: None,
        next_key: None,
    })
}

async fn devices(client: &Client, subject: &Subject) -> Result<Option<Fact>, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let rows = client.query(DEVICES, &[&ids.0, &ids.1, &DEVICE_LIMIT]).await?;
    let rows: Vec<_> = rows.iter().map(device_row).collect::<Result<_, _>>()?;
    Ok((!rows.is_empty()).then_some(Fact::Devices(rows)))
}

async fn device_keys(client: &Client, subject: &Subject) -> Result<Option<Fact>, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let row = client.query_opt(DEVICE_KEYS, &[&ids.0, &ids.1]).await?;
    let Some(row) = row else { return Ok(None) };
    let json: Option<String> = row.try_get(1)?;
    let json: Value = serde_json::from_str(&json.unwrap_or_default()).unwrap_or_default();
    let key = |algorithm| identity_key(&json, algorithm, &subject.device);
    Ok(Some(Fact::DeviceKeys(DeviceKeys {
        added: millis(row.try_get(0)?).unwrap_or(Timestamp::UNIX_EPOCH),
        ed25519: key("ed25519"),
        curve25519: key("curve25519"),
    })))
}

async fn one_time_keys(client: &Client, subject: &Subject) -> Result<Option<Fact>, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let total = client.query_one(KEY_COUNT, &[&ids.0, &ids.1, &COUNT_LIMIT]).await?;
    let total: i64 = total.try_get(0)?;
    let rows = client.query(KEYS, &[&ids.0, &ids.1, &KEY_LIMIT]).await?;
    let stored = |row: &Row| -> Result<StoredKey, Error> {
        let json: String = row.try_get::<_, Option<String>>(3)?.unwrap_or_default();
        Ok(StoredKey {
            id: key_id(row)?,
            added: millis(row.try_get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
            // Synapse stores what the client sent; text that is not JSON is kept as a string.
            value: KeyView::from_raw(serde_json::from_str(&json).unwrap_or(Value::String(json))),
        })
    };
    let keys = rows.iter().map(stored).collect::<Result<_, _>>()?;
    let total = total.unsigned_abs();
    let capped = total >= COUNT_LIMIT.unsigned_abs();
    Ok((total > 0).then_some(Fact::OneTimeKeys(StoredKeys { total, capped, keys })))
}

async fn fallback_keys(client: &Client, subject: &Subject) -> Result<Option<Fact>, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let rows = client.query(FALLBACK, &[&ids.0, &ids.1]).await?;
    let key = |row: &Row| Ok(FallbackKey { id: key_id(row)?, used: row.try_get(2)? });
    let keys: Vec<_> = rows.iter().map(key).collect::<Result<_, Error>>()?;
    Ok((!keys.is_empty()).then_some(Fact::FallbackKeys(keys)))
}

fn key_id(row: &Row) -> Result<KeyId, Error> {
    Ok(KeyId(format!("{}:{}", row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?)))
}
