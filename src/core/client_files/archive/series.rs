//! Names of an archive's files → which of them are parts of one log, and which part is the newest. Element X writes
//! one log per hour, Element Web numbers its logs from the newest on, other programs rotate theirs.
//!
//! A name is used only for its order and never stored.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::counted;

/// The position of a file among the parts of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The same for all parts of one log.
    series: u64,
    age: Age,
}

/// The newer one is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// Counted back from the newest part.
    Number(i64),
    /// Digits of a date and an hour, in the zone of the program that named the file.
    Date(i64),
}

/// One file of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in the archive, from 0 on.
    pub(crate) place: usize,
    part: Part,
    /// The unpacked size that the archive states, in bytes.
    pub(crate) size: u64,
    /// How many parts of its log are newer.
    pub(crate) rank: usize,
    /// Its name is that of a video or a picture: it is read after the others.
    unlikely: bool,
}

/// What is read of an archive, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) members: Vec<Member>,
    /// What is left out, for people.
    pub(crate) note: Option<String>,
}

impl Part {
    /// What the name says.
    pub(crate) fn from_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (folder, base) = name.rsplit_once(['/', '\\']).unwrap_or(("", name));
        let (rest, age) = dated(base).or_else(|| numbered(base)).unwrap_or((base.into(), ROOT));
        let mut series = DefaultHasher::new();
        (folder, rest).hash(&mut series);
        Self { series: series.finish(), age }
    }
}

/// A log that is rotated has no number itself.
const ROOT: Age = Age::Number(0);

impl Member {
    pub(crate) fn new(place: usize, name: &str, size: u64) -> Self {
        let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let unlikely = UNLIKELY.contains(&ending.as_str());
        Self { place, part: Part::from_name(name), size, rank: 0, unlikely }
    }

    pub(crate) fn series(&self) -> u64 {
        self.part.series
    }
}

/// Endings of files that users send along with their logs.
const UNLIKELY: &[&str] =
    &["png", "jpg", "jpeg", "gif", "webp", "heic", "mp4", "mov", "webm", "mkv", "pdf", "db", "bin"];

/// Chooses what is read: the newest parts of each log first, within a number of logs and of bytes. No part of a log
/// is read that is older than one that is left out.
pub(crate) fn chosen(mut all: Vec<Member>, files: usize, bytes: usize) -> Chosen {
    rank(&mut all);
    let mut logs = Vec::new();
    let mut left_out = Vec::new();
    let mut sum = 0u64;
    let mut members = Vec::new();
    let mut late = Vec::new();
    let mut other = 0u64;
    for member in all {
        let known = logs.contains(&member.series());
        if !known && logs.len() >= files {
            other += 1;
            continue;
        }
        if !known {
            logs.push(member.series());
        }
        // Whatever size it states, there is room for other files: what is really read is bounded too.
        let size = member.size.min(bytes as u64 / 2);
        if left_out.contains(&member.series()) || sum.saturating_add(size) > bytes as u64 {
            left_out.push(member.series());
            late.push(member);
            continue;
        }
        sum = sum.saturating_add(size);
        members.push(member);
    }
    let of_bytes = (!late.is_empty()).then(|| {
        let span = span(&late).map(|span| format!(" ({span} by their names)")).unwrap_or_default();
        format!("{} were not read{span}: only the newest were", count(late.len() as u64))
    });
    let of_files = (other > 0)
        .then(|| format!("{} were not read: the limit is {files} files per report", count(other)));
    let notes: Vec<_> = [of_bytes, of_files].into_iter().flatten().collect();
    Chosen { members, note: (!notes.is_empty()).then(|| notes.join("; ")) }
}

fn count(files: u64) -> String {
    counted(files, "more file")
}

/// Sorts the files: the newest part of each log, then the second newest of each, and so on.
fn rank(all: &mut [Member]) {
    all.sort_by_key(|member| (member.series(), std::cmp::Reverse(member.part.age), member.place));
    let mut newer: HashMap<u64, usize> = HashMap::new();
    for member in all.iter_mut() {
        let rank = newer.entry(member.series()).or_default();
        member.rank = *rank;
        *rank += 1;
    }
    all.sort_by_key(|member| (member.unlikely, member.rank, member.place));
}

/// The first and the last hour of files that are named by a date.
fn span(members: &[Member]) -> Option<String> {
    let dates = || {
        members.iter().filter_map(|member| match member.part.age {
            Age::Date(date) => Some(date),
            Age::Number(_) => None,
        })
    };
    let words = |date: i64| {
        let day = date / 1_000_000;
        let hour = date / 10_000 % 100;
        let year = day / 10_000;
        let month = day / 100 % 100;
        let day = day % 100;
        format!("{year:04}-{month:02}-{day:02} {hour:02}h")
    };
    let first = dates().min()?;
    let last = dates().max()?;
    Some(if first == last { words(first) } else { format!("{} to {}", words(first), words(last)) })
}

