//! One line of Synapse's log → a record: when, which logger, which request, what.
//!
//! Knows the text formats (default, Debian, Docker, the older one without a space after the request
//! id, one without the line number) and the three JSON formats, each also behind a container's `NAME | `. Never interprets the
//! message; `log_message` does. The journal's format has no time of its own and is only recognised.

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

use crate::evidence::key_log::Format;

/// A record's time as the line writes it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Wall clock of the server's zone, counted as if it were UTC.
    Local(i64),
    Utc(i64),
    /// Synapse's plain JSON formatter writes no time.
    Unknown,
}

/// One record; multi-line records are seen by their first line.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    pub stamp: Stamp,
    pub logger: Cow<'a, str>,
    pub level: Cow<'a, str>,
    /// `METHOD-n`, or a client's text where `request_id_header` is set; none outside a request.
    pub request: Option<Cow<'a, str>>,
    pub message: Cow<'a, str>,
    pub format: Format,
    /// What JSON says beside the message.
    pub extras: Extras,
}

/// The request's own fields, in JSON formats only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    pub requester: Option<String>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub method: Option<String>,
    pub url: Option<String>,
    /// The type of the exception that was logged.
    pub exception: Option<String>,
}

/// What a line looks like from its first characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A record of a text format; the offset is where its time starts (after a worker's prefix).
    Text { prefix: usize, local: i64 },
    /// One object; the offset is where it starts (after a container's prefix).
    Json { prefix: usize },
    /// `logger: [request] message`, made for the journal: no time.
    Journal,
    /// A continuation, or a format that is not known.
    Other,
}

/// How long a worker's name in front of a line may be.
const PREFIX: usize = 64;
/// `2026-11-22 11:54:42,953`
pub(crate) const STAMP: usize = 23;
/// … and up to its seconds.
const MINUTE: usize = 17;

/// The minute of the last record: thousands of lines may be of one.
#[derive(Debug, Default)]
pub struct Minute {
    /// `2026-11-22 11:54:`, and when that was; none before the first.
    newest: Option<([u8; MINUTE], i64)>,
}

impl Minute {
    /// `shape` of the next line.
    pub fn shape(&mut self, line: &[u8]) -> Shape {
        if let Some((text, began)) = &self.newest
            && line.starts_with(text)
            && let Some(within) = within_minute(line)
        {
            return Shape::Text { prefix: 0, local: began + within };
        }
        let shape = shape(line);
        if let Shape::Text { prefix: 0, local } = shape
            && let (Some(within), Some((text, _))) = (within_minute(line), line.split_first_chunk())
        {
            self.newest = Some((*text, local - within));
        }
        shape
    }
}

/// Looks at the first characters only: this runs on every line of a log.
pub fn shape(line: &[u8]) -> Shape {
    if let Some(local) = local_time(line) {
        return Shape::Text { prefix: 0, local };
    }
    if line.starts_with(b"{\"") {
        return Shape::Json { prefix: 0 };
    }
    let prefix = prefix(line);
    if prefix > 0 {
        if let Some(local) = local_time(&line[prefix..]) {
            return Shape::Text { prefix, local };
        }
        if line[prefix..].starts_with(b"{\"") {
            return Shape::Json { prefix };
        }
    }
    if (line.starts_with(b"synapse.") || line.starts_with(b"twisted"))
        && line[..line.len().min(PREFIX)].windows(3).any(|three| three == b": [")
    {
        return Shape::Journal;
    }
    Shape::Other
}

/// The length of a process's name in front of a line, `NAME | `; zero where there is none.
pub(crate) fn prefix(line: &[u8]) -> usize {
    let head = &line[..line.len().min(PREFIX)];
    let Some(at) = head.windows(3).position(|three| three == b" | ") else { return 0 };
    let plain = head[..at].trim_ascii_end().iter().all(u8::is_ascii_graphic);
    if plain { at + 3 } else { 0 }
}

