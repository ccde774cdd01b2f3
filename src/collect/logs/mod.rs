//! A log source → what it says of one device's keys. Synchronous: callers put it on a thread of its
//! own. Never fails: what goes wrong is part of the answer.

mod back;
mod file;
pub mod follow;
mod places;
mod query;
mod replay;
mod seek;
pub mod siblings;
pub mod slice;
mod told;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use self::file::{Left, Lines, Part};
pub use self::places::places;
pub use self::replay::{Replayed, replay};
use crate::config::LogSource;
use kestrel_core::evidence::key_log::Coverage;
use kestrel_core::evidence::{About, Fact, Gathered, KeyLog, Need, State, Subject, Window, utc};
use kestrel_core::synapse_log::attribution::{Attribution, End};
use kestrel_core::synapse_log::readers::{Aside, Told};
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

/// What is asked of a log.
#[derive(Debug, Clone)]
pub struct Asked {
    pub about: About,
    pub window: Window,
    /// Those that a log answers; others are left to other sources.
    pub needs: &'static [Need],
}

impl Asked {
    /// The readers of other needs; without a need, of everybody's moments.
    fn aside(&self) -> Aside {
        match self.needs {
            [] => Aside::watching(self.window),
            needs => Aside::new(needs, &self.about, self.window),
        }
    }

    /// Whose key traffic is read.
    fn subject(&self) -> Subject {
        let keys = self.needs.contains(&Need::KeyLog);
        self.about.device().filter(|_| keys).cloned().unwrap_or_else(Subject::nobody)
    }
}

/// One log's answer on one device's keys.
#[derive(Debug)]
pub struct LogReading {
    pub state: State,
    /// There where the log was read, even in part.
    pub log: Option<KeyLog>,
    /// One line for a person.
    pub what: String,
    /// A command that shows it again, safe to paste.
    pub query: String,
    /// What was read off the same lines for other needs.
    pub beside: Vec<Told>,
}

/// How much before the window reading starts: what stands there tells true request numbers from forged
/// ones, and an upload may straddle the border.
const LEAD: i64 = 60_000;
/// More of it in a text log, whose repeated hour cannot be told by a search.
const LEAD_TEXT: i64 = LEAD + 3_600_000;
/// Uploads near the window's start that outvote those of the whole file on the zone: a log may hold
/// summer and winter.
const NEARBY: u64 = 8 << 20;
const NEARBY_VOTES: u64 = 3;
/// More bytes of a window than this are not read (about the default deadline's worth): the older ones are
/// left out, because what goes on now matters most.
const MOST: u64 = 2 << 30;
/// A log whose newest line is older than this is likely not written any more.
const STALE: SignedDuration = SignedDuration::from_mins(10);

/// The sources without those that another reads already: a line read twice would count twice, and a
/// race would be a storm.
pub fn distinct(sources: &[LogSource]) -> Vec<&LogSource> {
    let read_before = |at: usize| {
        let own = &sources[at].path;
        sources.iter().enumerate().any(|(other, source)| {
            let covered = file::covers(&source.path, own);
            other != at && covered && (other < at || !file::covers(own, &source.path))
        })
    };
    (0..sources.len()).filter(|at| !read_before(*at)).map(|at| &sources[at]).collect()
}

/// Reads one log to its end, or until `stop` is set: an answer a need. `siblings` may tell its zone.
pub fn read(
    source: &LogSource,
    siblings: &[PathBuf],
    asked: &Asked,
    stop: &AtomicBool,
) -> Vec<Gathered> {
    let reading = read_at_most(MOST, (source, siblings), asked, stop);
    let name = format!("log:{}", source.name);
    let mut answers = Vec::new();
    for need in asked.needs.iter().copied().filter(|need| Need::OF_LOGS.contains(need)) {
        if need == Need::KeyLog {
            let fact = reading.log.clone().map(|log| Fact::KeyLog(Box::new(log)));
            let (state, what) = (reading.state.clone(), reading.what.clone());
            answers.push(Gathered::told(need, &name, state, what, reading.query.clone(), fact));
            continue;
        }
        let query = query::of(need, &source.path, &asked.about);
        let told = reading.beside.iter().find(|told| told.need == need);
        let (state, what, fact) = match (&reading.state, told) {
            (State::Failed(why), None) => (reading.state.clone(), why.clone(), None),
            (state, None) => (state.clone(), String::new(), None),
            (State::Failed(_), Some(told)) => {
                (reading.state.clone(), told.what.clone(), Some(told.fact.clone()))
            }
            (_, Some(told)) => {
                let state = if told.found { State::Found } else { State::Empty };
                (state, told.what.clone(), Some(told.fact.clone()))
            }
        };
        answers.push(Gathered::told(need, &name, state, what, query, fact));
    }
    answers
}

