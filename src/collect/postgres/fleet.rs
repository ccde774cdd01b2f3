//! Finds devices in trouble among all devices, in pages by the index of `devices`, within a time limit.
//!
//! Two million one-time keys are 40 000 devices: each page uses the index for one device's keys at a time and
//! stops counting at the flood limit, so that no table is read completely. What does not fit into the time
//! limit is left out, and the answer says where it stopped.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde_json::Value;
use tokio_postgres::{Client, Error, Row};

use super::connect;
use super::device::identity_key;
use super::sql::millis;
use crate::config::Database;
use kestrel_core::evidence::fleet::{Confirmed, FleetLog, FleetRows, Holder, Uploader};
use kestrel_core::evidence::{Fact, Gathered, KeyView, otk};

/// Devices per page: some tens of milliseconds, so that the time limit is exceeded by one page at most.
const PAGE: i64 = 4000;
/// A flood (`diagnose::key_count::FLOOD`): counting further tells nothing new.
const COUNTED: i64 = 500;
/// How long pages are read; the whole survey takes less than two seconds.
const SCAN: Duration = Duration::from_millis(1300);
/// The time limit for checking the keys of those devices.
const LOOK: Duration = Duration::from_millis(400);
/// The time limit for looking up the devices from the log.
const CONFIRM: Duration = Duration::from_millis(1000);
/// The most devices in trouble that are kept; further ones are only mentioned.
const MOST: usize = 5000;
/// The most devices whose oldest key is verified.
const TESTED: usize = 1000;
/// The most devices without encryption keys per page, the most recently seen.
const KEYLESS: i64 = 3;

/// One page: devices in trouble, a few devices without keys, and always its last row, which shows how far the
/// page went. The limits and counts prevent PostgreSQL from reading a whole table for each page, as a plain
/// join or NOT EXISTS would.
const DEVICES: &str = "WITH page AS MATERIALIZED (\n\
     SELECT p.user_id, p.device_id, p.last_seen, k.ts_added_ms, o.total, o.older,\n\
     row_number() OVER (ORDER BY p.user_id, p.device_id) AS number,\n\
     row_number() OVER (PARTITION BY k.user_id IS NULL ORDER BY p.last_seen DESC NULLS LAST) AS newest\n\
     FROM (SELECT user_id, device_id, last_seen FROM devices\n\
     WHERE (user_id, device_id) > ($1, $2) AND hidden IS NOT TRUE\n\
     ORDER BY user_id, device_id LIMIT $3) AS p\n\
     LEFT JOIN LATERAL (SELECT i.user_id, i.ts_added_ms FROM e2e_device_keys_json i\n\
     WHERE i.user_id = p.user_id AND i.device_id = p.device_id LIMIT 1) AS k ON true\n\
     LEFT JOIN LATERAL (\n\
     SELECT count(*) AS total, count(*) FILTER (WHERE b.ts_added_ms < k.ts_added_ms) AS older\n\
     FROM (SELECT o.ts_added_ms FROM e2e_one_time_keys_json o\n\
     WHERE o.user_id = p.user_id AND o.device_id = p.device_id LIMIT $4) AS b\n\
     ) AS o ON k.user_id IS NOT NULL)\n\
     SELECT user_id, device_id, last_seen, ts_added_ms, total, older, number,\n\
     (SELECT count(*) FROM page WHERE ts_added_ms IS NULL),\n\
     ts_added_ms IS NULL AND newest <= $5 OR older > 0 OR total >= $4\n\
     OR ts_added_ms IS NOT NULL AND total = 0 AND (\n\
     SELECT count(*) FROM e2e_fallback_keys_json f WHERE f.user_id = page.user_id\n\
     AND f.device_id = page.device_id AND NOT f.used) = 0\n\
     FROM page\n\
     WHERE ts_added_ms IS NULL AND newest <= $5 OR older > 0 OR total = 0 OR total >= $4\n\
     OR number = (SELECT count(*) FROM page)\n\
     ORDER BY number";
/// The identity and the oldest key, which is handed out next.
const OLDEST: &str = "SELECT t.user_id, t.device_id, k.key_json, o.key_json\n\
     FROM unnest($1::text[], $2::text[]) AS t(user_id, device_id)\n\
     JOIN LATERAL (SELECT key_json FROM e2e_device_keys_json i\n\
     WHERE i.user_id = t.user_id AND i.device_id = t.device_id LIMIT 1) AS k ON true\n\
     JOIN LATERAL (SELECT key_json FROM e2e_one_time_keys_json i\n\
     WHERE i.user_id = t.user_id AND i.device_id = t.device_id\n\
     ORDER BY i.ts_added_ms LIMIT 1) AS o ON true";