/// Reads `YYYY-MM-DD HH:MM:SS,mmm - ` at the start; a `.` before the milliseconds is taken too.
fn local_time(line: &[u8]) -> Option<i64> {
    let within = within_minute(line)?;
    let stamp = &line[..MINUTE];
    if stamp[4] != b'-' || stamp[7] != b'-' || stamp[13] != b':' || stamp[16] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| number(&stamp[from..to]);
    let year = number(0, 4)?;
    let month = number(5, 7)?;
    let day = number(8, 10)?;
    let hour = number(11, 13)?;
    let minute = number(14, 16)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9990).contains(&year) {
        return None;
    }
    if hour > 23 || minute > 59 || !matches!(stamp[10], b' ' | b'T') {
        return None;
    }
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute;
    Some(minutes * 60_000 + within)
}

/// The milliseconds of `SS,mmm -`, which is behind the minute.
fn within_minute(line: &[u8]) -> Option<i64> {
    let rest = line.get(MINUTE..STAMP + 2)?;
    if !matches!(rest[2], b',' | b'.') || rest[6..] != *b" -" {
        return None;
    }
    let second = number(&rest[..2]).filter(|second| *second <= 60)?;
    Some(second * 1000 + number(&rest[3..6])?)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970-01-01 of the Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The time of a JSON line, without parsing it whole. Inside a JSON string a quote is escaped, so the
/// key cannot be part of a message.
pub fn json_time(line: &[u8]) -> Option<i64> {
    const KEY: &[u8] = b"\"time\":";
    static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(KEY));
    let at = FINDER.find(line)? + KEY.len();
    let rest = line[at..].trim_ascii_start();
    let end = rest.get(1..)?.iter().position(|b| matches!(b, b',' | b'}'))? + 1;
    let text = std::str::from_utf8(&rest[..end]).ok()?.trim();
    epoch(&serde_json::from_str(text).ok()?)
}

fn epoch(time: &Value) -> Option<i64> {
    match time {
        Value::Number(seconds) => {
            let milliseconds = seconds.as_f64()? * 1000.0;
            (milliseconds.abs() < 1e15).then_some(milliseconds.round() as i64)
        }
        Value::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
        _ => None,
    }
}

/// Whether a JSON line names a logger: every record of Synapse's does, and no carrier's object.
pub(crate) fn names_logger(line: &[u8]) -> bool {
    static KEYS: LazyLock<[Finder; 2]> =
        LazyLock::new(|| [Finder::new("\"namespace\":"), Finder::new("\"logger\":")]);
    KEYS.iter().any(|key| key.find(line).is_some())
}

/// The time of the record that a line starts; `None` where it starts none.
pub fn stamp(line: &[u8]) -> Option<Stamp> {
    match shape(line) {
        Shape::Text { local, .. } => Some(Stamp::Local(local)),
        Shape::Json { prefix } => {
            Some(json_time(&line[prefix..]).map_or(Stamp::Unknown, Stamp::Utc))
        }
        Shape::Journal | Shape::Other => None,
    }
}

/// Whether a text record is an access line, and its request id: as much as every line is looked at.
pub fn access_request(line: &[u8], prefix: usize) -> Option<&[u8]> {
    let rest = line[prefix + STAMP..].strip_prefix(b" - synapse.access.")?;
    // Within what a logger's name and a request id may take.
    let rest = &rest[..rest.len().min(512)];
    let mut dashes = memchr::memchr_iter(b'-', rest).filter(|at| rest.get(at + 1) == Some(&b' '));
    let number = dashes.next()? + 2;
    // A format without the line number has the level there.
    let bare = |level: &&str| rest[number..].trim_ascii_start().starts_with(level.as_bytes());
    let before = usize::from(!LEVELS.iter().any(bare));
    let id = dashes.nth(before)? + 2;
    let end = dashes.next()?;
    Some(rest.get(id..end)?.trim_ascii())
}

/// Characters that are shown of a line in no known format.
const SHOWN: usize = 40;
/// A longer word may be a token or a key: the file may be anything.
const WORD: usize = 16;

/// The first characters of a line, for a person who looks for it.
pub(crate) fn beginning(line: &[u8]) -> String {
    let text = text(&line[..line.len().min(4 * SHOWN)]);
    let shown = text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let shown: String = shown.collect();
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '[' | ']' | '{' | '}' | ',' | ';');
    let words = shown.split_inclusive(ends).map(|word| {
        let is_long = word.trim_end_matches(ends).chars().count() > WORD;
        if is_long { "… " } else { word }
    });
    words.collect()
}

