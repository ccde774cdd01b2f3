//! A client's diagnostics report → a new report with its known fields and entries. The facts are read from the new
//! report. Of a long list the start and the newest entries are stored.

use std::collections::VecDeque;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::client_files::console::known::is_known;
use crate::client_files::newest::Newest;
use crate::client_files::report::facts::{self, LINE, LISTS, TIME, letters, moment};
use crate::client_files::report::fields;
use crate::client_files::signs;
use crate::client_files::taken::Taken;
use crate::evidence::client_file::FileKind;
use crate::evidence::client_file::Limits;
use crate::evidence::redaction::Secret;
use crate::evidence::redaction::cut::kind_of;
use crate::evidence::redaction::scrubber::Scrubber;
use crate::evidence::{counted, utc};

/// The most entries that are stored; the card of the runbook has 200.
const ENTRIES: usize = 20_000;
/// The most fields of one object that are stored, and lists.
const FIELDS: usize = 100;
/// The memory of an entry in addition to its line.
const OVERHEAD: usize = 160;

/// A report: its fields as they may be stored, and its known lines, which are not scrubbed yet.
pub(crate) struct Report {
    scrubber: Scrubber,
    /// A list is in it as its number, alone in an array.
    kept: Map<String, Value>,
    /// Fields of the file, and of the object that is read.
    seen: [usize; 2],
    lists: Vec<List>,
    entries: Newest<Entry>,
    /// The note if the file ends too early.
    pub(crate) torn: Option<String>,
}

/// A list of entries.
#[derive(Default)]
struct List {
    /// A line in it is a sign.
    signs: bool,
    known: u64,
    /// Entries that are not known.
    dropped: u64,
}

/// A known entry.
struct Entry {
    list: usize,
    /// It is only a line.
    bare: bool,
    /// Milliseconds.
    at: Option<i64>,
    /// `level`, `ke` and `signature`, if they are known.
    words: [Option<&'static str>; 3],
    line: Box<str>,
}

impl Report {
    pub(crate) fn new(budget: usize, limits: &Limits) -> Self {
        Self {
            scrubber: Scrubber::new(limits.addresses),
            kept: Map::new(),
            seen: [0; 2],
            lists: Vec::new(),
            entries: Newest::new(ENTRIES, budget, when),
            torn: None,
        }
    }

    /// A field with one value.
    pub(crate) fn scalar(&mut self, parent: Option<&str>, name: &str, value: Value) {
        let plain = self.is_plain(parent, name);
        let nothing = value.is_null() || value.as_str() == Some("");
        // Yes or no is never a secret.
        let answer = value.is_boolean() || matches!(value.as_str(), Some("true" | "false"));
        match plain.then(|| fields::kept(&mut self.scrubber, name, &value)).flatten() {
            Some(value) => self.keep(parent, name, value),
            None if nothing => {}
            None if answer => self.scrubber.removed.one(Secret::Field),
            None => self.dropped(name),
        }
    }

    /// Begins an object; false if nothing in it is stored.
    pub(crate) fn object(&mut self, parent: Option<&str>, name: &str) -> bool {
        let known = fields::OBJECTS.contains(&letters(name).as_str());
        if !self.is_plain(parent, name) || !known || parent.is_some() {
            self.dropped(name);
            return false;
        }
        self.seen[1] = 0;
        self.keep(None, name, Value::Object(Map::new()));
        true
    }

    /// Begins a list; gives its number if its entries are read.
    pub(crate) fn list(&mut self, parent: Option<&str>, name: &str) -> Option<usize> {
        let plain = self.is_plain(parent, name) && LISTS.contains(&letters(name).as_str());
        if !plain || self.lists.len() >= FIELDS {
            self.dropped(name);
            return None;
        }
        let number = self.lists.len();
        self.lists.push(List::default());
        self.keep(parent, name, json!([number]));
        Some(number)
    }

