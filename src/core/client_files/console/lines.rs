//! A console log or a rageshake log → its known lines, scrubbed, and what they show. Stored are lines that are a
//! sign, lines that name a version or the state of the sync, and lines of a few loggers about keys, calls and
//! requests. Every other line is dropped and counted. Of a long log the start and the newest lines are stored.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use crate::client_files::console::known::is_known;
use crate::client_files::newest::Newest;
use crate::client_files::signs;
use crate::client_files::taken::Taken;
use crate::evidence::client_file::FileKind;
use crate::evidence::client_file::Limits;
use crate::evidence::redaction::Secret;
use crate::evidence::redaction::scrubber::Scrubber;
use crate::evidence::{ClientFacts, counted, utc};

/// The most lines of one log that are stored.
const LINES: usize = 50_000;
/// No known line is shorter. In a log that is made to be slow, most lines are.
const SHORTEST: usize = 9;
/// The memory of a line in addition to its text.
const OVERHEAD: usize = 64;

/// The known lines of a log, not scrubbed yet.
pub(crate) struct Console {
    lines: Newest<Line>,
    unknown: u64,
}

struct Line {
    at: Option<Timestamp>,
    /// A time without a zone, as it is written: it is not known when that was.
    local: Option<Box<str>>,
    level: &'static str,
    message: Box<str>,
}

/// For a file that is of no known kind.
pub(crate) const NO_LINE: &str = "it has no known line of a Matrix client's log";

impl Console {
    pub(crate) fn new(budget: usize) -> Self {
        Self { lines: Newest::new(LINES, budget, |line| line.at), unknown: 0 }
    }

    /// Whether no line is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn line(&mut self, line: &str) {
        let length = line.trim().len();
        if length < SHORTEST {
            self.unknown += u64::from(length > 0);
            return;
        }
        let Parted { at, local, level, message } = parted(line);
        if !is_known(message) {
            self.unknown += 1;
            return;
        }
        let line = Line { at, local: local.map(Into::into), level, message: message.into() };
        self.lines.push(line.message.len() + OVERHEAD, line);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lines.bytes()
    }

    pub(crate) fn shrink(&mut self, budget: usize) {
        self.lines.shrink(budget);
    }

    /// The lines as they may be stored, within a number of bytes: scrubbing can make a line longer.
    fn text(&mut self, budget: usize, scrubber: &mut Scrubber) -> String {
        // The newest first, because the newest are stored; so the text is written from its end.
        let mut text = vec![0; budget];
        let mut from = budget;
        while let Some(line) = self.lines.pop_newest() {
            let message = scrubber.line(&line.message);
            // What identified the line may be in the part that was cut.
            if !is_known(&message) {
                self.unknown += 1;
                continue;
            }
            let time = line.at.map(|at| at.to_string()).or(line.local.as_deref().map(Into::into));
            let time = time.map(|time| format!("{time} ")).unwrap_or_default();
            let space = if line.level.is_empty() { "" } else { " " };
            let written = format!("{time}{}{space}{message}\n", line.level);
            if written.len() > from {
                self.lines.lose(&line);
                self.lines.drop_rest();
                break;
            }
            text[from - written.len()..from].copy_from_slice(written.as_bytes());
            from -= written.len();
        }
        text.drain(..from);
        text.shrink_to_fit();
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The parts of one log, the oldest first → the log as it may be stored. It may have at least `least` bytes.
pub(crate) fn joined(parts: Vec<Console>, least: usize, limits: &Limits) -> Result<Taken, String> {
    let mut scrubber = Scrubber::new(limits.addresses);
    let least = least / parts.len().max(1);
    let mut text = String::new();
    let mut unknown = 0;
    let mut beyond = 0;
    let mut lost: Option<(Timestamp, Timestamp)> = None;
    for mut part in parts {
        let budget = part.bytes().max(least);
        text.push_str(&part.text(budget, &mut scrubber));
        unknown += part.unknown;
        beyond += part.lines.dropped();
        if let Some((first, last)) = part.lines.lost() {
            let (from, to) = lost.unwrap_or((first, last));
            lost = Some((from.min(first), to.max(last)));
        }
    }
    if text.is_empty() {
        return Err(NO_LINE.into());
    }
    let mut facts = ClientFacts::default();
    for line in text.lines() {
        let Parted { at, local, message, .. } = parted(line);
        facts.known_line(message, at, &mut scrubber);
        if let Some(local) = local {
            let first = facts.local.take().map_or_else(|| local.to_owned(), |(first, _)| first);
            facts.local = Some((first, local.to_owned()));
        }
    }
    facts.unknown = unknown + beyond;
    scrubber.removed.count(Secret::Line, unknown);
    let mut notes = Vec::new();
    if beyond > 0 {
        let lines = counted(beyond, "known line");
        let span = lost.map(|(first, last)| format!(" ({} to {})", utc(first), utc(last)));
        let span = span.unwrap_or_default();
        let note = format!(
            "the log is long: {lines} between its start and its newest lines were left out{span}"
        );
        facts.unread.push(note.clone());
        notes.push(note);
    }
    if let Some((first, last)) = &facts.local {
        notes.push(format!(
            "the times {first} to {last} have no time zone and no year (logcat format), so they were not \
             compared with the server's"
        ));
    }
    Ok(Taken { kind: FileKind::Console, facts, text, removed: scrubber.removed, notes })
}

impl ClientFacts {
    fn known_line(&mut self, line: &str, at: Option<Timestamp>, scrubber: &mut Scrubber) {
        if signs::sign(line).is_some() {
            self.line(line, at);
        } else {
            self.fetched(line, at);
            if let Some(at) = at {
                let (first, last) = self.span.unwrap_or((at, at));
                self.span = Some((first.min(at), last.max(at)));
            }
        }
        if self.sdk.is_none() {
            self.sdk = SDK.captures(line).map(|found| found[0].replace('@', " "));
        }
        if self.sync.is_none() || SYNC_STATE.is_match(line) {
            let state = SYNC_STATE.captures(line).map(|found| found["state"].to_owned());
            self.sync = state.or_else(|| self.sync.take());
        }
        if let Some(found) = SESSION.captures(line).filter(|_| self.user.is_none()) {
            self.user = scrubber.user(found["user"].trim_matches('"'));
            let device = found.name("device").map(|name| name.as_str().trim_matches('"'));
            self.device = device.and_then(|device| scrubber.device(device));
        }
    }
}

/// A line by its parts.
struct Parted<'l> {
    at: Option<Timestamp>,
    /// A time whose zone and year are not written.
    local: Option<&'l str>,
    level: &'static str,
    message: &'l str,
}

