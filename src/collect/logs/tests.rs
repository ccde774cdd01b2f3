//! Real logs of each format, cut, planted and rotated → what is read of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tempfile::TempDir;

use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use kestrel_core::evidence::{About, KeyLog, Need, State, Subject, Window};

use super::answers::{MOST, read_at_most};
use super::*;
use crate::config::LogSource;
use kestrel_core::evidence::key_log::Format;

const STORM: &str = include_str!("../../../tests/fixtures/log/ke1-eviction-storm.log");
const TERSE: &str = include_str!("../../../tests/fixtures/log/main.terse.jsonl");
const PLAIN_JSON: &str = include_str!("../../../tests/fixtures/log/main.json.jsonl");
const GCP: &str = include_str!("../../../tests/fixtures/log/main.gcp.jsonl");
const PRECISE: &str = include_str!("../../../tests/fixtures/log/main.precise.log");
const LEGACY: &str = include_str!("../../../tests/fixtures/log/main.legacy.log");
const DOCKER: &str = include_str!("../../../tests/fixtures/log/main.docker.log");
const JOURNAL: &str = include_str!("../../../tests/fixtures/log/main.journalfmt.log");

pub(super) fn source(path: PathBuf) -> LogSource {
    LogSource { name: "main".into(), path, timezone: None }
}

pub(super) fn subject(user: &str, device: &str) -> Subject {
    Subject { user: user.try_into().unwrap(), device: device.into() }
}

pub(super) fn day() -> Window {
    span("2026-11-22T00:00:00Z", "2026-11-22T23:00:00Z")
}

fn span(from: &str, to: &str) -> Window {
    Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

pub(super) fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("homeserver.log");
    fs::write(&path, text).unwrap();
    (folder, path)
}

pub(super) fn go(path: PathBuf, subject: &Subject, window: Window) -> LogReading {
    let asked = asked(subject, window);
    read_at_most(MOST, (&source(path), &[]), &asked, &AtomicBool::new(false))
}

fn asked(subject: &Subject, window: Window) -> LogQuestion {
    LogQuestion { about: About::Device(subject.clone()), window, needs: &[Need::KeyLog] }
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
        let siblings = same_host::others_in_folder(&worker, all);
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
    assert!(reading.what.starts_with("30 uploads rejected, 1 upload accepted"));
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
    let window = day();
    let stop = AtomicBool::new(false);
    let whole = read_at_most(MOST, (&source, &[]), &asked(&storm(), window), &stop).log.unwrap();
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
    assert!(log.coverage[0].notes.iter().any(|note| note.contains("request IDs")));
}