    /// One entry of a list.
    pub(crate) fn entry(&mut self, list: usize, entry: &Value) {
        let Some(entry) = known_entry(list, entry) else {
            self.lists[list].dropped += 1;
            return;
        };
        self.lists[list].signs |= signs::sign(&entry.line).is_some();
        self.lists[list].known += 1;
        self.entries.push(entry.line.len() + OVERHEAD, entry);
    }

    /// It is not a report: drops what was read so far.
    pub(crate) fn forget(&mut self) {
        if !self.entries.is_empty() {
            self.entries = Newest::new(0, 0, when);
        }
    }

    /// Whether it is a report that is known. One without a list of entries has to name a user and a device: a
    /// bug report's details do. The error is a sentence for a person.
    pub(crate) fn is_one(&self) -> Result<(), String> {
        let facts = facts::head(&self.kept);
        let list = self.listed();
        if list.is_none() && (facts.user.is_none() || facts.device.is_none()) {
            return Err("it is not a known report format: it has no list of entries".into());
        }
        let signs = list.is_some_and(|list| self.lists[list].signs);
        if !signs && facts.user.is_none() && facts.device.is_none() && facts.sdk.is_none() {
            return Err("it is JSON, but not a known report format: nothing in it comes from a \
                        Matrix client"
                .into());
        }
        Ok(())
    }

    /// Whether enough of a report was read to use it without the rest.
    pub(crate) fn is_torn_one(&self) -> bool {
        self.is_one().is_ok() && self.known() > 0
    }

