//! A client's diagnostics report (JSON, as the runbook's card writes it) → what the client says. Field
//! names vary between clients, so they are matched by their letters alone; what is not known is counted
//! and not kept.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::client_files::signs;
use crate::evidence::client::{
    ClientEvent, ClientFacts, ClientIdentity, ClientRefusal, Noted, Sign,
};

/// Fields that are looked through for counts.
const FIELDS: usize = 20_000;
/// The most events and rejections that are stored one by one.
pub(crate) const KEPT: usize = 16;
/// The most signs that are stored separately: each may name a key.
const SIGNS: usize = 64;
/// Longest ID or version that is stored, in characters.
const TEXT: usize = 255;

/// The names of fields, as their letters alone; the first that exists counts.
pub(crate) const USER: &[&str] = &["userid", "user", "mxid"];
pub(crate) const DEVICE: &[&str] = &["deviceid", "device"];
pub(crate) const SDK: &[&str] = &["sdkversion", "sdk", "matrixjssdk", "matrixsdkversion", "sdksha"];
/// Of a report that names no app; of one that does it is the app's.
const VERSION: &[&str] = &["version"];
pub(crate) const APP: &[&str] = &["app", "appname"];
pub(crate) const DEVICE_KEYS: &[&str] = &["devicekeys"];
pub(crate) const CRYPTO_VERSION: &[&str] = &["cryptoversion"];
pub(crate) const UNDECRYPTED: &[&str] = &["autouisi"];
pub(crate) const LISTS: &[&str] = &["entries", "log", "logs", "events", "messages"];
pub(crate) const LINE: &[&str] = &["message", "msg", "text", "line"];
pub(crate) const TIME: &[&str] = &["ts", "time", "timestamp", "date"];
pub(crate) const SYNC: &[&str] = &["syncstate", "sync"];
const CRYPTO: &[&str] = &["cryptoready", "hascrypto", "crypto"];

/// What a report says in addition to its entries.
pub(crate) fn head(report: &Map<String, Value>) -> ClientFacts {
    let text = |names: &[&str]| find(report, names).and_then(Value::as_str).map(clip);
    let app = text(APP);
    let keys = text(DEVICE_KEYS);
    let undecrypted = text_of(report, UNDECRYPTED).and_then(undecrypted);
    let mut facts = ClientFacts {
        user: text(USER),
        device: text(DEVICE),
        sdk: text(SDK).or_else(|| text(VERSION).filter(|_| app.is_none())),
        sync: text(SYNC),
        crypto_ready: find(report, CRYPTO).and_then(Value::as_bool),
        crypto_version: text(CRYPTO_VERSION),
        identity: keys.as_deref().and_then(identity),
        events: undecrypted.into_iter().collect(),
        app: app.map(|app| match text(VERSION) {
            Some(version) => format!("{app} {version}"),
            None => app,
        }),
        ..ClientFacts::default()
    };
    facts.counts(report);
    facts
}

fn text_of<'a>(report: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    find(report, names).and_then(Value::as_str)
}

/// `curve25519:KEY, ed25519:KEY`, as bug reports name the keys of the account.
fn identity(keys: &str) -> Option<ClientIdentity> {
    let mut identity = ClientIdentity::default();
    for key in keys.split(',') {
        let (name, key) = key.trim().split_once(':')?;
        let key = Some(key.trim_end_matches('=').to_owned());
        match name {
            "ed25519" => identity.ed25519 = key,
            "curve25519" => identity.curve25519 = key,
            _ => {}
        }
    }
    (identity != ClientIdentity::default()).then_some(identity)
}

/// The event of a bug report that a client made by itself, because it could not decrypt it.
fn undecrypted(text: &str) -> Option<ClientEvent> {
    let ids: Value = serde_json::from_str(text).ok()?;
    let event = clip(ids["event_id"].as_str()?);
    Some(ClientEvent { event, no_algorithm: false, column: None })
}

/// The list of a report's entries.
pub(crate) fn list(report: &Map<String, Value>) -> Option<&[Value]> {
    find(report, LISTS).and_then(Value::as_array).map(Vec::as_slice)
}

impl ClientFacts {
    /// What the report itself counted: `KE-1` and a number, here or one level down.
    fn counts(&mut self, report: &Map<String, Value>) {
        let below = report.values().filter_map(Value::as_object).flatten();
        for (name, count) in report.iter().chain(below).take(FIELDS) {
            let known = ["ke1", "ke2", "ke3", "ke4"].into_iter().find(|ke| letters(name) == *ke);
            if let (Some(ke), Some(count)) = (known, count.as_u64()) {
                self.counted.insert(ke.into(), count);
            }
        }
    }

    /// One entry of a report.
    pub(crate) fn entry(&mut self, entry: &Value) {
        let (line, at) = match entry {
            Value::String(line) => (Some(line.as_str()), None),
            Value::Object(fields) => {
                let line = find(fields, LINE).and_then(Value::as_str);
                let at = find(fields, TIME).and_then(moment);
                (line, at)
            }
            _ => (None, None),
        };
        self.line(line.unwrap_or_default(), at);
    }