/// Whether the devices from the log exist, and what is stored under the rejected key ID.
const NAMED: &str = "SELECT t.user_id, t.device_id, o.key_json, k.ts_added_ms\n\
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS t(user_id, device_id, algorithm, key_id)\n\
     JOIN LATERAL (SELECT FROM devices i WHERE i.user_id = t.user_id AND i.device_id = t.device_id\n\
     AND i.hidden IS NOT TRUE LIMIT 1) AS d ON true\n\
     LEFT JOIN LATERAL (SELECT key_json FROM e2e_one_time_keys_json i\n\
     WHERE i.user_id = t.user_id AND i.device_id = t.device_id\n\
     AND i.algorithm = t.algorithm AND i.key_id = t.key_id LIMIT 1) AS o ON true\n\
     LEFT JOIN LATERAL (SELECT ts_added_ms FROM e2e_device_keys_json i\n\
     WHERE i.user_id = t.user_id AND i.device_id = t.device_id LIMIT 1) AS k ON true";
/// Dehydrated devices never upload new keys. Only if the role can read the table.
const MAY_KNOW: &str = "SELECT coalesce(has_column_privilege(to_regclass('dehydrated_devices'), 'device_id', 'SELECT')\n\
     AND has_column_privilege(to_regclass('dehydrated_devices'), 'user_id', 'SELECT'), false)";
const DEHYDRATED: &str =
    "SELECT user_id, device_id FROM dehydrated_devices WHERE user_id = ANY($1::text[])";

/// The first page's statement for pasting, with the limits filled in.
pub(super) fn statement() -> String {
    (DEVICES.replace("$1", "''").replace("$2", "''"))
        .replace("$3", &PAGE.to_string())
        .replace("$4", &COUNTED.to_string())
        .replace("$5", &KEYLESS.to_string())
}

/// Checks every device within the time limit.
pub(super) async fn ask(client: &Client) -> Result<FleetRows, Error> {
    let mut rows = FleetRows::default();
    let mut at = Some((String::new(), String::new()));
    let scan = async {
        while let Some(from) = &at {
            let last = page(client, from, PAGE, &mut rows).await?;
            at = last.filter(|(_, full)| *full).map(|(place, _)| place);
        }
        Ok(())
    };
    let scanned = tokio::time::timeout(SCAN, scan).await;
    if let Ok(Err(error)) = scanned {
        return Err(error);
    }
    if let (true, Some((user, _))) = (scanned.is_err(), &at) {
        let whom = if user.is_empty() { String::new() } else { format!(" up to {user}") };
        let cut =
            format!("stopped after {} s: {} devices read{whom}", SCAN.as_secs_f32(), rows.read);
        rows.cut = Some(cut);
    }
    if rows.devices.len() > MOST {
        rows.devices.truncate(MOST);
        let cut = rows.cut.take().map_or(String::new(), |cut| format!("{cut}; "));
        rows.cut = Some(format!("{cut}more than {MOST} devices are affected"));
    }
    match tokio::time::timeout(LOOK, look(client, &mut rows)).await {
        Ok(Err(error)) => return Err(error),
        Ok(Ok(())) => {}
        Err(_) => note(&mut rows, "the oldest keys were not all tested in time"),
    }
    Ok(rows)
}

fn note(rows: &mut FleetRows, what: &str) {
    rows.cut = Some(rows.cut.take().map_or(what.into(), |cut| format!("{cut}; {what}")));
}

/// Reads one page after `from`; returns its last device, if any, and whether the page is full.
pub(super) async fn page(
    client: &Client,
    from: &(String, String),
    size: i64,
    into: &mut FleetRows,
) -> Result<Option<((String, String), bool)>, Error> {
    let found = client.query(DEVICES, &[&from.0, &from.1, &size, &COUNTED, &KEYLESS]).await?;
    let Some(last) = found.last() else { return Ok(None) };
    let number: i64 = last.try_get(6)?;
    let keyless: Option<i64> = last.try_get(7)?;
    into.read += number.unsigned_abs();
    into.keyless += keyless.unwrap_or_default().unsigned_abs();
    for row in &found {
        if row.try_get::<_, Option<bool>>(8)? == Some(true)
            && let Some(holder) = holder(row)?
        {
            into.devices.push(holder);
        }
    }
    let place = (last.try_get(0)?, last.try_get(1)?);
    Ok(Some((place, number == size)))
}

fn holder(row: &Row) -> Result<Option<Holder>, Error> {
    let user: String = row.try_get(0)?;
    let device: String = row.try_get(1)?;
    let Ok(user) = OwnedUserId::try_from(user) else { return Ok(None) };
    let count = |column| row.try_get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
    Ok(Some(Holder {
        user,
        device: device.into(),
        last_seen: millis(row.try_get(2)?),
        identity: row.try_get::<_, Option<i64>>(3)?.map(moment),
        one_time_keys: count(4)?.unsigned_abs(),
        older: count(5)?.unsigned_abs(),
        next_key: None,
        dehydrated: None,
    }))
}