fn read_at_most(
    most: u64,
    (source, siblings): (&LogSource, &[PathBuf]),
    asked: &Asked,
    stop: &AtomicBool,
) -> LogReading {
    let mut reading = Reading { most, siblings: siblings.to_vec(), ..Reading::default() };
    let subject = asked.subject();
    let found = reading.run(source, asked, &subject, stop);
    let query = query::of_keys(&source.path, &subject);
    match found {
        Ok((log, end)) => reading.answer(source, asked.window, log, end, query),
        Err(why) => {
            let (state, what) = (State::Failed(why.clone()), why);
            LogReading { state, log: None, what, query, beside: Vec::new() }
        }
    }
}

/// One reading under way.
#[derive(Default)]
struct Reading {
    most: u64,
    /// Logs of other processes of the host.
    siblings: Vec<PathBuf>,
    /// The older part of the window was left out.
    cut_old: bool,
    notes: Vec<String>,
    /// The log begins before the window.
    reached_back: bool,
    /// Why it ended early.
    cut_short: Option<String>,
    read: u64,
}

impl Reading {
    fn run(
        &mut self,
        source: &LogSource,
        asked: &Asked,
        subject: &Subject,
        stop: &AtomicBool,
    ) -> Result<(KeyLog, End), String> {
        let window = asked.window;
        let current = Part::of(&source.path)?;
        let failed =
            |error: io::Error| format!("{} cannot be read: {error}", source.path.display());
        let mut clock = Clock::new(source.timezone.clone());
        let text = matches!(current.first, Some(Stamp::Local(_)) | None);
        if text {
            let whole = source.timezone.is_none();
            seek::ask_zone(&current, &mut clock, whole, stop).map_err(failed)?;
            clock.settle();
            if clock.is_unknown() {
                siblings::ask_zone(&self.siblings, &mut clock, stop);
            }
        }
        let lead = if text { LEAD_TEXT } else { LEAD };
        let target = window.from.as_millisecond().saturating_sub(lead);
        let mut parts = self.parts(current, &clock, window, target);
        let mut start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
        if text {
            let mut near = Clock::new(source.timezone.clone());
            seek::votes(&parts[0], start, NEARBY, &mut near, stop).map_err(failed)?;
            if near.voted() >= NEARBY_VOTES {
                near.settle();
                clock = near;
                start = seek::start_of(&parts[0], target, &clock).map_err(failed)?;
            }
        }
        start = self.newest(&mut parts, start, window, &clock).map_err(failed)?;
        let (began, then) = (start, clock.clone());
        let mut attribution =
            Attribution::new(subject.clone(), window, clock).beside(asked.aside());
        let mut cut = false;
        for part in &parts {
            cut = self.part(part, std::mem::take(&mut start), &mut attribution, stop);
            if self.cut_short.is_some() || attribution.is_past() {
                break;
            }
        }
        let (log, mut end) = attribution.finish(cut);
        if !asked.needs.is_empty() {
            let (at, into) = ((&parts[0], began), (&mut end.visible, window));
            back::look(&source.path, at, &then, into, stop).map_err(failed)?;
        }
        match told::unreadable(&end, &source.path) {
            Some(why) if self.cut_short.is_none() => Err(why),
            _ => Ok((log, end)),
        }
    }

    /// The files to read, oldest first: the current one, and rotated ones as far as the window reaches
    /// back.
    fn parts(&mut self, current: Part, clock: &Clock, window: Window, target: i64) -> Vec<Part> {
        let begins = |part: &Part| part.first.and_then(|first| clock.peek(first));
        let reaches = |part: &Part, to: i64| begins(part).is_some_and(|at| at <= to);
        let from = window.from.as_millisecond();
        let mut parts = vec![current];
        if !reaches(&parts[0], target) {
            let mut older = file::siblings(&parts[0].path, &mut self.notes);
            older.retain(|part| begins(part) < begins(&parts[0]));
            while let Some(part) = older.pop() {
                parts.insert(0, part);
                if reaches(&parts[0], target) {
                    break;
                }
            }
        }
        self.reached_back = reaches(&parts[0], from);
        parts
    }