/// `str::split_once`, for short marks that are near: it builds no search.
pub(crate) fn cut<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    // The second byte of ` - ` is rarer than the first.
    let rare = usize::from(mark.starts_with(' ') && mark.len() > 1);
    let bytes = text.as_bytes();
    let fits = |at: &usize| *at >= rare && starts_with(&bytes[at - rare..], mark.as_bytes());
    let at = memchr::memchr_iter(mark.as_bytes()[rare], bytes).find(fits)? - rare;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// The same as the slice's own, without a call for a few bytes.
fn starts_with(text: &[u8], mark: &[u8]) -> bool {
    text.len() >= mark.len() && text.iter().zip(mark).all(|(one, other)| one == other)
}

/// `str::rsplit_once`, for short marks that are near the end.
pub(crate) fn cut_last<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (bytes, first) = (text.as_bytes(), *mark.as_bytes().first()?);
    let mut end = bytes.len();
    loop {
        let at = memchr::memrchr(first, &bytes[..end])?;
        if starts_with(&bytes[at..], mark.as_bytes()) {
            return Some((&text[..at], &text[at + mark.len()..]));
        }
        end = at;
    }
}

/// A line as text; bytes that are no UTF-8 are replaced.
pub fn text(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(line),
    }
}

/// The levels of Python's logging.
const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

impl<'a> Record<'a> {
    /// Reads one line; `None` where it starts no record.
    /// A carriage return at its end, as a copy made on Windows has, is no part of it.
    pub fn parse(line: &'a str) -> Option<Self> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match shape(line.as_bytes()) {
            Shape::Text { prefix, local } => Self::text(line.get(prefix + STAMP..)?, local),
            Shape::Json { prefix } => Self::json(line.get(prefix..)?),
            Shape::Journal | Shape::Other => None,
        }
    }

    fn text(rest: &'a str, local: i64) -> Option<Self> {
        let rest = rest.strip_prefix(" - ")?;
        let (logger, rest) = cut(rest, " - ")?;
        let (first, behind) = cut(rest, " - ")?;
        let is_bare = LEVELS.contains(&first.trim());
        let (level, rest) = if is_bare { (first, behind) } else { cut(behind, " - ")? };
        // `REQUEST - message`, or `REQUEST- message` of the older format.
        let (request, message) = cut(rest, "- ")?;
        let request = request.trim();
        Some(Self {
            stamp: Stamp::Local(local),
            logger: Cow::Borrowed(logger.trim()),
            level: Cow::Borrowed(level.trim()),
            request: (!request.is_empty()).then_some(Cow::Borrowed(request)),
            message: Cow::Borrowed(message.trim_start()),
            format: Format::Text,
            extras: Extras::default(),
        })
    }

    /// Reads `logger: [request] message`, the form for the journal, which has neither time nor level.
    pub fn journal(line: &'a str) -> Option<Self> {
        let (logger, rest) = line.split_once(": [")?;
        let (request, message) = rest.split_once("] ")?;
        Some(Self {
            stamp: Stamp::Unknown,
            logger: Cow::Borrowed(logger),
            level: Cow::Borrowed(""),
            request: (!request.is_empty()).then_some(Cow::Borrowed(request)),
            message: Cow::Borrowed(message),
            format: Format::Json,
            extras: Extras::default(),
        })
    }

    fn json(line: &'a str) -> Option<Self> {
        let json: Json<'a> = serde_json::from_str(line).ok()?;
        Some(Self {
            stamp: match &json.time {
                Some(time) => epoch(time).map_or(Stamp::Unknown, Stamp::Utc),
                None => Stamp::Unknown,
            },
            logger: json.logger?,
            level: json.level.unwrap_or_default(),
            request: json.request,
            message: json.message?,
            format: Format::Json,
            extras: Extras {
                requester: json.requester,
                ip: json.ip_address,
                user_agent: json.user_agent,
                method: json.method,
                url: json.url,
                exception: json.exc_type,
            },
        })
    }
}

