//! A console log or a rageshake log → its known lines, scrubbed, and what they tell. Kept are lines that
//! are a sign, lines that name a version or the state of the sync, and lines of a few loggers that tell of
//! keys, calls and requests; every other line is dropped and counted. Of a log that is long its start and
//! its newest end are kept.

use std::io::BufRead;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::newest::Newest;
use super::removed::Secret;
use super::scrub::Scrubber;
use super::{Kind, Limits, Taken};
use crate::evidence::client_line;
use crate::evidence::{ClientFacts, counted};

/// Lines that are kept of one log.
const LINES: usize = 50_000;
/// What is looked at of one line: a refusal is looked for in 64 KiB, which may be twice as many as written.
const LINE: usize = 192 << 10;
/// No known line is shorter: most lines of a log that is made to take long are.
const SHORTEST: usize = 9;
/// What a line costs beside its text.
const OVERHEAD: usize = 64;

/// The known lines of a log, not scrubbed yet.
pub(super) struct Console {
    lines: Newest<Line>,
    unknown: u64,
}

struct Line {
    at: Option<Timestamp>,
    level: &'static str,
    message: Box<str>,
}

/// Reads a log. The error is a sentence for a person.
pub(super) fn read(from: &mut dyn BufRead, budget: usize) -> Result<Console, String> {
    let mut read = Console { lines: Newest::new(LINES, budget), unknown: 0 };
    each_line(from, &mut |line| read.line(line));
    if read.lines.is_empty() {
        return Err(NO_LINE.into());
    }
    Ok(read)
}

const NO_LINE: &str = "it has no line of a Matrix client's log that I know";

impl Console {
    fn line(&mut self, line: &str) {
        let length = line.trim().len();
        if length < SHORTEST {
            self.unknown += u64::from(length > 0);
            return;
        }
        let (at, level, message) = parted(line);
        if !is_known(message) {
            self.unknown += 1;
            return;
        }
        let line = Line { at, level, message: message.into() };
        self.lines.push(line.message.len() + OVERHEAD, line);
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.bytes()
    }

    pub(super) fn shrink(&mut self, budget: usize) {
        self.lines.shrink(budget);
    }

    /// The lines as they may be kept, in no more than so many bytes: a line may get longer by being scrubbed.
    pub(super) fn taken(mut self, budget: usize, limits: &Limits) -> Result<Taken, String> {
        let mut scrubber = Scrubber::new(limits.addresses);
        // The newest first, because the newest are kept; so the text is written from its end.
        let (mut text, mut from, mut beyond) = (vec![0; budget], budget, 0);
        while let Some(Line { at, level, message }) = self.lines.pop_newest() {
            let message = scrubber.line(&message);
            // What made it known may have stood in what was cut.
            if !is_known(&message) {
                self.unknown += 1;
                continue;
            }
            let time = at.map(|at| format!("{at} ")).unwrap_or_default();
            let space = if level.is_empty() { "" } else { " " };
            let line = format!("{time}{level}{space}{message}\n");
            if line.len() > from {
                beyond = 1;
                self.lines.drop_rest();
                break;
            }
            text[from - line.len()..from].copy_from_slice(line.as_bytes());
            from -= line.len();
        }
        text.drain(..from);
        text.shrink_to_fit();
        let text = String::from_utf8(text).unwrap_or_default();
        if text.is_empty() {
            return Err(NO_LINE.into());
        }
        beyond += self.lines.dropped();
        let mut facts = ClientFacts::default();
        for line in text.lines() {
            let (at, _, message) = parted(line);
            facts.known_line(message, at, &mut scrubber);
        }
        facts.unknown = self.unknown + beyond;
        scrubber.removed.count(Secret::Line, self.unknown);
        let note = (beyond > 0).then(|| {
            let lines = counted(beyond, "known line");
            format!("the log is long: {lines} between its start and its newest end were left out")
        });
        let notes = note.into_iter().collect();
        Ok(Taken { kind: Kind::Console, facts, text, removed: scrubber.removed, notes })
    }
}