    /// Leaves out the older part of a window that is too much to read: gives where to start in the first
    /// of the parts that are left.
    fn newest(
        &mut self,
        parts: &mut Vec<Part>,
        start: u64,
        window: Window,
        clock: &Clock,
    ) -> io::Result<u64> {
        let to = window.to.as_millisecond();
        let mut room = self.most;
        for index in (0..parts.len()).rev() {
            let part = &parts[index];
            let begins = part.first.and_then(|first| clock.peek(first));
            let end = match part.gzip {
                _ if begins.is_some_and(|begins| begins > to) => 0,
                true => part.length,
                false => seek::start_of(part, to, clock)?,
            };
            let bytes = end.saturating_sub(if index == 0 { start } else { 0 });
            if bytes > room {
                let from =
                    if part.gzip { 0 } else { seek::record_behind(part, end - room, clock)? };
                parts.drain(..index);
                (self.cut_old, self.reached_back) = (true, false);
                return Ok(from);
            }
            room -= bytes;
        }
        Ok(start)
    }

    /// Reads one file; gives whether its last line may be half written.
    fn part(&mut self, part: &Part, at: u64, into: &mut Attribution, stop: &AtomicBool) -> bool {
        let mut lines = match part.open(at) {
            Ok(source) => Lines::new(source),
            Err(error) => {
                self.cut_short = Some(format!("{} went away: {error}", part.path.display()));
                return false;
            }
        };
        into.next_file(matches!(part.first, Some(Stamp::Local(_))));
        let before = self.read;
        loop {
            if stop.load(Ordering::Relaxed) {
                let (read, of) = (lines.read >> 20, (part.length - at.min(part.length)) >> 20);
                self.cut_short = Some(format!(
                    "the deadline passed after reading {read} MiB of {of} MiB of {}: ask for a \
                     shorter window",
                    part.path.display()
                ));
                return false;
            }
            let left = lines.chunk(|line| into.line(line));
            self.read = before + lines.read;
            match left {
                Ok(Left::More) if !into.is_past() => {}
                Ok(Left::More) => return false,
                Ok(Left::Nothing { cut }) => return cut && !into.last_is_whole(),
                Err(error) => {
                    self.cut_short = Some(format!("{} broke off: {error}", part.path.display()));
                    return false;
                }
            }
        }
    }

    fn answer(
        mut self,
        source: &LogSource,
        window: Window,
        mut log: KeyLog,
        mut end: End,
        query: String,
    ) -> LogReading {
        self.notes.extend(end.notes.iter().cloned());
        self.explain(&end, window);
        let whole = self.reached_back && self.cut_short.is_none();
        let what = told::keys(&log, &end);
        let coverage = Coverage {
            source: source.name.clone(),
            span: end.span,
            whole,
            lines: end.lines,
            format: end.format,
            zone: end.zone.clone(),
            notes: self.notes,
            visible: Some(end.visible.finish(end.zone_known)),
        };
        let beside = std::mem::take(&mut end.aside).finish(&coverage);
        log.coverage.push(coverage);
        let state = match self.cut_short {
            Some(why) => State::Failed(why),
            None if log.says_anything() => State::Found,
            None if end.span.is_none() && !spans(&end, window) => State::Failed(format!(
                "the log holds no line of the time asked about: it goes from {} to {}",
                shown(end.first),
                shown(end.last)
            )),
            None => State::Empty,
        };
        LogReading { state, log: Some(log), what, query, beside }
    }

    fn explain(&mut self, end: &End, window: Window) {
        if self.cut_old {
            self.notes.push(format!(
                "the window holds more than {} MiB: only its newest part was read; ask for a shorter window",
                self.most >> 20
            ));
        } else if !self.reached_back {
            self.notes.push(format!(
                "the log begins at {}, after the window's start: rotated files before it are gone or not \
                 readable",
                shown(end.first)
            ));
        }
        if end.last.is_some_and(|last| window.to.duration_since(last) > STALE) {
            self.notes.push(format!(
                "the newest line is of {}: the log may have stopped, or be the wrong file",
                shown(end.last)
            ));
        }
        if end.without_ids > 0 {
            self.notes.push(
                "this JSON format writes no request ids, so refusals cannot be tied to uploads: use \
                 Synapse's TerseJsonFormatter or the text format"
                    .into(),
            );
        }
    }
}