/// `logs.2026-11-22-10.log`: what is left without the date, and the date.
fn dated(base: &str) -> Option<(String, Age)> {
    let found = DATE.captures(base)?;
    let digits = |name: &str| -> i64 {
        found.name(name).and_then(|digits| digits.as_str().parse().ok()).unwrap_or(0)
    };
    let names = ["year", "month", "day", "hour", "minute", "second"];
    let date = names.iter().fold(0, |date, name| date * 100 + digits(name));
    let whole = found.get(0)?;
    Some((format!("{}#{}", &base[..whole.start()], &base[whole.end()..]), Age::Date(date)))
}

/// `logs-0003.log`, `console.log.2`, `console.2.log`: the higher the number, the older the part.
fn numbered(base: &str) -> Option<(String, Age)> {
    let found = NUMBER.captures(base)?;
    let number = (1..found.len()).find_map(|group| found.get(group))?;
    let age: i64 = number.as_str().parse().ok()?;
    let before = &base[..number.start()];
    let after = &base[number.end()..];
    // `console.log.2` and `console.2.log` follow `console.log`.
    let before = before.strip_suffix('.').unwrap_or(before);
    Some((format!("{before}{after}"), Age::Number(-age)))
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is fixed text"))
}

static DATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?P<year>20[0-9]{2})[-_.]?(?P<month>[01][0-9])[-_.]?(?P<day>[0-3][0-9])",
        r"(?:[-_.t ]?(?P<hour>[0-2][0-9])(?:[-_.:h]?(?P<minute>[0-5][0-9])(?:[-_.:m]?(?P<second>[0-5][0-9]))?)?)?"
    ))
});
/// Rageshake's own names, and what log rotation makes.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^logs?-([0-9]{1,4})\.log$|\.([0-9]{1,3})$|\.([0-9]{1,3})\.(?:log|txt)$")
});

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str]) -> Vec<(usize, usize)> {
        let members = names.iter().enumerate().map(|(place, name)| Member::new(place, name, 1));
        let chosen = chosen(members.collect(), 99, 1 << 20);
        assert_eq!(chosen.note, None);
        chosen.members.iter().map(|member| (member.place, member.rank)).collect()
    }

    #[test]
    fn the_newest_part_of_each_log_comes_first() {
        // Element X, as a folder lists it.
        let hours = ["logs.2026-11-22-09.log", "logs.2026-11-22-10.log", "logs.2026-11-21-23.log"];
        assert_eq!(order(&hours), [(1, 0), (0, 1), (2, 2)]);
        // The rageshake server, which packs each.
        let web = ["details.json", "logs-0002.log.gz", "logs-0000.log.gz", "logs-0010.log.gz"];
        assert_eq!(order(&web), [(0, 0), (2, 0), (1, 1), (3, 2)]);
        let rotated = ["console.log.2", "console.log", "console.log.1"];
        assert_eq!(order(&rotated), [(1, 0), (2, 1), (0, 2)]);
        let ios = ["console.1.log", "console.log"];
        let two = ["a/logs-0.log", "b/logs-1.log", "c"];
        assert_eq!(
            (order(&ios), order(&two)),
            (vec![(1, 0), (0, 1)], vec![(0, 0), (1, 0), (2, 0)])
        );
    }

    #[test]
    fn what_does_not_fit_is_the_oldest_and_is_told() {
        let hour = |hour| format!("logs.2026-11-22-{hour:02}.log");
        let members: Vec<_> = (0..24).map(|n| Member::new(n, &hour(n), 100)).collect();
        let chosen = chosen(members, 16, 1000);
        let places: Vec<_> = chosen.members.iter().map(|member| member.place).collect();
        assert_eq!(places, (14..24).rev().collect::<Vec<_>>());
        let note = chosen.note.unwrap();
        assert!(note.starts_with("14 more files were not read"), "{note}");
        assert!(note.contains("2026-11-22 00h to 2026-11-22 13h"), "{note}");
        let many: Vec<_> = (0..20).map(|n| Member::new(n, &format!("a{n}"), 1)).collect();
        let chosen = super::chosen(many, 16, 1000);
        assert_eq!(chosen.members.len(), 16);
        assert!(chosen.note.unwrap().contains("4 more files"));
        // A file cannot exclude others by the size that it states.
        let film = vec![Member::new(0, "film.mp4", u64::MAX), Member::new(1, "console.log", 10)];
        let chosen = super::chosen(film, 16, 1000);
        let places: Vec<_> = chosen.members.iter().map(|member| member.place).collect();
        assert_eq!(places, [1, 0]);
    }
}