/// Synapse's TerseJson, Json and Gcp records.
#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow, alias = "log")]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "namespace")]
    logger: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "severity")]
    level: Option<Cow<'a, str>>,
    time: Option<Value>,
    #[serde(borrow)]
    request: Option<Cow<'a, str>>,
    requester: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    method: Option<String>,
    url: Option<String>,
    exc_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [(&str, &str, usize); 7] = [
        ("precise", include_str!("../../../tests/fixtures/log/main.precise.log"), 8),
        ("legacy", include_str!("../../../tests/fixtures/log/main.legacy.log"), 8),
        ("docker", include_str!("../../../tests/fixtures/log/main.docker.log"), 8),
        ("terse", include_str!("../../../tests/fixtures/log/main.terse.jsonl"), 8),
        ("json", include_str!("../../../tests/fixtures/log/main.json.jsonl"), 8),
        ("gcp", include_str!("../../../tests/fixtures/log/main.gcp.jsonl"), 8),
        ("journal", include_str!("../../../tests/fixtures/log/main.journalfmt.log"), 0),
    ];

    #[test]
    fn every_format_says_the_same() {
        let (_, first, _) = FORMATS[0];
        let expected: Vec<_> = first.lines().filter_map(Record::parse).collect();
        assert!(expected.len() > 20);
        for (name, text, least) in FORMATS {
            let records: Vec<_> = text.lines().filter_map(Record::parse).collect();
            assert!(records.len() >= least, "{name}");
            for (record, expected) in records.iter().zip(&expected) {
                assert_eq!(record.logger, expected.logger, "{name}");
                // A newline in a device id ends the line in a text format only.
                let message = record.message.split('\n').next().unwrap();
                assert_eq!(message, expected.message, "{name}");
                assert!(
                    name == "gcp" || record.request == expected.request,
                    "{name}: {:?}",
                    record.request
                );
            }
        }
    }

    #[test]
    fn times_are_read() {
        let local = Stamp::Local(1_795_330_655_688);
        let cases = [
            (FORMATS[0].1, local),
            (FORMATS[1].1, local),
            (FORMATS[2].1, local),
            (FORMATS[3].1, Stamp::Utc(1_795_348_655_690)),
            (FORMATS[4].1, Stamp::Unknown),
            (FORMATS[5].1, Stamp::Utc(1_795_348_655_688)),
        ];
        for (text, expected) in cases {
            let line = text.lines().next().unwrap();
            assert_eq!(Record::parse(line).unwrap().stamp, expected, "{line}");
            if let Stamp::Utc(at) = expected {
                assert_eq!(json_time(line.as_bytes()), Some(at));
            }
        }
        assert_eq!(shape(FORMATS[6].1.as_bytes()), Shape::Journal);
    }

    /// The straightforward reading, which the quick one has to equal for every line.
    fn plain_shape(line: &[u8]) -> Shape {
        fn time(line: &[u8]) -> Option<i64> {
            let stamp = std::str::from_utf8(line.get(..STAMP)?).ok()?;
            line[STAMP..].starts_with(b" -").then_some(())?;
            let parts: Vec<&str> = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..23]
                .map(|at| stamp.get(at))
                .into_iter()
                .collect::<Option<_>>()?;
            let between: String =
                [4, 7, 10, 13, 16, 19].map(|at| line[at] as char).iter().collect();
            let digits = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            let marks = matches!(&*between, "-- ::," | "-- ::." | "--T::," | "--T::.");
            if !digits || !marks {
                return None;
            }
            let n: Vec<i64> = parts.iter().map(|part| part.parse().unwrap()).collect();
            let fits = (1970..=9990).contains(&n[0])
                && (1..=12).contains(&n[1])
                && (1..=31).contains(&n[2])
                && n[3] <= 23
                && n[4] <= 59
                && n[5] <= 60;
            let seconds = ((days(n[0], n[1], n[2]) * 24 + n[3]) * 60 + n[4]) * 60 + n[5];
            fits.then_some(seconds * 1000 + n[6])
        }
        match (time(line), shape(line)) {
            (Some(local), _) => Shape::Text { prefix: 0, local },
            (None, Shape::Text { prefix, .. }) => {
                assert_ne!(prefix, 0, "{line:?}");
                Shape::Text { prefix, local: time(&line[prefix..]).unwrap() }
            }
            (None, other) => other,
        }
    }

    fn shake(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 33) as usize % below
    }

    #[test]
    fn the_minute_s_memory_changes_nothing() {
        let mut state = 11;
        let starts = [
            "2026-11-22 11:54:42,953 - a",
            "2026-11-22T11:54:60.000 - a",
            "2026-02-31 23:59:59,999 - a",
            "0000-00-00 00:00:00,000 - a",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0000,000 - a",
            "w | 2026-11-22 11:54:42,953 - a",
            "{\"time\":1}",
        ];
        for _ in 0..200 {
            let mut minute = Minute::default();
            for _ in 0..400 {
                let mut line = starts[shake(&mut state, starts.len())].as_bytes().to_vec();
                for _ in 0..shake(&mut state, 3) {
                    let at = shake(&mut state, line.len());
                    match shake(&mut state, 4) {
                        0 => line.truncate(at),
                        1 => line.insert(at, b'0'),
                        2 => drop(line.remove(at)),
                        _ => line[at] = b"0123456789-: T,.|\0\xff"[shake(&mut state, 19)],
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                assert_eq!(minute.shape(&line), plain_shape(&line), "{:?}", text(&line));
            }
        }
    }

    /// As it was before it looked only once.
    fn plain_access(line: &[u8], prefix: usize) -> Option<&[u8]> {
        let rest = line[prefix + STAMP..].strip_prefix(b" - synapse.access.")?;
        let after = |rest: &'_ [u8]| rest.windows(2).position(|two| two == b"- ");
        let first = after(rest)? + 2;
        let second = first + after(&rest[first..])? + 2;
        let field = String::from_utf8_lossy(&rest[first..]).trim_start().to_owned();
        let bare = LEVELS.iter().any(|level| field.starts_with(level));
        let third = if bare { second } else { second + after(&rest[second..])? + 2 };
        let end = third + after(&rest[third..])?;
        (end < 256).then(|| rest[third..end].trim_ascii())
    }

    #[test]
    fn an_access_line_s_request_is_found_as_before() {
        let mut state = 5;
        let line = "2026-11-22 11:54:43,282 - synapse.access.http.8128 - 643 - INFO - POST-122 - 127.0.0.1 - 8128 - {None} Processed";
        for _ in 0..100_000 {
            let mut line = line.as_bytes().to_vec();
            for _ in 0..shake(&mut state, 4) {
                let at = STAMP + shake(&mut state, line.len() - STAMP);
                match shake(&mut state, 3) {
                    0 => line.truncate(at.max(STAMP + 2)),
                    1 => line.insert(at, b"- x"[shake(&mut state, 3)]),
                    _ => line[at] = b"- \xff1"[shake(&mut state, 4)],
                }
            }
            assert_eq!(access_request(&line, 0), plain_access(&line, 0), "{:?}", text(&line));
            // Whatever is taken for an access line is one for those who read it whole.
            let line = text(&line).into_owned();
            if let (Some(_), Some(record)) =
                (access_request(line.as_bytes(), 0), Record::parse(&line))
            {
                assert!(record.logger.starts_with("synapse.access."), "{line}");
            }
        }
    }

    #[test]
    fn compose_fills_names_up_to_one_width() {
        for name in ["synapse-1 | ", "generic_worker1   | "] {
            let line = format!("{name}2026-11-22 06:57:35,688 - a.b - 1 - INFO - POST-1 - hello");
            assert!(
                matches!(shape(line.as_bytes()), Shape::Text { prefix, .. } if prefix == name.len())
            );
            assert_eq!(Record::parse(&line).unwrap().message, "hello");
        }
        assert_eq!(shape(b"two words | 2026-11-22 06:57:35,688 - a"), Shape::Other);
    }

    #[test]
    fn a_custom_format_with_more_spaces_is_read() {
        let line = "2026-11-22 06:57:35,688 - synapse.http.server - 131 -  INFO - POST-1 -   hello";
        let record = Record::parse(line).unwrap();
        assert_eq!((&*record.level, &*record.message), ("INFO", "hello"));
    }
}