/// Gives each line, however it ends; of a long one no more than is looked at.
fn each_line(from: &mut dyn BufRead, each: &mut dyn FnMut(&str)) {
    let (mut begun, mut full) = (Vec::new(), false);
    let mut give = |line: &[u8]| each(String::from_utf8_lossy(line).trim_end_matches('\r'));
    loop {
        let piece = from.fill_buf().unwrap_or_default();
        if piece.is_empty() {
            return give(&begun);
        }
        let end = memchr::memchr(b'\n', piece);
        let part = &piece[..end.unwrap_or(piece.len())];
        let read = part.len() + usize::from(end.is_some());
        if begun.is_empty() && end.is_some() && part.len() <= LINE {
            give(part);
            from.consume(read);
            continue;
        }
        if !full {
            let room = LINE - begun.len();
            let starts = |at: &usize| part.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
            let fits = (0..=room.min(part.len())).rev().find(starts).unwrap_or(0);
            full = fits < part.len();
            begun.extend_from_slice(&part[..fits]);
        }
        from.consume(read);
        if end.is_some() {
            give(&begun);
            begun.clear();
            full = false;
        }
    }
}

impl ClientFacts {
    fn known_line(&mut self, line: &str, at: Option<Timestamp>, scrubber: &mut Scrubber) {
        if client_line::sign(line).is_some() {
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

/// The time, the level and the rest of a line, as rageshake, Element Web and Rust's tracing write them. A
/// browser's own time has no date, and is not believed to be one.
fn parted(line: &str) -> (Option<Timestamp>, &'static str, &str) {
    let Some(found) = PREFIX.captures(line) else { return (None, "", line.trim()) };
    let at = found["time"].replace(',', ".").parse().ok();
    let group = |name: &str| found.name(name).map_or("", |found| found.as_str());
    let level = LEVELS.iter().find(|level| **level == group("level"));
    (at, level.copied().unwrap_or_default(), group("rest").trim())
}

/// As [`PREFIX`] has them.
const LEVELS: [&str; 12] =
    ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "T", "D", "I", "W", "E", "V", "L"];

/// Whether a line is of a kind that is kept.
pub(super) fn is_known(line: &str) -> bool {
    client_line::sign(line).is_some() || KNOWN.is_match(shortened(line))
}

fn shortened(line: &str) -> &str {
    let mut end = line.len().min(2048);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^\s*\[?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d))\]?",
        r"(?:\s+(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|[TDIWEVL])\b)?(?:\s+(?P<rest>.*))?$"
    ))
});
/// Versions, the state of the sync, whose session it is, and the loggers that are kept. It reads every line,
/// so its word boundaries are ASCII: others cost seconds a megabyte where a line is not ASCII.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:matrix-js-sdk|matrix-sdk-crypto-wasm|matrix-rust-sdk|[Vv]odozemac|[Rr]ust.?[Cc]rypto)(?-u:\b).{0,40}?[0-9]+\.[0-9]+\.[0-9]+",
        r"|(?i:(?-u:\b)sync state(?-u:\b))|(?-u:\b)SyncState(?-u:\b)|MatrixActionCreators\.sync|/sync error",
        r"|(?-u:\b)matrix[_]sdk(?:_crypto|_base|_common|_ui)?(?:::[A-Za-z0-9_]+)*[: ]|(?-u:\b)vodozemac::",
        r"|\[MembershipManager\]|\[?MatrixRTCSession|\[?RTCEncryptionManager|ToDeviceKeyTransport|RoomKeyTransport",
        r"|(?-u:\b)FetchHttpApi: |(?-u:\b)OutgoingRequest(?:Processor|sManager)|(?-u:\bRustCrypto\b|\bKeyClaimManager\b)",
        r"|(?i:restoring session for|logged in as) @"
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
/// Whose client it is: only where it starts.
static SESSION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:(?i:restoring session for|logged in as|olm ?account|OlmMachine|restored session)\b.*?",
        r"|\bwith_store\{user_id=)",
        r#"(?P<user>"?@[A-Za-z0-9._=/+-]+:[A-Za-z0-9.:-]+"?)(?:.*?device_id=(?P<device>"[^"…]{1,255}"|[A-Za-z0-9_-]{1,64}))?"#
    ))
});