    /// One line of the client's log.
    pub(crate) fn line(&mut self, line: &str, at: Option<Timestamp>) {
        if let Some(at) = at {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
        }
        let Some(sign) = signs::sign(line) else {
            self.unknown += u64::from(!self.fetched(line, at));
            return;
        };
        match sign {
            Sign::AlreadyExists => {
                let refusal = signs::refusal(line);
                self.refused(refusal.map(|refusal| ClientRefusal { at, ..refusal }));
            }
            Sign::DecryptionError => {
                let new = signs::event(line)
                    .filter(|event| !self.events.iter().any(|known| known.event == event.event));
                self.events.extend(new.filter(|_| self.events.len() < KEPT));
            }
            _ => {}
        }
        self.note(sign, signs::curve_key(line), at);
    }

    /// Stores a rejection; the same one again is counted.
    pub(crate) fn refused(&mut self, refusal: Option<ClientRefusal>) {
        let Some(new) = refusal else { return };
        let same = |known: &ClientRefusal| known.same_conflict(&new.key, &new.old, &new.new);
        match self.refused.iter().position(same) {
            Some(known) => self.refused[known].once_more(new.at),
            None if self.refused.len() < KEPT => self.refused.push(new),
            None => {}
        }
    }

    /// Counts a sign.
    pub(crate) fn note(&mut self, sign: Sign, key: Option<String>, at: Option<Timestamp>) {
        let own = self.signs.iter().position(|known| known.sign == sign && known.key == key);
        // Beyond the limit a further key is counted without its name.
        let (own, key) = match own {
            None if self.signs.len() >= SIGNS => {
                (self.signs.iter().position(|known| known.sign == sign), None)
            }
            own => (own, key),
        };
        match own {
            Some(own) => {
                let known = &mut self.signs[own];
                known.count += 1;
                if let Some(at) = at {
                    let (first, last) = known.span.unwrap_or((at, at));
                    known.span = Some((first.min(at), last.max(at)));
                }
            }
            None => {
                let span = at.map(|at| (at, at));
                self.signs.push(Noted { sign, count: 1, span, key });
            }
        }
    }
}

/// The field whose name has these letters, whatever its case and punctuation; the first of the names that
/// is there, here or one level down.
fn find<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    let here = |fields: &'a Map<String, Value>, name: &str| {
        fields.iter().find(|(field, value)| letters(field) == name && !value.is_null())
    };
    let named = |name: &&str| {
        let below =
            || fields.values().filter_map(Value::as_object).find_map(|fields| here(fields, name));
        here(fields, name).filter(|(_, value)| !value.is_object()).or_else(below)
    };
    names.iter().find_map(named).map(|(_, value)| value)
}

/// A name's letters and digits, in lower case.
pub(crate) fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// Milliseconds or seconds since 1970, or RFC 3339.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    /// Seconds reach this in the year 5138, milliseconds in 1973.
    const SECONDS: f64 = 1e11;
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            let millis = if number.abs() < SECONDS { number * 1000.0 } else { number };
            (millis.abs() < 1e15).then(|| Timestamp::from_millisecond(millis as i64).ok())?
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub(crate) fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_in_any_spelling_is_read() {
        let read = |report: Value| {
            let report = report.as_object().unwrap();
            let mut facts = head(report);
            list(report).unwrap().iter().for_each(|entry| facts.entry(entry));
            facts
        };
        let entries = json!([
            {"ts": 1795348299055u64, "level": "warn", "ke": "KE-1", "signature": "already exists",
             "message": "One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key: {\"key\":\"a\"}; new key: {'key': 'b'}"},
            {"ts": 1795348300055u64, "message": "One time key signed_curve25519:AAAAAAAAAA0 already exists. Old key: {\"key\":\"a\"}; new key: {'key': 'b'}"},
            {"ts": "2026-11-22T11:51:41Z", "message": "MissingKey: missing key at index 1"},
            {"ts": 1, "message": "DecryptionError $ev:x missing field `algorithm` at line 1 column 138"},
            "Restart delayed event timed out before the HS responded",
            {"message": "the secret text of somebody"},
            17
        ]);
        for report in [
            json!({"sdkVersion": "41.7.0", "deviceId": "DEV", "userId": "@a:x", "entries": entries}),
            json!({"SDK-Version": "41.7.0", "client": {"device_id": "DEV", "user_id": "@a:x"}, "Entries": entries}),
        ] {
            let facts = read(report);
            assert_eq!(facts.device.as_deref(), Some("DEV"));
            assert_eq!(facts.user.as_deref(), Some("@a:x"));
            assert_eq!(facts.sdk.as_deref(), Some("41.7.0"));
            assert_eq!(facts.count(Sign::AlreadyExists), 2);
            assert_eq!(facts.refused.len(), 1);
            assert_eq!(facts.count(Sign::MissingMediaKey), 1);
            assert_eq!(facts.count(Sign::DelayTimedOut), 1);
            assert_eq!(facts.events[0].column, Some(138));
            assert_eq!(facts.unknown, 2);
            let kept = serde_json::to_string(&facts).unwrap();
            assert!(!kept.contains("secret"), "{kept}");
        }
    }
}
