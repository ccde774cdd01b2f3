//! Evidence of one device, made by hand: what its log and its rows say, for the tests of this room.

use jiff::Timestamp;
use serde_json::json;

use super::judgement::diagnose;
use super::tree_walk::TreeQuestion;
use super::verdict::{Answer, Step, Verdict};
use super::verdict_id::VerdictId;
use crate::evidence::key_log::{
    Accepted, AcceptedBatch, Batch, Coverage, Format, Refused, Removal, Span,
};
use crate::evidence::otk::Check;
use crate::evidence::removal::RemovedBy;
use crate::evidence::{
    About, DeviceKeys, DeviceRow, Evidence, Fact, FallbackKey, Gathered, KeyId, KeyLog, KeyView,
    Need, SCHEMA, Shown, State, StoredKey, StoredKeys, Subject, Symptom, Window,
};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_348_800 + seconds).unwrap()
}

/// A log that was read from second 0 to this one.
pub(super) fn log(format: Format, to: i64) -> KeyLog {
    let coverage = Coverage {
        source: "main".into(),
        span: Some((at(0), at(to))),
        whole: true,
        lines: 1000,
        format,
        zone: "UTC".into(),
        notes: Vec::new(),
        visible: None,
    };
    KeyLog { coverage: vec![coverage], ..KeyLog::default() }
}

pub(super) fn view(name: &str, check: Check) -> KeyView {
    let mut view = KeyView::from_raw(json!({ "key": name }));
    view.check = check;
    view
}

/// So many refusals of one conflict between two seconds; the key's name is its old value too.
pub(super) fn refused(
    key: &str,
    (first, last, count): (i64, i64, u64),
    signed: [Check; 2],
) -> Refused {
    Refused {
        key: KeyId(format!("signed_curve25519:{key}")),
        old: view(key, signed[0]),
        new: view(&format!("{key} {first}"), signed[1]),
        span: Span { first: at(first), last: at(last), count },
        by: "@u:s".try_into().unwrap(),
        batch: Batch { range: None, count: 50 },
        with_device_keys: 0,
        addresses: Vec::new(),
        agents: Vec::new(),
        format: Format::Json,
        reported: false,
        read_to: None,
    }
}

pub(super) fn accepted(log: &mut KeyLog, second: i64, range: (u64, u64), device_keys: bool) {
    let span = Span::once(at(second));
    let count = range.1 - range.0 + 1;
    let Accepted { uploads, keys, batches } = &mut log.accepted;
    match uploads {
        Some(all) => all.add(span),
        None => *uploads = Some(span),
    }
    *keys += count;
    batches.push(AcceptedBatch {
        batch: Batch { range: Some(range), count },
        span,
        with_device_keys: u64::from(device_keys),
        address: None,
        agent: None,
    });
}

pub(super) fn removed(second: i64, by: RemovedBy, format: Format) -> Removal {
    Removal { at: at(second), by, format }
}

/// What a source has; the log's, or the database's.
pub(super) fn found(need: Need, fact: Fact) -> Gathered {
    Gathered::answered(
        need,
        source(need),
        State::Found,
        Shown { what: "".into(), query: "".into() },
        Some(fact),
    )
}

/// A source that did not answer.
pub(super) fn failed(need: Need) -> Gathered {
    Gathered::unread(need, source(need), String::new(), State::Failed("connection refused".into()))
}

fn source(need: Need) -> &'static str {
    if need == Need::KeyLog { "log:main" } else { "database" }
}

/// The identity that the database holds of the device, and since when.
pub(super) fn database_keys(ed25519: &str, second: i64) -> Gathered {
    let keys = DeviceKeys { added: at(second), ed25519: Some(ed25519.into()), curve25519: None };
    found(Need::DeviceKeys, Fact::DeviceKeys(keys))
}

/// A database that was read and does not have the device.
pub(super) fn database_without_device() -> Vec<Gathered> {
    let empty = |need| {
        Gathered::answered(
            need,
            source(need),
            State::Empty,
            Shown { what: String::new(), query: String::new() },
            None,
        )
    };
    vec![empty(Need::Devices), empty(Need::DeviceKeys)]
}

/// The rows of the device: when its identity was stored, and its one-time keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub identity: i64,
    /// Name, second, and the signature test.
    pub stored: Vec<(&'static str, i64, Check)>,
}

/// A question of second `now` about the hour before.
pub(super) fn evidence(log: KeyLog, rows: Option<Rows>, now: i64) -> Evidence {
    let subject = Subject { user: "@u:s".try_into().unwrap(), device: "D".into() };
    let row = DeviceRow {
        device: "D".into(),
        display_name: None,
        last_seen: Some(at(now)),
        hidden: false,
        has_keys: None,
        one_time_keys: None,
        next_key: None,
    };
    let mut gathered = vec![found(Need::KeyLog, Fact::KeyLog(Box::new(log)))];
    if let Some(rows) = rows {
        let keys = DeviceKeys { added: at(rows.identity), ed25519: None, curve25519: None };
        let key = |(name, second, check): &(&str, i64, Check)| StoredKey {
            id: KeyId(format!("signed_curve25519:{name}")),
            added: at(*second),
            value: view(name, *check),
        };
        let keys_stored: Vec<_> = rows.stored.iter().map(key).collect();
        let total = keys_stored.len() as u64;
        let stored = StoredKeys { total, capped: false, keys: keys_stored };
        let fallback = FallbackKey { id: KeyId("signed_curve25519:F".into()), used: false };
        gathered.extend([
            found(Need::Devices, Fact::Devices(vec![row])),
            found(Need::DeviceKeys, Fact::DeviceKeys(keys)),
            found(Need::OneTimeKeys, Fact::OneTimeKeys(stored)),
            found(Need::FallbackKeys, Fact::FallbackKeys(vec![fallback])),
        ]);
    }
    Evidence {
        schema: SCHEMA,
        symptom: Symptom::Ke1,
        subject: About::Device(subject),
        window: Window { from: at(now - 3600), to: at(now) },
        now: at(now),
        gathered,
    }
}

/// The recorded cases whose names begin so.
#[cfg(test)]
pub(super) fn recorded_cases(prefix: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// A recorded case of a real server, by its folder in `tests/cases`.
pub(super) fn recorded(case: &str) -> Evidence {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
    let text = std::fs::read_to_string(format!("{cases}/{case}/evidence.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a recorded case answers to a question, and the verdict where that answer gave it.
#[cfg(test)]
pub(super) fn answer_of(case: &str, question: &TreeQuestion) -> (Answer, Option<VerdictId>) {
    let Verdict { id, path, .. } = diagnose(&recorded(case));
    let asked = |step: &Step| step.question == question.name;
    let step = path.iter().find(|step| asked(step)).expect("the question was asked");
    let decided = path.last().is_some_and(asked) && id != VerdictId::Inconclusive;
    (step.answer, decided.then_some(id))
}