#[test]
fn a_carriage_return_at_each_line_s_end_changes_nothing() {
    let with_cr = |text: &str| text.lines().map(|line| format!("{line}\r\n")).collect::<String>();
    for (text, whom) in [
        (STORM, storm()),
        (TERSE, subject("@wa48655:lab.local", "DEVW")),
        (LEGACY, subject("@wa48655:lab.local", "DEVW")),
    ] {
        let (_folder, plain) = file(text);
        let (_other, path) = file(&with_cr(text));
        let plain = go(plain, &whom, day());
        let read = go(path, &whom, day());
        assert_eq!(read.state, State::Found);
        let plain = plain.log.unwrap();
        let read = read.log.unwrap();
        assert!(read.refusals() > 0 && read.distrusted.is_empty());
        assert_eq!(read.refusals(), plain.refusals());
        assert_eq!(read.accepted.keys, plain.accepted.keys);
        assert_eq!(read.coverage[0].visible, plain.coverage[0].visible);
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
        (odd, "no line in a Synapse format"),
        (journal, "`journalctl -o json --all`"),
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
    let reading =
        read_at_most(MOST, (&source(path), &[]), &asked(&storm(), day()), &AtomicBool::new(true));
    assert!(matches!(reading.state, State::Failed(why) if why.contains("deadline")));
    assert!(!reading.log.unwrap().coverage[0].whole);
}

#[test]
fn a_wrong_file_is_not_an_empty_one() {
    let (_folder, path) = file(STORM);
    let late = span("2026-11-23T00:00:00Z", "2026-11-23T01:00:00Z");
    let reading = go(path.clone(), &storm(), late);
    assert!(
        matches!(reading.state, State::Failed(why) if why.contains("no line in the requested window"))
    );
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
    let older = other("homeserver.log.1", of_before);
    let worker = other("worker1.log", of_worker);
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
    let query = grep_command::for_keys(Path::new("/var/log/it's.log"), &subject);
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

/// Four hours, a line a second and an upload every half minute, by a clock so many hours ahead of UTC in the first half,
/// and in the second.
fn four_hours(first: i64, second_half: i64) -> String {
    let begin: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    let mut text = String::new();
    for second in 0..4 * 3600 {
        let at = begin + jiff::SignedDuration::from_secs(second);
        let ahead = if second < 2 * 3600 { first } else { second_half };
        let stamp = (at + jiff::SignedDuration::from_hours(ahead))
            .strftime("%Y-%m-%d %H:%M:%S,000")
            .to_string();
        if second % 30 == 0 {
            text.push_str(&format!(
                "{stamp} - synapse.handlers.e2e_keys - 955 - INFO - POST-{second} - Adding one_time_keys \
                 dict_keys(['signed_curve25519:AAAAAAAAAA0']) for device 'DEV' for user '@a:s.org' at {}\n",
                at.as_millisecond()
            ));
        }
        text.push_str(&format!(
            "{stamp} - synapse.access.http.8008 - 643 - INFO - POST-{second} - 192.0.2.7 - 8008 - {{@a:s.org}} \
             Processed request: 0.024sec/0.000sec ru=(0.005sec, 0.000sec) db=(0.007sec/0.011sec/3) 518B 200 \
             \"POST /_matrix/client/v3/keys/upload HTTP/1.1\" \"Element/1.12.3\" [0 dbevts]\n"
        ));
    }
    text
}

#[test]
fn a_window_reads_little_more_than_itself() {
    let window = span("2026-11-22T10:00:00Z", "2026-11-22T10:15:00Z");
    let whom = subject("@a:s.org", "DEV");
    for (ahead, timezone) in
        [(0, Some(TimeZone::UTC)), (0, None), (2, None), (2, Some(TimeZone::UTC))]
    {
        let (_folder, path) = file(&four_hours(ahead, ahead));
        let source = LogSource { timezone: timezone.clone(), ..source(path) };
        let asked = asked(&whom, window);
        let read = read_at_most(MOST, (&source, &[]), &asked, &AtomicBool::new(false));
        let log = read.log.unwrap();
        assert_eq!(log.accepted.keys, 31, "{ahead} {timezone:?}");
        assert!(log.coverage[0].lines < 2000, "{ahead} {timezone:?}: {}", log.coverage[0].lines);
    }
    // The zone repeats an hour in the window: an hour before it is read too.
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let night = span("2026-10-25T01:10:00Z", "2026-10-25T01:20:00Z");
    let clock = kestrel_core::synapse_log::zone::Clock::new(Some(zone));
    assert!(clock.may_jump(night.from.as_millisecond() - 3_600_000, night.to.as_millisecond()));
}

/// The hour from 11 to 12 by the log's clock comes twice, and nothing but the uploads tells which is which.
#[test]
fn a_window_in_a_repeated_hour_is_whole() {
    let (_folder, path) = file(&four_hours(2, 1));
    let whom = subject("@a:s.org", "DEV");
    for (from, to) in
        [("09:10", "09:25"), ("09:50", "10:05"), ("10:10", "10:25"), ("11:10", "11:25")]
    {
        let window = span(&format!("2026-11-22T{from}:00Z"), &format!("2026-11-22T{to}:00Z"));
        let log = go(path.clone(), &whom, window).log.unwrap();
        assert_eq!(log.accepted.keys, 31, "{from}");
    }
}
