//! Extracts the records about one subject in a window, redacted, as lines of Synapse's default format in UTC.
//!
//! A record is about the subject if it names its user, its device or one of its events, if it shares a
//! request with such a line, or if it is a request on delayed events from an address that the user's own
//! requests came from (those have no name). Other people's lines and continuation lines are left out,
//! whatever they contain.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use memchr::memmem;
use ruma::{OwnedDeviceId, OwnedUserId};

use super::lines::{Lines, Remaining};
use super::log_file::LogFile;
use super::reading::Reading;
use super::{same_host, seek};
use crate::config::LogSource;
use kestrel_core::evidence::Window;
use kestrel_core::evidence::redaction::Removed;
use kestrel_core::synapse_log::record::{self, Record};
use kestrel_core::synapse_log::server_message;
use kestrel_core::synapse_log::synapse_lines::SynapseLines;
use kestrel_core::synapse_log::zone::Clock;

/// The most bytes of one slice; further records are only counted.
pub const LARGEST: usize = 8 << 20;
/// The most bytes of the window that are read.
const MOST: u64 = 1 << 30;
/// Request IDs restart with the server: lines further apart than this (milliseconds) belong to different
/// requests.
const APART: i64 = 120_000;
/// The most requests, addresses and moments that are remembered.
const REQUESTS: usize = 200_000;
const ADDRESSES: usize = 64;
const MOMENTS: usize = 100_000;
/// A shorter device ID is part of too many other words.
const SHORTEST: usize = 6;

/// Whose records to extract, and from when.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub user: OwnedUserId,
    pub device: Option<OwnedDeviceId>,
    pub events: Vec<String>,
    pub window: Window,
    /// Addresses are kept in full.
    pub addresses: bool,
}

/// What happened at one moment of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Refused,
    Uploaded,
    Claimed,
}

/// A log's records about the subject.
#[derive(Debug, Default)]
pub struct Slice {
    pub source: String,
    pub text: String,
    pub records: u64,
    /// Records that did not fit any more.
    pub beyond: u64,
    pub removed: Removed,
    pub moments: Vec<(Timestamp, Moment)>,
    pub notes: Vec<String>,
}

/// Reads one log twice: for the subject's requests, then for all of their lines. `siblings` may provide the
/// time zone. The error is a sentence for people.
pub fn slice(
    (source, siblings): (&LogSource, &[PathBuf]),
    wanted: &Wanted,
    stop: &AtomicBool,
) -> Result<Slice, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", source.path.display());
    let current = LogFile::inspect(&source.path)?;
    let clock = same_host::clock(&current, source, siblings, stop).map_err(failed)?;
    let mut reading = Reading { most: MOST, ..Reading::default() };
    let target = wanted.window.from.as_millisecond().saturating_sub(APART);
    let mut parts = reading.parts(current, &clock, wanted.window, target);
    let start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
    let start = reading.newest(&mut parts, start, wanted.window, &clock).map_err(failed)?;
    let stretch = Stretch { parts: &parts, start, clock: &clock, window: wanted.window };
    let mut about = SubjectFilter::new(wanted);
    stretch.walk(stop, |line, at| about.learn(line, at)).map_err(failed)?;
    let mut slice = Slice { source: source.name.clone(), ..Slice::default() };
    stretch.walk(stop, |line, at| slice.take(line, at, &about)).map_err(failed)?;
    slice.notes = reading.notes;
    if reading.cut_old {
        slice.notes.push(format!("only the newest {} MiB of the window were read", MOST >> 20));
    }
    if stop.load(Ordering::Relaxed) {
        slice.notes.push("reading stopped at the deadline, before the end of the log".into());
    }
    if slice.beyond > 0 {
        slice.notes.push(format!("{} more records did not fit", slice.beyond));
    }
    Ok(slice)
}

/// What is read of a log.
struct Stretch<'a> {
    parts: &'a [LogFile],
    /// Where reading begins in the first of them.
    start: u64,
    clock: &'a Clock,
    window: Window,
}

