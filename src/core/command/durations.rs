//! A length of time as people write it → a `Duration` within the bounds of what takes it.

use std::time::Duration;

use super::tokens::{Word, joined};
use super::usage_error::{UsageError, in_quotes};
use crate::question::{LONGEST_DAYS, LONGEST_WINDOW};

/// The longest live watch: it reads the database fifty times a second.
const LONGEST_LIVE: Duration = Duration::from_secs(5 * 60);

/// The lengths of time that a command takes.
pub(super) struct Lengths {
    /// Where nothing is said.
    pub(super) unsaid: Duration,
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    /// Lengths as they are written.
    pub(super) examples: &'static str,
    /// The start of a sentence: what can last how long.
    pub(super) bounds: String,
}

/// `[for] 30m`, within what a command takes.
pub(super) fn length(words: &[Word], lengths: &Lengths) -> Result<Duration, UsageError> {
    let rest = match words {
        [] => return Ok(lengths.unsaid),
        [word, rest @ ..] if word.is_bare() && word.text.eq_ignore_ascii_case("for") => rest,
        rest => rest,
    };
    let Some(seconds) = seconds(&joined(rest)) else {
        return Err(UsageError::new(format!(
            "{} is not a length of time. Examples: {}.",
            in_quotes(&joined(words)),
            lengths.examples
        )));
    };
    let length = Duration::from_secs(seconds);
    if (lengths.shortest..=lengths.longest).contains(&length) {
        return Ok(length);
    }
    Err(UsageError::new(format!("{}, not {}.", lengths.bounds, in_quotes(&joined(rest)))))
}

/// The length of a window: `30m`, `1h30m`, `90 s`, `3d`, `1w`.
pub(super) fn duration(text: &str) -> Result<Duration, UsageError> {
    let Some(total) = seconds(text) else {
        return Err(UsageError::new(format!(
            "{} is not a length of time. Examples: 90s, 30m, 2h, 1h30m, 3d, 1w.",
            in_quotes(text)
        )));
    };
    match Duration::from_secs(total) {
        Duration::ZERO => Err(empty_window()),
        long if long > LONGEST_WINDOW => Err(window_too_long()),
        length => Ok(length),
    }
}

/// The length of a live watch.
pub(super) fn live_watch(text: &str) -> Result<Duration, UsageError> {
    let length = duration(text)?;
    if length > LONGEST_LIVE {
        return Err(UsageError::new(
            "A live watch can last 5 minutes at most. Start another one after it.",
        ));
    }
    Ok(length)
}

pub(super) fn empty_window() -> UsageError {
    UsageError::new("The window is empty: its start and end are the same.")
}

pub(super) fn window_too_long() -> UsageError {
    UsageError::new(format!("The window is too long: the maximum is {LONGEST_DAYS} days."))
}

/// A length of time in seconds, unbounded.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let mut rest = text.as_str();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = match rest[..digits].parse() {
            Ok(number) => number,
            // `last hour` is one hour; only at the very front, so that `2h foo` stays an error.
            Err(_) if digits == 0 && rest.len() == text.len() => 1,
            Err(_) => return None,
        };
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit = match (&rest[..letters], digits) {
            // Without a number a single letter is no word.
            (letter, 0) if letter.len() == 1 => return None,
            ("s" | "sec" | "secs" | "second" | "seconds", _) => 1,
            ("m" | "min" | "mins" | "minute" | "minutes", _) => 60,
            ("h" | "hr" | "hrs" | "hour" | "hours", _) => 60 * 60,
            ("d" | "day" | "days", _) => 24 * 60 * 60,
            ("w" | "week" | "weeks", _) => 7 * 24 * 60 * 60,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_people_write_them() {
        for (text, wanted) in [
            ("30m", 1_800),
            ("2h", 7_200),
            ("1h30m", 5_400),
            ("1h 30 min", 5_400),
            ("90 s", 90),
            ("3d", 259_200),
            ("1w", 604_800),
            ("24h", 86_400),
            ("24 Hours", 86_400),
            ("hour", 3_600),
            ("31d", 2_678_400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(wanted)), "{text}");
        }
        for text in [
            "",
            " ",
            "30",
            "m",
            "h30",
            "0m",
            "-5m",
            "32d",
            "1y",
            "5 5m",
            "1.5h",
            "2h foo",
            "99999999999999999999d",
            "18446744073709551615w",
            "٣٠m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
