//! A record's first bytes → its logger and level. Runs on every record of a window, so it parses no message.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::evidence::visibility::Logger;
use crate::synapse_log::record::STAMP;

/// What a record's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// At INFO or DEBUG.
    pub info: bool,
    pub logger: Option<Logger>,
    /// `***** STARTING SERVER *****`.
    pub starts: bool,
    /// Of the logger that writes the lines of a start.
    pub of_start: bool,
}

/// A logger's name, a line number and a level take no more.
const LONGEST: usize = 256;
const START: &[u8] = b"***** STARTING SERVER *****";

impl Head {
    /// `STAMP - LOGGER - LINE - LEVEL - …`, the line number may be missing; none where the record is written otherwise.
    pub(crate) fn text(line: &[u8], prefix: usize) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = line.get(prefix + STAMP..)?.strip_prefix(b" - ")?;
        let head = &rest[..rest.len().min(LONGEST)];
        let (logger, head) = field(head)?;
        let (number, rest_of_head) = field(head)?;
        let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
        let level = if is_number { field(rest_of_head)?.0 } else { number };
        Self::from_parts(logger, level, || rest.ends_with(START))
    }

    /// `{"log":…,"namespace":LOGGER,"level":LEVEL,…}` and its kin. Quotes inside a message are escaped, so the
    /// keys cannot be part of one.
    pub(crate) fn json(line: &[u8]) -> Option<Self> {
        static LEVEL: LazyLock<[Finder; 2]> =
            LazyLock::new(|| [Finder::new("\"level\":\""), Finder::new("\"severity\":\"")]);
        static LOGGER: LazyLock<[Finder; 2]> =
            LazyLock::new(|| [Finder::new("\"namespace\":\""), Finder::new("\"logger\":\"")]);
        let level = value(line, &LEVEL)?;
        let logger = value(line, &LOGGER)?;
        Self::from_parts(logger, level, || memchr::memmem::find(line, START).is_some())
    }

    fn from_parts(logger: &[u8], level: &[u8], starts: impl Fn() -> bool) -> Option<Self> {
        let info = match level {
            b"INFO" | b"DEBUG" => true,
            b"WARNING" | b"ERROR" | b"CRITICAL" => false,
            _ => return None,
        };
        let of_start = matches!(logger, b"synapse.config.logger" | b"root");
        let starts = !info && of_start && starts();
        let logger = match logger {
            b"synapse.handlers.e2e_keys" => Some(Logger::E2eKeys),
            b"synapse.http.server" => Some(Logger::HttpServer),
            access if access.starts_with(b"synapse.access.") => Some(Logger::Access),
            _ => None,
        };
        Some(Self { info, logger, starts, of_start })
    }
}

/// The bytes before the next ` - `, and those after it.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut dashes = memchr::memchr_iter(b'-', text);
    let at = dashes.find(|at| {
        *at > 0 && text[at - 1] == b' ' && text.get(at + 1).is_none_or(|next| *next == b' ')
    })?;
    Some((text[..at].trim_ascii(), text.get(at + 2..).unwrap_or_default()))
}

/// The string behind the first of these keys that the line has.
fn value<'a>(line: &'a [u8], keys: &[Finder; 2]) -> Option<&'a [u8]> {
    let (at, key) = keys.iter().find_map(|key| Some((key.find(line)?, key)))?;
    let rest = &line[at + key.needle().len()..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synapse_log::record::{Shape, shape};

    const FORMATS: [&str; 6] = [
        include_str!("../../../../tests/fixtures/log/main.precise.log"),
        include_str!("../../../../tests/fixtures/log/main.legacy.log"),
        include_str!("../../../../tests/fixtures/log/main.docker.log"),
        include_str!("../../../../tests/fixtures/log/main.terse.jsonl"),
        include_str!("../../../../tests/fixtures/log/main.json.jsonl"),
        include_str!("../../../../tests/fixtures/log/main.gcp.jsonl"),
    ];

    fn head(line: &str) -> Option<Head> {
        match shape(line.as_bytes()) {
            Shape::Text { prefix, .. } => Head::text(line.as_bytes(), prefix),
            Shape::Json { prefix } => Head::json(&line.as_bytes()[prefix..]),
            Shape::Journal | Shape::Other => None,
        }
    }

    #[test]
    fn every_format_s_heads_are_read() {
        for text in FORMATS {
            let heads: Vec<_> = text.lines().filter_map(head).collect();
            let of = |logger| heads.iter().filter(|head| head.logger == Some(logger)).count();
            assert_eq!((of(Logger::E2eKeys), of(Logger::Access)), (3, 6), "{}", &text[..60]);
            assert!(of(Logger::HttpServer) >= 1 && heads.iter().any(|head| head.info));
            // Windows line ends change nothing.
            let with_cr = text.lines().filter_map(|line| head(&format!("{line}\r"))).count();
            assert_eq!(with_cr, heads.len());
        }
    }

    #[test]
    fn a_start_and_its_level_are_read() {
        let start = "2026-11-27 17:41:47,326 - synapse.config.logger - 377 - WARNING - main - ***** STARTING SERVER *****";
        let head = |line: &str| super::tests::head(line).unwrap();
        assert!(head(start).starts && !head(start).info);
        assert!(head(&format!("{start}\r")).starts);
        // Synapse 1.100 starts by the root logger.
        assert!(head(&start.replace("synapse.config.logger", "root")).starts);
        let json = r#"{"log":"***** STARTING SERVER *****","namespace":"synapse.config.logger","level":"WARNING","time":1.5}"#;
        assert!(head(json).starts);
        let quoted = r#"{"log":"x \"level\":\"INFO\" \"namespace\":\"synapse.http.server\"","namespace":"synapse.config.logger","level":"WARNING"}"#;
        assert_eq!((head(quoted).info, head(quoted).logger), (false, None));
    }

    #[test]
    fn another_format_is_not_taken_for_synapse_s() {
        for odd in [
            // Neither a line number nor a level.
            "2026-11-22 06:57:35,688 - synapse.handlers.auth - POST-1 - Auth completed",
            r#"{"log":"2026-11-22 06:57:35,688 - synapse.handlers.auth - 1 - INFO - a - b\n","stream":"stderr","time":"2026-11-22T06:57:35.688Z"}"#,
            "2026-11-22 06:57:35,688 - ",
            "{\"level\":\"INFO",
        ] {
            assert_eq!(head(odd), None, "{odd}");
        }
    }
}