impl Stretch<'_> {
    /// Passes on the records of the window and of the two minutes before it.
    fn walk(&self, stop: &AtomicBool, mut each: impl FnMut(&[u8], i64)) -> io::Result<()> {
        let from = self.window.from.as_millisecond().saturating_sub(APART);
        let to = self.window.to.as_millisecond();
        let mut start = self.start;
        for part in self.parts {
            let mut lines = Lines::new(part.open(std::mem::take(&mut start))?);
            let mut synapse = SynapseLines::new(part.wrappings.clone());
            let mut keep = |line: &[u8]| {
                let at = record::stamp(line).and_then(|stamp| self.clock.peek(stamp));
                if let Some(at) = at.filter(|at| (from..=to).contains(at)) {
                    each(line, at);
                }
            };
            loop {
                let left = lines.chunk(|line| synapse.line(line, &mut keep))?;
                if left != Remaining::More || stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Recognises the subject's lines.
struct SubjectFilter<'a> {
    wanted: &'a Wanted,
    names: Vec<memmem::Finder<'a>>,
    /// The device ID, as a whole word.
    device: Option<memmem::Finder<'a>>,
    /// For each request, the times of its first and last line that name the subject.
    requests: HashMap<String, (i64, i64)>,
    addresses: HashSet<String>,
}

impl<'a> SubjectFilter<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let user = wanted.user.as_str();
        let encoded = user.replace('@', "%40").replace(':', "%3A");
        let own = |text: &str| memmem::Finder::new(text.as_bytes()).into_owned();
        let events = wanted.events.iter().filter(|event| event.len() > SHORTEST);
        let mut names: Vec<_> = events.map(|event| own(event.trim_start_matches('$'))).collect();
        names.extend([own(user), own(&encoded)]);
        let device = wanted.device.as_ref().filter(|device| device.as_str().len() >= SHORTEST);
        Self {
            wanted,
            names,
            device: device.map(|device| own(device.as_str())),
            requests: HashMap::new(),
            addresses: HashSet::new(),
        }
    }

    /// Whether the line names the subject. A longer name with the same start is someone else's.
    fn is_named(&self, line: &[u8]) -> bool {
        let alone = |finder: &memmem::Finder<'_>| {
            let length = finder.needle().len();
            finder.find_iter(line).any(|at| {
                let word = |byte: Option<&u8>| {
                    byte.is_some_and(|byte| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
                    })
                };
                let before = at.checked_sub(1).and_then(|before| line.get(before));
                // `%24` in front of an event id ends in a digit.
                let before = word(before) && !line[..at].ends_with(b"%24");
                let behind = line.get(at + length..).unwrap_or_default();
                let dotted = behind.first() == Some(&b'.') && word(behind.get(1));
                !before && !word(behind.first()) && !dotted
            })
        };
        self.names.iter().chain(&self.device).any(alone)
    }

    fn learn(&mut self, line: &[u8], at: i64) {
        if !self.is_named(line) {
            return;
        }
        let text = record::text(line);
        let Some(record) = Record::parse(&text) else { return };
        let user = format!("{{{}}}", self.wanted.user);
        if let Some((address, rest)) = record.message.split_once(" - ")
            && record.logger.starts_with("synapse.access.")
            && rest.contains(&user)
            && self.addresses.len() < ADDRESSES
        {
            self.addresses.insert(address.to_owned());
        }
        let Some(request) = record.request.filter(|request| is_request(request)) else { return };
        if self.requests.len() < REQUESTS {
            let span = self.requests.entry(request.into_owned()).or_insert((at, at));
            *span = (span.0.min(at), span.1.max(at));
        }
    }

    fn is_about(&self, line: &[u8], record: &Record, at: i64) -> bool {
        if self.is_named(line) {
            return true;
        }
        let near = |(first, last): &(i64, i64)| (first - APART..=last + APART).contains(&at);
        // A request of another user shares only the number.
        let of_request = record.request.as_deref().and_then(|request| self.requests.get(request));
        if of_request.is_some_and(near) {
            return true;
        }
        let message = &*record.message;
        message.contains("/delayed_events/")
            && message.split_once(" - ").is_some_and(|(from, rest)| {
                rest.contains("{None}") && self.addresses.contains(from)
            })
    }
}