/// Whether the log lasts over the window, be it without a line inside.
fn spans(end: &End, window: Window) -> bool {
    end.first.is_some_and(|first| first <= window.from)
        && end.last.is_some_and(|last| last >= window.to)
}

fn shown(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "no known time".into(), utc)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use jiff::tz::TimeZone;
    use tempfile::TempDir;

    use super::*;
    use kestrel_core::evidence::key_log::Format;

    const STORM: &str = include_str!("../../../tests/fixtures/log/ke1-eviction-storm.log");
    const TERSE: &str = include_str!("../../../tests/fixtures/log/main.terse.jsonl");
    const PLAIN_JSON: &str = include_str!("../../../tests/fixtures/log/main.json.jsonl");
    const GCP: &str = include_str!("../../../tests/fixtures/log/main.gcp.jsonl");
    const PRECISE: &str = include_str!("../../../tests/fixtures/log/main.precise.log");
    const LEGACY: &str = include_str!("../../../tests/fixtures/log/main.legacy.log");
    const DOCKER: &str = include_str!("../../../tests/fixtures/log/main.docker.log");
    const JOURNAL: &str = include_str!("../../../tests/fixtures/log/main.journalfmt.log");

    fn source(path: PathBuf) -> LogSource {
        LogSource { name: "main".into(), path, timezone: None }
    }

    fn subject(user: &str, device: &str) -> Subject {
        Subject { user: user.try_into().unwrap(), device: device.into() }
    }

    fn day() -> Window {
        span("2026-11-22T00:00:00Z", "2026-11-22T23:00:00Z")
    }

    fn span(from: &str, to: &str) -> Window {
        Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn file(text: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeserver.log");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn go(path: PathBuf, subject: &Subject, window: Window) -> LogReading {
        let asked = asked(subject, window);
        read_at_most(MOST, (&source(path), &[]), &asked, &AtomicBool::new(false))
    }

    fn asked(subject: &Subject, window: Window) -> Asked {
        Asked { about: About::Device(subject.clone()), window, needs: &[Need::KeyLog] }
    }

    fn storm() -> Subject {
        subject("@s1storm:lab.local", "DEVS1STORM")
    }

    /// The workers that serve no uploads write no line with both times.
    #[test]
    fn a_sibling_in_the_same_folder_tells_the_zone() {
        let access = "2026-11-22 06:54:42,953 - synapse.access.http.8008 - 643 - INFO - GET-7 - 1.1.1.1 - 8008 - \
                      {@a:s} Processed request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) db=(0.0sec/0.0sec/0) 1B 200 \
                      \"GET /_matrix/client/v3/sync HTTP/1.1\" \"a\" [0 dbevts]\n";
        let upload = "2026-11-22 06:54:42,953 - synapse.handlers.e2e_keys - 955 - INFO - POST-7 - Adding \
                      one_time_keys dict_keys(['a:b']) for device 'D' for user '@a:s' at 1795348482950\n";
        let (folder, path) = file(access);
        fs::write(folder.path().join("writer.log"), upload).unwrap();
        let (_elsewhere, other) = file(upload);
        let writer = folder.path().join("writer.log");
        let [worker, writer, other] = [path, writer, other].map(source);
        let whom = subject("@a:s", "D");
        let zone = |all: &[&LogSource]| {
            let siblings = siblings::of(&worker, all);
            let asked = asked(&whom, day());
            let read = read_at_most(MOST, (&worker, &siblings), &asked, &AtomicBool::new(false));
            let coverage = read.log.unwrap().coverage.remove(0);
            (coverage.zone, coverage.span.unwrap().0.to_string())
        };
        let (zone_told, first) = zone(&[&worker, &writer]);
        assert!(zone_told.starts_with("UTC-05:00, derived from"), "{zone_told}");
        assert!(zone_told.ends_with("of writer.log, in the same folder"), "{zone_told}");
        assert_eq!(first, "2026-11-22T11:54:42.953Z");
        // Another folder may be another host's.
        assert_eq!(zone(&[&worker, &other]).0, "UTC, assumed");
    }

    #[test]
    fn a_storm_is_found() {
        let (_folder, path) = file(STORM);
        let reading = go(path, &storm(), day());
        assert_eq!(reading.state, State::Found);
        let log = reading.log.unwrap();
        assert_eq!(log.refusals(), 30);
        assert_eq!(log.refused[0].agents, ["node"]);
        let coverage = &log.coverage[0];
        assert!(!coverage.whole);
        assert!(coverage.notes.iter().any(|note| note.contains("newest line")));
        assert!(coverage.zone.starts_with("UTC+00:00, derived from"));
        assert!(reading.what.starts_with("30 uploads refused, 1 upload accepted"));
    }

    /// The storm of 11 o'clock at another hour, its own milliseconds too.
    fn storm_at(hour: i64) -> String {
        let text = STORM.replace("2026-11-22 11:", &format!("2026-11-22 {hour:02}:"));
        let mut parts = text.split(" at 1795");
        let mut moved = parts.next().unwrap().to_owned();
        for part in parts {
            let (digits, rest) = part.split_at(9);
            let at = 1_795_000_000_000 + digits.parse::<i64>().unwrap() + (hour - 11) * 3_600_000;
            moved.push_str(&format!(" at {at}{rest}"));
        }
        moved
    }

    #[test]
    fn of_too_much_the_newest_is_read() {
        // The same storm, once an hour: more than may be read, and the last one matters.
        let text: String = (0..6).map(storm_at).collect();
        let (_folder, path) = file(&text);
        let source = LogSource { timezone: Some(TimeZone::UTC), ..source(path) };
        let (window, stop) = (day(), AtomicBool::new(false));
        let whole =
            read_at_most(MOST, (&source, &[]), &asked(&storm(), window), &stop).log.unwrap();
        let most = 1 << 18;
        let part = read_at_most(most, (&source, &[]), &asked(&storm(), window), &stop).log.unwrap();
        let last = |log: &KeyLog| log.refused.iter().map(|group| group.span.last).max();
        assert!(part.refusals() < whole.refusals(), "all of it was read");
        assert!(part.refusals() >= 30, "the newest storm was left out");
        // Request numbers begin again with each copy, so the whole leaves a few of the last out.
        assert!(last(&part) >= last(&whole));
        assert!(!part.coverage[0].whole);
        assert!(part.coverage[0].notes.iter().any(|note| note.contains("its newest part")));
        // What lies behind the window is no part of it.
        let early = span("2026-11-22T00:00:00Z", "2026-11-22T00:45:00Z");
        let read = read_at_most(most, (&source, &[]), &asked(&storm(), early), &stop).log.unwrap();
        assert_eq!(read.refusals(), 30);
    }

    #[test]
    fn every_format_gives_the_same_log() {
        let subject = subject("@wa48655:lab.local", "DEVW");
        let compose: String = TERSE.lines().map(|line| format!("synapse-1  | {line}\n")).collect();
        for (text, format) in [
            (compose.as_str(), Format::Json),
            (PRECISE, Format::Text),
            (LEGACY, Format::Text),
            (DOCKER, Format::Text),
            (TERSE, Format::Json),
            (PLAIN_JSON, Format::Json),
        ] {
            let (_folder, path) = file(text);
            let log = go(path, &subject, day()).log.unwrap();
            assert_eq!(log.refusals(), 1, "{}", &text[..60]);
            assert_eq!(log.refused[0].format, format);
            assert_eq!(log.accepted.keys, 1);
            assert_eq!(log.claims.kept.len(), 1);
            let at = log.refused[0].span.first.as_second();
            assert_eq!(at, 1_795_348_656, "{}", log.coverage[0].zone);
        }
        let (_folder, path) = file(GCP);
        let log = go(path, &subject, day()).log.unwrap();
        assert_eq!((log.refusals(), log.unattributed), (0, 1));
        assert!(log.coverage[0].notes.iter().any(|note| note.contains("request ids")));
    }

    #[test]
    fn a_carriage_return_at_each_line_s_end_changes_nothing() {
        let with_cr =
            |text: &str| text.lines().map(|line| format!("{line}\r\n")).collect::<String>();
        for (text, whom) in [
            (STORM, storm()),
            (TERSE, subject("@wa48655:lab.local", "DEVW")),
            (LEGACY, subject("@wa48655:lab.local", "DEVW")),
        ] {
            let (_folder, plain) = file(text);
            let (_other, path) = file(&with_cr(text));
            let (plain, read) = (go(plain, &whom, day()), go(path, &whom, day()));
            assert_eq!(read.state, State::Found);
            let (plain, read) = (plain.log.unwrap(), read.log.unwrap());
            assert!(read.refusals() > 0 && read.distrusted.is_empty());
            assert_eq!(read.refusals(), plain.refusals());
            assert_eq!(read.accepted.keys, plain.accepted.keys);
            assert_eq!(read.coverage[0].visible, plain.coverage[0].visible);
        }
    }

    #[test]
    fn what_docker_wrapped_is_not_empty() {
        let quoted = |line: &str| serde_json::to_string(&format!("{line}\n")).unwrap();
        let wrapped = |text: &str| -> String {
            let time = "\"time\":\"2026-11-22T11:30:55.123456789Z\"";
            text.lines()
                .map(|line| format!("{{\"log\":{},\"stream\":\"stderr\",{time}}}\n", quoted(line)))
                .collect()
        };
        let no_number: String = STORM
            .lines()
            .map(|line| line.splitn(4, " - ").collect::<Vec<_>>())
            .filter(|parts| parts.len() == 4)
            .map(|parts| format!("{} - {} - {}\n", parts[0], parts[1], parts[3]))
            .collect();
        for (text, word) in [
            (wrapped(STORM), "docker's json-file"),
            (wrapped(TERSE), "docker's json-file"),
            (no_number, "line number"),
        ] {
            let (_folder, path) = file(&text);
            match go(path, &storm(), day()).state {
                State::Failed(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let (folder, path) = file("");
        let missing = folder.path().join("none.log");
        let odd = folder.path().join("odd.txt");
        fs::write(&odd, "hello\nworld\n").unwrap();
        let journal = folder.path().join("journal.log");
        fs::write(&journal, JOURNAL).unwrap();
        for (path, word) in [
            (path, "is empty"),
            (missing, "does not exist"),
            (folder.path().to_owned(), "is a directory"),
            (odd, "no line in a format"),
            (journal, "for the journal"),
        ] {
            match go(path, &storm(), day()).state {
                State::Failed(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_deadline_keeps_what_was_read() {
        let (_folder, path) = file(STORM);
        let reading = read_at_most(
            MOST,
            (&source(path), &[]),
            &asked(&storm(), day()),
            &AtomicBool::new(true),
        );
        assert!(matches!(reading.state, State::Failed(why) if why.contains("deadline")));
        assert!(!reading.log.unwrap().coverage[0].whole);
    }

    #[test]
    fn a_wrong_file_is_not_an_empty_one() {
        let (_folder, path) = file(STORM);
        let late = span("2026-11-23T00:00:00Z", "2026-11-23T01:00:00Z");
        let reading = go(path.clone(), &storm(), late);
        assert!(matches!(reading.state, State::Failed(why) if why.contains("no line of the time")));
        let other = subject("@nobody:lab.local", "X");
        let within = span("2026-11-22T11:30:55Z", "2026-11-22T11:31:04Z");
        let reading = go(path, &other, within);
        assert_eq!(reading.state, State::Empty);
        assert!(reading.log.unwrap().coverage[0].whole);
    }

    #[test]
    fn json_in_a_text_log_is_a_client_s() {
        // A login's name may be megabytes of lines: reading may well start among them.
        let (_folder, path) = file(&[PRECISE, &TERSE.repeat(200)].concat());
        let late = span("2026-11-22T12:59:00Z", "2026-11-23T00:00:00Z");
        let reading = go(path, &subject("@wa48655:lab.local", "DEVW"), late);
        assert!(reading.log.is_none_or(|log| log.coverage[0].format == Format::Text));
    }

    #[test]
    fn no_file_is_read_twice() {
        let (folder, path) = file(STORM);
        let other = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            source(path)
        };
        let of_worker = STORM.split_once('\n').unwrap().1;
        let of_before = of_worker.split_once('\n').unwrap().1;
        let (older, worker) =
            (other("homeserver.log.1", of_before), other("worker1.log", of_worker));
        // A copy, and one from before the log grew on, would count each refusal again.
        let early = STORM.get(..STORM.len() / 2).unwrap();
        let copies = [other("before.log", early), other("copy.log", STORM)];
        let link = folder.path().join("link.log");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let gone = source(folder.path().join("gone.log"));
        let all = [older.clone(), source(path.clone()), worker.clone(), source(link), gone.clone()];
        let left: Vec<_> = distinct(&all).iter().map(|source| &source.path).collect();
        assert_eq!(left, [&path, &worker.path, &gone.path]);
        let all = [copies[0].clone(), source(path.clone()), copies[1].clone(), worker.clone()];
        let left: Vec<_> = distinct(&all).iter().map(|source| &source.path).collect();
        assert_eq!(left, [&path, &worker.path]);
        assert_eq!(distinct(&[older]).len(), 1);
    }

    #[test]
    fn rotated_files_are_read_in_order() {
        let lines: Vec<_> = STORM.lines().collect();
        let (first, rest) = lines.split_at(lines.len() / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        let (folder, path) = file(&format!("{}\n", third.join("\n")));
        let older = folder.path().join("homeserver.log.2.gz");
        let mut gzip = flate2::write::GzEncoder::new(
            fs::File::create(older).unwrap(),
            flate2::Compression::fast(),
        );
        gzip.write_all(format!("{}\n", first.join("\n")).as_bytes()).unwrap();
        gzip.finish().unwrap();
        let middle = folder.path().join("homeserver.log.1");
        fs::write(middle, format!("{}\n", second.join("\n"))).unwrap();
        fs::write(folder.path().join("homeserver.log.2026-11-20"), "torn").unwrap();
        let log = go(path, &storm(), day()).log.unwrap();
        assert_eq!(log.refusals(), 30);
        assert_eq!(log.distrusted, []);
        assert!(log.coverage[0].notes.iter().any(|note| note.contains("no record with a time")));
    }

    /// A day of a quiet request each second, with one upload in the middle.
    fn long_day(offset: i64) -> String {
        let from: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut text = String::new();
        for second in 0..86_400i64 {
            let at = from.as_millisecond() + second * 1000;
            let wall = Timestamp::from_millisecond(at + offset * 3_600_000).unwrap();
            let wall = TimeZone::UTC.to_datetime(wall).strftime("%Y-%m-%d %H:%M:%S,000");
            if second % 3600 == 1800 {
                let device = if second == 45_000 { "HERE" } else { "ELSE" };
                text.push_str(&format!(
                    "{wall} - synapse.handlers.e2e_keys - 955 - INFO - POST-{second} - Adding \
                     one_time_keys dict_keys(['signed_curve25519:AAAAAAAAAA0']) for device '{device}' \
                     for user '@u:s.org' at {at}\n"
                ));
            }
            let uri = if second % 3600 == 1800 { "keys/upload" } else { "sync?since=1" };
            text.push_str(&format!(
                "{wall} - synapse.access.http.8008 - 643 - INFO - POST-{second} - 1.1.1.1 - 8008 - \
                 {{@u:s.org}} Processed request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) db=(0.0sec/0.0sec/0) 1B \
                 200 \"POST /_matrix/client/v3/{uri} HTTP/1.1\" \"a\" [0 dbevts]\n"
            ));
        }
        text
    }

    #[test]
    fn a_window_is_found_by_its_time() {
        for offset in [0, -5, 9] {
            let (_folder, path) = file(&long_day(offset));
            let window = span("2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z");
            let log = go(path, &subject("@u:s.org", "HERE"), window).log.unwrap();
            assert_eq!(log.accepted.keys, 1, "{offset}");
            let coverage = &log.coverage[0];
            assert!(coverage.whole);
            assert!(coverage.lines < 20_000, "{}", coverage.lines);
            let (first, last) = coverage.span.unwrap();
            assert_eq!((first, last), (window.from, window.to));
        }
    }

    #[test]
    fn the_command_can_be_pasted() {
        let subject = subject("@u:s.org", "a'b \u{202e}$(reboot)");
        let query = query::of_keys(Path::new("/var/log/it's.log"), &subject);
        let lines: Vec<_> = query.lines().collect();
        assert_eq!(
            lines[1..],
            [
                r" -e 'for user '\''@u:s.org'\'' at' \",
                r" -e 'for @u:s.org:a'\''b ' \",
                r" -- '/var/log/it'\''s.log'",
            ]
        );
    }
}
