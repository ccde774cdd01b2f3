//! A client's diagnostics report → the report anew, with fields and entries that are known, and of others
//! only plain numbers, words and yes or no. The facts are read from what was made.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::removed::Secret;
use super::scrub::{Scrubber, kind_of};
use super::{Kind, Limits, Taken, console, entries, size_words};
use crate::evidence::report::{
    self, DEVICE, ENTRIES as KEPT, LINE, LISTS, SDK, TIME, USER, letters, moment,
};

/// A report is a ring buffer of a few hundred lines.
const SIZE: usize = 64 << 20;
/// Fields that are kept.
const FIELDS: usize = 100;

/// Reads a report. The error is a sentence for a person.
pub(super) fn read(text: &str, limits: &Limits) -> Result<Taken, String> {
    if text.len() > SIZE {
        return Err(format!(
            "it is JSON of more than {}: no report is that long",
            size_words(SIZE)
        ));
    }
    let value = entries::report(text).map_err(|error| entries::why(&error))?;
    let value = value.ok_or("it is JSON of more values than any report has")?;
    let Some(fields) = value.as_object() else {
        return Err("it is no report: a report is a JSON object with entries".into());
    };
    // Refused before it is read: only the shape counts here.
    report::of(fields)?;
    let mut scrubber = Scrubber::new(limits.addresses);
    let mut rebuilt = Rebuilt { scrubber: &mut scrubber, dropped: 0 };
    let kept = rebuilt.fields(fields, 0);
    let dropped = rebuilt.dropped;
    let mut facts = report::of(&kept)?;
    if facts.signs.is_empty()
        && facts.user.is_none()
        && facts.device.is_none()
        && facts.sdk.is_none()
    {
        return Err("it is JSON, but no report that I know: nothing in it is a client's".into());
    }
    facts.unknown += dropped;
    let text = serde_json::to_string_pretty(&kept).unwrap_or_default() + "\n";
    Ok(Taken { kind: Kind::Report, facts, text, removed: scrubber.removed, note: None })
}

struct Rebuilt<'a> {
    scrubber: &'a mut Scrubber,
    /// Entries that are not known.
    dropped: u64,
}

impl Rebuilt<'_> {
    fn fields(&mut self, fields: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in fields.iter().take(FIELDS) {
            let plain = NAME.is_match(name) && self.scrubber.unchanged(name).is_some();
            let value = if plain { self.field(name, value, depth) } else { None };
            match value {
                Some(value) => drop(kept.insert(name.clone(), value)),
                None if value_is_nothing(&fields[name]) => {}
                None => self.scrubber.removed.one(match kind_of(name) {
                    Secret::Value => Secret::Field,
                    secret => secret,
                }),
            }
        }
        self.scrubber.removed.count(Secret::Field, fields.len().saturating_sub(FIELDS) as u64);
        kept
    }

    fn field(&mut self, name: &str, value: &Value, depth: usize) -> Option<Value> {
        let is = |names: &[&str]| names.contains(&letters(name).as_str());
        match value {
            Value::Array(list) if is(LISTS) => Some(self.entries(list)),
            Value::Object(fields) if depth == 0 => Some(Value::Object(self.fields(fields, 1))),
            Value::String(user) if is(USER) => self.scrubber.user(user).map(Value::String),
            Value::String(device) if is(DEVICE) => self.scrubber.device(device).map(Value::String),
            Value::String(sdk) if is(SDK) => {
                let sdk = self.scrubber.unchanged(sdk).filter(|sdk| VERSION.is_match(sdk));
                sdk.map(Value::String)
            }
            Value::Bool(_) => Some(value.clone()),
            // What is named as a secret is one, whatever it looks like.
            _ if kind_of(name) != Secret::Value || PRIVATE.is_match(name) => None,
            Value::String(text) if is(TIME) && moment(value).is_some() => {
                text.parse::<jiff::Timestamp>().ok().map(|at| json!(at.to_string()))
            }
            Value::String(text) => {
                let text = self.scrubber.unchanged(text).filter(|text| WORDS.is_match(text));
                text.map(Value::String)
            }
            Value::Number(number) => is_plain(number.as_f64()?).then(|| value.clone()),
            _ => None,
        }
    }

    fn entries(&mut self, list: &[Value]) -> Value {
        let mut kept = Vec::new();
        for entry in list.iter().take(KEPT) {
            match self.entry(entry) {
                Some(entry) => kept.push(entry),
                None => self.dropped += 1,
            }
        }
        self.dropped += list.len().saturating_sub(KEPT) as u64;
        self.scrubber.removed.count(Secret::Line, self.dropped);
        Value::Array(kept)
    }

    fn entry(&mut self, entry: &Value) -> Option<Value> {
        let Value::Object(fields) = entry else {
            let line = entry.as_str().filter(|line| console::is_known(line))?;
            let kept = self.scrubber.line(line);
            return console::is_known(&kept).then_some(Value::String(kept));
        };
        let named = |names: &[&str]| {
            names.iter().find_map(|name| fields.iter().find(|(field, _)| letters(field) == *name))
        };
        let line = named(LINE)?.1.as_str().filter(|line| console::is_known(line))?;
        let mut kept = Map::new();
        let time = named(TIME).and_then(|(_, time)| moment(time));
        kept.extend(time.map(|at| ("ts".to_owned(), json!(at.as_millisecond()))));
        for (name, known) in [("level", LEVELS), ("ke", KES), ("signature", SIGNATURES)] {
            let value = named(&[name]).and_then(|(_, value)| value.as_str());
            let value = value.filter(|value| known.contains(value));
            kept.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        let line = Some(self.scrubber.line(line)).filter(|line| console::is_known(line))?;
        kept.insert("message".into(), Value::String(line));
        Some(Value::Object(kept))
    }
}

fn value_is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// A count, a size or a moment; a phone number has other lengths.
fn is_plain(number: f64) -> bool {
    number.abs() < 1e6 || (1.4e12..2.2e12).contains(&number)
}

const LEVELS: &[&str] = &["trace", "debug", "log", "info", "warn", "warning", "error"];
const KES: &[&str] = &["KE-1", "KE-2", "KE-3", "KE-4"];
const SIGNATURES: &[&str] = &[
    "already exists",
    "missing key at index",
    "io.element.call.encryption_keys",
    "MissingKey",
    "DecryptionError",
    "update_delayed_event",
    "delayed event",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z][A-Za-z_.-]{0,39}[0-9]{0,3}$"));
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[A-Za-z@/ ._()+-]{0,60}\d{1,4}(?:\.\d{1,4}){1,3}[A-Za-z0-9.+() -]{0,24}$")
});
/// A word or a version: `SYNCING`, `Firefox 143.0`. Words without a number may be what somebody wrote.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:[A-Za-z]{1,16}(?:[_-][A-Za-z]{1,16}){0,3}|(?:[A-Za-z]{1,16}[ _/-]){0,3}v?\d{1,4}(?:\.\d{1,4}){0,3})$",
    )
});
/// Names of fields whose value is somebody's own, though it may look plain.
static PRIVATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)pin|otp|code|phone|mail|address|name|text|message|note|comment|subject|reason|title|label|topic|data|value|unknown|extra|custom|hint|answer|query|url|host|phrase|word|auth|cred|sess|sid|id$",
    )
});