/// `POST-17`: outside of requests there are words here that many lines share.
fn is_request(request: &str) -> bool {
    let number = request.rsplit_once('-').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

impl Slice {
    fn take(&mut self, line: &[u8], at: i64, about: &SubjectFilter<'_>) {
        let Ok(moment) = Timestamp::from_millisecond(at) else { return };
        if !about.wanted.window.holds(moment) {
            return;
        }
        let text = record::text(line);
        let Some(record) = Record::parse(&text) else { return };
        if !about.is_about(line, &record, at) {
            return;
        }
        let kept = server_message(&record, about.wanted.addresses, &mut self.removed);
        let Some(message) = kept else { return };
        self.note(&record, moment);
        let plain = |text: &str| {
            let fits = |c: &char| c.is_ascii_graphic();
            text.chars().filter(fits).take(120).collect::<String>()
        };
        let request = record.request.as_deref().map(plain).unwrap_or_default();
        let line = format!(
            "{} - {} - 0 - {} - {request} - {message}\n",
            moment.strftime("%Y-%m-%d %H:%M:%S,%3f"),
            plain(&record.logger),
            plain(&record.level),
        );
        if self.text.len() + line.len() > LARGEST {
            self.beyond += 1;
            return;
        }
        self.records += 1;
        self.text.push_str(&line);
    }

    fn note(&mut self, record: &Record, at: Timestamp) {
        let message = &*record.message;
        let what = match &*record.logger {
            "synapse.http.server" if message.contains(" already exists") => Moment::Refused,
            "synapse.handlers.e2e_keys" if message.starts_with("Adding one_time_keys") => {
                Moment::Uploaded
            }
            "synapse.handlers.e2e_keys" if message.starts_with("Claimed one-time-keys") => {
                Moment::Claimed
            }
            _ => return,
        };
        if self.moments.len() < MOMENTS {
            self.moments.push((at, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STORM: &str = include_str!("../../../tests/fixtures/log/ke1-eviction-storm.log");
    const DELAYS: &str = include_str!("../../../tests/fixtures/log/ke4-real.log");
    const TERSE: &str = include_str!("../../../tests/fixtures/log/main.terse.jsonl");

    fn cut(log: &str, user: &str, device: Option<&str>) -> Slice {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeserver.log");
        fs::write(&path, log).unwrap();
        let source =
            LogSource { name: "main".into(), path, timezone: Some(jiff::tz::TimeZone::UTC) };
        let wanted = Wanted {
            user: user.try_into().unwrap(),
            device: device.map(Into::into),
            events: Vec::new(),
            window: Window { from: Timestamp::UNIX_EPOCH, to: Timestamp::MAX },
            addresses: false,
        };
        slice((&source, &[]), &wanted, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn a_slice_holds_the_subject_s_requests_and_nobody_else_s() {
        let slice = cut(STORM, "@s1storm:lab.local", Some("DEVS1STORM"));
        assert!(slice.text.contains("already exists"), "{}", slice.text.len());
        assert!(slice.text.contains("Processed request"), "no access line");
        let refused = slice.moments.iter().filter(|(_, what)| *what == Moment::Refused).count();
        let really = STORM.lines().filter(|line| line.contains("already exists")).count();
        assert_eq!(refused, really);
        for line in slice.text.lines() {
            assert!(
                !line.contains("{@s1stormpeer:lab.local}") || line.contains("s1storm"),
                "{line}"
            );
            assert!(!line.contains("127.0.0.1 "), "{line}");
            assert!(Record::parse(line).is_some(), "{line}");
        }
        let peer = cut(STORM, "@nobody:lab.local", None);
        assert_eq!(peer.records, 0, "{}", peer.text);
    }

    #[test]
    fn planted_secrets_and_delay_ids_are_in_no_slice() {
        let name = "@s1storm:lab.local";
        let mut log = STORM.to_owned();
        for planted in [
            "synapse.access.http.1 - 1 - INFO - GET-99999 - 10.9.8.7 - 1 - {@s1storm:lab.local} Processed \
             request: \"GET /_matrix/client/v3/sync?access_token=syt_PLANTED_1 HTTP/1.1\" \"a\"",
            "synapse.http.server - 1 - INFO - GET-99999 - Bearer PLANTED of it",
            "synapse.storage.SQL - 1 - DEBUG - GET-99999 - @s1storm:lab.local {'body': 'PLANTED'}",
            "synapse.access.http.1 - 1 - INFO - POST-99998 - 10.9.8.7 - 1 - {None} Processed request: \
             \"POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/syd_PLANTED/restart\"",
        ] {
            log.push_str(&format!("2026-11-22 12:00:00,000 - {planted}\n"));
        }
        let slice = cut(&log, name, None);
        assert!(slice.text.contains("GET-99999") && slice.text.contains("/delayed_events/~"));
        assert!(!slice.text.contains("PLANTED") && !slice.text.contains("10.9.8.7"));
        let real = cut(DELAYS, "@nobody:lab.local", None);
        assert!(!real.text.contains("syd_"));
        let terse = cut(TERSE, "@wa48655:lab.local", None);
        assert!(terse.records > 2, "{}", terse.text);
    }
}
