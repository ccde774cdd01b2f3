//! A console log or a rageshake log → its known lines, scrubbed, and what they tell. Kept are lines that
//! are a sign, lines that name a version or the state of the sync, and lines of a few loggers that tell of
//! keys, calls and requests; every other line is dropped and counted.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::removed::Secret;
use super::scrub::Scrubber;
use super::{Kind, Limits, Taken};
use crate::evidence::client_line;
use crate::evidence::{ClientFacts, counted};

/// Lines and bytes that are kept of one log.
const LINES: usize = 50_000;
const BYTES: usize = 8 << 20;

pub(super) fn read(text: &str, limits: &Limits) -> Result<Taken, String> {
    let mut scrubber = Scrubber::new(limits.addresses);
    let (mut facts, mut kept) = (ClientFacts::default(), String::new());
    let (mut lines, mut beyond, mut unknown) = (0usize, 0u64, 0u64);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (at, level, message) = parted(line);
        if !is_known(message) {
            unknown += 1;
            continue;
        }
        if lines >= LINES || kept.len() >= BYTES {
            beyond += 1;
            continue;
        }
        let message = scrubber.line(message);
        // What made it known may have stood in what was cut.
        if !is_known(&message) {
            unknown += 1;
            continue;
        }
        lines += 1;
        let time = at.map(|at| format!("{at} ")).unwrap_or_default();
        let level = if level.is_empty() { String::new() } else { format!("{level} ") };
        kept.push_str(&format!("{time}{level}{message}\n"));
        facts.known_line(&message, at, &mut scrubber);
    }
    if lines == 0 {
        return Err("it has no line of a Matrix client's log that I know".into());
    }
    facts.unknown = unknown + beyond;
    scrubber.removed.count(Secret::Line, unknown + beyond);
    let note = (beyond > 0).then(|| {
        format!("the log is long: {} at its end were not read", counted(beyond, "known line"))
    });
    Ok(Taken { kind: Kind::Console, facts, text: kept, removed: scrubber.removed, note })
}

impl ClientFacts {
    fn known_line(&mut self, line: &str, at: Option<Timestamp>, scrubber: &mut Scrubber) {
        if client_line::sign(line).is_some() {
            self.line(line, at);
        } else if let Some(at) = at {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
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
fn parted(line: &str) -> (Option<Timestamp>, &str, &str) {
    let Some(found) = PREFIX.captures(line) else { return (None, "", line.trim()) };
    let at = found["time"].replace(',', ".").parse().ok();
    let group = |name: &str| found.name(name).map_or("", |found| found.as_str());
    (at, group("level"), group("rest").trim())
}

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