/// The time, the level and the rest of a line, as rageshake, Element Web, Rust's tracing and Android's logcat
/// write them. A browser's own time has no date, so it is not used.
fn parted(line: &str) -> Parted<'_> {
    let Some(found) = PREFIX.captures(line).or_else(|| LOGCAT.captures(line)) else {
        return Parted { at: None, local: None, level: "", message: line.trim() };
    };
    let group = |name: &str| found.name(name).map(|found| found.as_str());
    let at = group("time").and_then(|time| time.replace(',', ".").parse().ok());
    let level = LEVELS.into_iter().find(|level| Some(*level) == group("level"));
    let message = group("rest").unwrap_or_default().trim();
    let local = group("local");
    // Without a time before it, a level is a word of the message.
    let level = level.filter(|_| at.is_some() || local.is_some()).unwrap_or_default();
    Parted { at, local, level, message }
}

/// As [`PREFIX`] has them.
const LEVELS: [&str; 14] =
    ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "T", "D", "I", "W", "E", "V", "L", "F", "A"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^\s*\[?(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d))\]?",
        r"(?:\s+(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|[TDIWEVL])\b)?(?:\s+(?P<rest>.*))?$"
    ))
});
/// `11-22 11:51:40.184  1234  1256 W tag: message`, and with `-v year`; the numbers are of processes.
static LOGCAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^\s*(?P<local>(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6})(?:\s+\d{1,7}){0,3}",
        r"\s+(?P<level>[VDIWEFA])\b(?:\s+(?P<rest>.*))?$"
    ))
});
static SDK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:matrix-js-sdk|matrix-sdk-crypto-wasm|matrix-rust-sdk)[@ v:/]{1,3}\d{1,4}\.\d{1,4}\.\d{1,4}(?:-rc\.\d{1,3})?",
    )
});
static SYNC_STATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i:sync state\b|SyncState).{0,40}?(?P<state>PREPARED|SYNCING|ERROR|RECONNECTING|CATCHUP|STOPPED)",
    )
});
/// Whose client it is: only in a line at its start.
static SESSION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:(?i:restoring session for|logged in as|olm ?account|OlmMachine|restored session)\b.*?",
        r"|\bwith_store\{user_id=)",
        r#"(?P<user>"?@[A-Za-z0-9._=/+-]+:[A-Za-z0-9.:-]+"?)(?:.*?device_id=(?P<device>"[^"…]{1,255}"|[A-Za-z0-9_-]{1,64}))?"#
    ))
});