/// A stored time; an invalid one becomes the start of time.
fn moment(ms: i64) -> Timestamp {
    millis(Some(ms)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Notes who is dehydrated, and tests keys.
async fn look(client: &Client, rows: &mut FleetRows) -> Result<(), Error> {
    if client.query_one(MAY_KNOW, &[]).await?.try_get::<_, Option<bool>>(0)? == Some(true) {
        let users: Vec<&str> = rows.devices.iter().map(|of| of.user.as_str()).collect();
        let found = client.query(DEHYDRATED, &[&users]).await?;
        let found: HashSet<(String, String)> = found
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, Error>>()?;
        for of in &mut rows.devices {
            let key = (of.user.to_string(), of.device.to_string());
            of.dehydrated = Some(found.contains(&key));
        }
    }
    test(client, rows).await
}

/// Verifies the oldest keys of devices whose keys are older than their identity.
pub(super) async fn test(client: &Client, rows: &mut FleetRows) -> Result<(), Error> {
    let older = rows.devices.iter().filter(|of| of.older > 0);
    let (users, devices): (Vec<_>, Vec<_>) =
        older.take(TESTED).map(|of| (of.user.to_string(), of.device.to_string())).unzip();
    if users.len() == TESTED {
        note(rows, "only 1000 oldest keys were tested");
    }
    if users.is_empty() {
        return Ok(());
    }
    let found = client.query(OLDEST, &[&users, &devices]).await?;
    let mut checks = HashMap::new();
    for row in &found {
        checks.insert((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?), row);
    }
    for of in rows.devices.iter_mut().filter(|of| of.older > 0) {
        let Some(row) = checks.get(&(of.user.to_string(), of.device.to_string())) else { continue };
        let json = |column| -> Result<Value, Error> {
            let text: Option<String> = row.try_get(column)?;
            Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
        };
        let identity = json(2)?;
        let oldest = json(3)?;
        of.next_key = Some(match identity_key(&identity, "ed25519", &of.device) {
            Some(own) => otk::verify(&oldest, &of.user, &of.device, &own),
            None => otk::Check::Unknown,
        });
    }
    Ok(())
}

/// Looks up the devices from the logs and adds the result to the rows. If that fails, the devices stay
/// unconfirmed.
pub async fn confirm(
    logs: &[Gathered],
    rows: &mut [Gathered],
    database: Option<&Database>,
    deadline: Duration,
) {
    let rows = rows.iter_mut().find_map(|answer| match &mut answer.fact {
        Some(Fact::FleetRows(rows)) => Some(rows),
        _ => None,
    });
    let (Some(rows), Some(database)) = (rows, database) else { return };
    let mut named = FleetLog::default();
    for answer in logs {
        if let Some(Fact::FleetLog(log)) = &answer.fact {
            named.add(log);
        }
    }
    // PostgreSQL accepts no NUL, and one such ID would fail the query for all others.
    named.devices.retain(|of| !of.device.as_str().contains('\0') && !key(of).contains('\0'));
    if named.devices.is_empty() {
        return;
    }
    let asking = async {
        let client = connect::connect(database, deadline).await.ok()?;
        confirmed(&client, &named.devices).await.ok()
    };
    rows.confirmed = tokio::time::timeout(deadline.min(CONFIRM), asking).await.ok().flatten();
}

/// The latest rejected key ID, if any.
fn key(of: &Uploader) -> &str {
    of.conflict.as_ref().map_or("", |conflict| &conflict.key.0)
}

async fn confirmed(client: &Client, named: &[Uploader]) -> Result<Vec<Confirmed>, Error> {
    let column = |pick: fn(&Uploader) -> &str| named.iter().map(pick).collect::<Vec<_>>();
    let users = column(|of| of.user.as_str());
    let devices = column(|of| of.device.as_str());
    let algorithms = column(|of| key(of).split_once(':').map_or("", |(algorithm, _)| algorithm));
    let ids = column(|of| key(of).split_once(':').map_or("", |(_, id)| id));
    let found = client.query(NAMED, &[&users, &devices, &algorithms, &ids]).await?;
    let mut confirmed = Vec::with_capacity(found.len());
    for row in &found {
        let (user, device): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let is_named = |of: &&Uploader| of.user == user.as_str() && of.device == device.as_str();
        let Some(of) = named.iter().find(is_named) else { continue };
        let stored: Option<String> = row.try_get(2)?;
        let stored = stored.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        let holds_old_key = (stored.map(KeyView::from_raw).zip(of.conflict.as_ref()))
            .is_some_and(|(stored, conflict)| stored.digest == conflict.old);
        let user = of.user.clone();
        let device = of.device.clone();
        let identity: Option<i64> = row.try_get(3)?;
        let identity = identity.and_then(|at| Timestamp::from_millisecond(at).ok());
        confirmed.push(Confirmed { user, device, holds_old_key, identity });
    }
    Ok(confirmed)
}