    /// Known lines that were read.
    pub(crate) fn known(&self) -> u64 {
        self.lists.iter().map(|list| list.known).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    pub(crate) fn shrink(&mut self, budget: usize) {
        self.entries.shrink(budget);
    }

    /// What is stored of it, its entries within a number of bytes.
    pub(crate) fn taken(mut self, budget: usize) -> Taken {
        let mut lists: Vec<VecDeque<Entry>> = self.lists.iter().map(|_| VecDeque::new()).collect();
        let mut left = budget;
        // The newest first, because the newest are stored.
        while let Some(entry) = self.entries.pop_newest() {
            let line = self.scrubber.line(&entry.line);
            if !is_known(&line) {
                self.lists[entry.list].dropped += 1;
                continue;
            }
            let size = line.len() + OVERHEAD;
            if size > left {
                self.entries.lose(&entry);
                self.entries.drop_rest();
                break;
            }
            left -= size;
            lists[entry.list].push_front(Entry { line: line.into(), ..entry });
        }
        let beyond = self.entries.dropped();
        let lost = self.entries.lost();
        let dropped: u64 = self.lists.iter().map(|list| list.dropped).sum();
        let mut facts = facts::head(&self.kept);
        let listed = self.listed();
        let mut text = String::new();
        let mut list = |number: usize, indent: &str, text: &mut String| {
            text.push('[');
            let entries = lists.get_mut(number).map(core::mem::take).unwrap_or_default();
            let end = if entries.is_empty() { "]".to_owned() } else { format!("\n{indent}]") };
            for (place, entry) in entries.into_iter().map(Entry::value).enumerate() {
                if listed == Some(number) {
                    facts.entry(&entry);
                }
                let entry = serde_json::to_string_pretty(&entry).unwrap_or_default();
                let indent = format!("\n{indent}  ");
                text.push_str(if place > 0 { "," } else { "" });
                text.push_str(&indent);
                text.push_str(&entry.replace('\n', &indent));
            }
            text.push_str(&end);
        };
        write(&self.kept, "", &mut text, &mut list);
        text.push('\n');
        facts.unknown += dropped + beyond;
        self.scrubber.removed.count(Secret::Line, dropped);
        let middle = (beyond > 0).then(|| {
            let lines = counted(beyond, "known line");
            format!(
                "the report is long: {lines} between its start and its newest entries were left out{}",
                lost.map(|(first, last)| format!(" ({} to {})", utc(first), utc(last)))
                    .unwrap_or_default()
            )
        });
        let notes: Vec<_> = [self.torn, middle].into_iter().flatten().collect();
        facts.unread.clone_from(&notes);
        Taken { kind: FileKind::Report, facts, text, removed: self.scrubber.removed, notes }
    }

    /// The report's own list, if it has several.
    fn listed(&self) -> Option<usize> {
        facts::list(&self.kept)?.first()?.as_u64().map(|number| number as usize)
    }

    /// Whether a field's name may be stored; counts the field.
    fn is_plain(&mut self, parent: Option<&str>, name: &str) -> bool {
        let seen = &mut self.seen[usize::from(parent.is_some())];
        *seen += 1;
        *seen <= FIELDS && NAME.is_match(name) && self.scrubber.unchanged(name).is_some()
    }

    fn dropped(&mut self, name: &str) {
        self.scrubber.removed.one(match kind_of(name) {
            Secret::Value => Secret::Field,
            secret => secret,
        });
    }

    fn keep(&mut self, parent: Option<&str>, name: &str, value: Value) {
        let fields = match parent {
            Some(parent) => self.kept.get_mut(parent).and_then(Value::as_object_mut),
            None => Some(&mut self.kept),
        };
        if let Some(fields) = fields {
            fields.insert(name.to_owned(), value);
        }
    }
}

impl Entry {
    fn value(self) -> Value {
        if self.bare {
            return Value::String(self.line.into());
        }
        let mut fields = Map::new();
        fields.extend(self.at.map(|at| ("ts".to_owned(), json!(at))));
        for (name, word) in WORDS_OF_ENTRY.iter().zip(self.words) {
            fields.extend(word.map(|word| (name.0.to_owned(), json!(word))));
        }
        fields.insert("message".into(), Value::String(self.line.into()));
        Value::Object(fields)
    }
}

fn when(entry: &Entry) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(entry.at?).ok()
}

/// An entry whose line is known, before it is scrubbed.
fn known_entry(list: usize, entry: &Value) -> Option<Entry> {
    let known = |line: &Value| line.as_str().filter(|line| is_known(line)).map(Into::into);
    let Value::Object(fields) = entry else {
        let line = known(entry)?;
        let words = [None; 3];
        return Some(Entry { list, bare: true, at: None, words, line });
    };
    let named = |names: &[&str]| {
        let of = |name: &&str| fields.iter().find(|(field, _)| letters(field) == *name);
        names.iter().find_map(of).map(|(_, value)| value)
    };
    let line = known(named(LINE)?)?;
    let at = named(TIME).and_then(moment).map(jiff::Timestamp::as_millisecond);
    let words = WORDS_OF_ENTRY.map(|(name, known)| {
        let word = named(&[name])?.as_str()?;
        known.iter().copied().find(|known| *known == word)
    });
    Some(Entry { list, bare: false, at, words, line })
}

/// Writes an object as `to_string_pretty` does; its lists are written elsewhere, by their numbers.
fn write(
    fields: &Map<String, Value>,
    indent: &str,
    text: &mut String,
    list: &mut dyn FnMut(usize, &str, &mut String),
) {
    let deeper = format!("{indent}  ");
    text.push('{');
    for (place, (name, value)) in fields.iter().enumerate() {
        text.push_str(if place > 0 { ",\n" } else { "\n" });
        text.push_str(&format!("{deeper}{}: ", json!(name)));
        match value {
            Value::Object(fields) => write(fields, &deeper, text, list),
            Value::Array(number) => {
                let number = number.first().and_then(Value::as_u64).unwrap_or(u64::MAX);
                list(number as usize, &deeper, text);
            }
            value => text.push_str(&value.to_string()),
        }
    }
    text.push_str(&if fields.is_empty() { "}".to_owned() } else { format!("\n{indent}}}") });
}

/// What an entry has in addition to its line: each field with its words.
const WORDS_OF_ENTRY: [(&str, &[&str]); 3] =
    [("level", LEVELS), ("ke", KES), ("signature", SIGNATURES)];
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
