//! Reads typed values from a TOML table. Each wrong value, missing key and unknown key becomes a sentence that begins
//! with the full key; reading continues after each.

use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::{Table, Value};

use super::time_zone::timezone;

/// A table being read. All its keys are declared first, so that a key that the code does not read is still
/// known, and a misspelt key gets a suggestion.
pub(super) struct Section<'a, 'p> {
    table: Option<&'a Table>,
    /// How problems name the table: `logs[1]`; empty for the file itself.
    at: String,
    keys: &'static [&'static str],
    problems: &'p mut Vec<String>,
}

impl<'a, 'p> Section<'a, 'p> {
    /// Opens a table and reports its unknown keys. An absent table reads as an empty one.
    pub(super) fn new(
        table: Option<&'a Table>,
        at: impl Into<String>,
        keys: &'static [&'static str],
        problems: &'p mut Vec<String>,
    ) -> Self {
        let mut section = Self { table, at: at.into(), keys, problems };
        section.refuse_unknown();
        section
    }

    /// A problem with `key`, as the second half of a sentence.
    pub(super) fn problem(&mut self, key: &str, says: impl std::fmt::Display) {
        let key = self.full(key);
        self.problems.push(format!("{key}: {says}"));
    }

    /// A problem with a key that must be there.
    pub(super) fn missing(&mut self, key: &str) {
        self.problem(key, "is missing");
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the key exists and is `[]`.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let list = self.value(key).and_then(Value::as_array);
        list.is_some_and(|list| list.is_empty())
    }

    pub(super) fn text(&mut self, key: &str) -> Option<&'a str> {
        let value = self.value(key)?;
        match value.as_str() {
            Some("") => self.problem(key, "is empty; remove the key instead"),
            Some(text) => return Some(text),
            None => self.wrong(key, "a string in quotes", value),
        }
        None
    }

    /// Text that parses as a `T`; `what` says what it should be.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, what: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.problem(key, format_args!("{text:?} is not {what}"));
        }
        parsed
    }

    /// A list of texts that each parse as a `T`. A missing list is empty.
    pub(super) fn list<T: FromStr>(&mut self, key: &str, what: &str) -> Vec<T> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(values) = value.as_array() else {
            self.wrong(key, "a list in [brackets]", value);
            return Vec::new();
        };
        let mut list = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let key = format!("{key}[{at}]");
            match value.as_str().map(|text| (text, text.parse())) {
                Some((_, Ok(item))) => list.push(item),
                Some((text, Err(_))) => self.problem(&key, format_args!("{text:?} is not {what}")),
                None => self.wrong(&key, "a string in quotes", value),
            }
        }
        list
    }

    pub(super) fn integer(&mut self, key: &str) -> Option<i64> {
        let value = self.value(key)?;
        if value.as_integer().is_none() {
            self.wrong(key, "a whole number", value);
        }
        value.as_integer()
    }

    /// A count from `least` to `most`.
    pub(super) fn count<T: TryFrom<i64>>(&mut self, key: &str, least: i64, most: i64) -> Option<T> {
        let count = self.integer(key)?;
        if !(least..=most).contains(&count) {
            let says = format!("{count} is out of range; it must be {least} to {most}");
            self.problem(key, says);
            return None;
        }
        T::try_from(count).ok()
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.wrong(key, "true or false", value);
        }
        value.as_bool()
    }

    /// A duration from `least` to `most`.
    pub(super) fn duration(&mut self, key: &str, least: &str, most: &str) -> Option<Duration> {
        let text = self.text(key)?;
        let Some(length) = duration(text) else {
            let says =
                format!("{text:?} is not a duration like \"90s\", \"5m\", \"24h\" or \"7d\"");
            self.problem(key, says);
            return None;
        };
        let within = duration(least).is_none_or(|least| length >= least)
            && duration(most).is_none_or(|most| length <= most);
        if !within {
            let says = format!("{text:?} is out of range; it must be {least} to {most}");
            self.problem(key, says);
        }
        within.then_some(length)
    }

    pub(super) fn zone(&mut self, key: &str) -> Option<TimeZone> {
        let text = self.text(key)?;
        match timezone(text) {
            Ok(zone) => return Some(zone),
            Err(problems) => problems.list.iter().for_each(|says| self.problem(key, says)),
        }
        None
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, key: &str) -> Option<&'a Table> {
        let value = self.value(key)?;
        if !value.is_table() {
            self.problem(key, format_args!("must be a section: [{key}]"));
        }
        value.as_table()
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<&'a Table> {
        let tables = match self.value(key) {
            None => Some(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(Value::as_table).collect(),
            Some(_) => None,
        };
        if tables.is_none() {
            self.problem(
                key,
                format_args!("must be a list of blocks that each begin with [[{key}]]"),
            );
        }
        tables.unwrap_or_default()
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        debug_assert!(self.keys.contains(&key), "{key} is read but not named");
        self.table?.get(key)
    }

    fn full(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    fn wrong(&mut self, key: &str, wanted: &str, value: &Value) {
        self.problem(key, format_args!("must be {wanted}, not {}", type_name(value)));
    }

    fn refuse_unknown(&mut self) {
        let keys = self.keys;
        for key in self.table.into_iter().flat_map(Table::keys) {
            if keys.contains(&key.as_str()) {
                continue;
            }
            let near = nearest(key, keys);
            match near {
                Some(near) => {
                    self.problem(key, format_args!("unknown key; did you mean {near:?}?"))
                }
                None => self.problem(
                    key,
                    format_args!("unknown key; the known keys are {}", keys.join(", ")),
                ),
            }
        }
    }
}

/// `90s`, `5m`, `24h`, `7d`, `1h30m`. The parser for chat is more tolerant: a config is written once and read
/// by others.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..unit].parse().ok()?;
        let seconds = match rest.as_bytes()[unit] {
            b's' => 1,
            b'm' => 60,
            b'h' => 60 * 60,
            b'd' => 24 * 60 * 60,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[unit + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

/// The known name closest to `key`, if any is close: by Jaro-Winkler, because most mistakes are in the ending
/// (`room`, `time_zone`, `pasword_file`). Below this similarity the words are different.
fn nearest<'k>(key: &str, keys: &[&'k str]) -> Option<&'k str> {
    const LIKE: f64 = 0.75;
    let likeness = |known: &&'k str| (strsim::jaro_winkler(key, known), *known);
    keys.iter()
        .map(likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(like, _)| *like >= LIKE)
        .map(|(_, known)| known)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}
