//! Window words → a `Span`. Only spans that can be looked at come out: not in the future, not empty,
//! not longer than `LONGEST_DAYS`.

use std::time::Duration;

use jiff::Timestamp;

use super::tokens::Word;
use super::usage_error::{Slip, shown};
use super::written_time::{self, moment, spelled, typed};
use super::{Context, Span};

/// The longest window, in days. Synapse keeps three rotated logs by default and few sites keep more
/// than a month; a longer window would only read long.
pub const LONGEST_DAYS: u64 = 31;

const LONGEST: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 60 * 60);

/// The lengths of time that a command takes.
pub(super) struct Lengths {
    /// Where nothing is said.
    pub(super) unsaid: Duration,
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    /// Lengths as they are written.
    pub(super) written: &'static str,
    /// What lasts how long.
    pub(super) bounds: String,
}

/// `[for] 30m`, within what a command takes.
pub(super) fn length(words: &[Word], of: &Lengths) -> Result<Duration, Slip> {
    let rest = match words {
        [] => return Ok(of.unsaid),
        [word, rest @ ..] if word.is_bare() && word.text.eq_ignore_ascii_case("for") => rest,
        rest => rest,
    };
    let Some(seconds) = seconds(&joined(rest)) else {
        return Err(Slip::new(format!(
            "I cannot read {} as a length of time. Write {}.",
            shown(&joined(words)),
            of.written
        )));
    };
    let length = Duration::from_secs(seconds);
    match (of.shortest..=of.longest).contains(&length) {
        true => Ok(length),
        false => Err(Slip::new(format!("{}; {} does not.", of.bounds, shown(&joined(rest))))),
    }
}

/// The words as one text.
pub(super) fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Whether a window begins here, where a device could stand too.
pub(super) fn opens(word: &Word) -> bool {
    word.is_bare() && matches!(keyword(&word.text).as_str(), "last" | "since" | "between" | "from")
}

/// The window that all of `words` spell.
pub(super) fn span(words: &[Word], context: &Context<'_>) -> Result<Span, Slip> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(Span::Unsaid);
    };
    if rest.is_empty() && opens(first) {
        return Err(Slip::new(format!(
            "{} alone is no window: a time is missing. If a device is called that, put it in quotes.",
            shown(&first.text)
        )));
    }
    let keyword = keyword(&first.text);
    match keyword.as_str() {
        _ if !first.is_bare() => bare(words),
        "last" => Ok(Span::Last(duration(&typed(rest))?)),
        "between" => match cut(rest) {
            Some((from, to)) => between(from, to, context),
            None => Err(Slip::new("A window between two times needs an “and”.")),
        },
        "since" | "from" => match cut(rest) {
            Some((from, to)) => between(from, to, context),
            None => since(rest, context),
        },
        _ => bare(words),
    }
}

/// `30m`, `1h30m`, `90 s`, `3d`, `1w`.
pub(super) fn duration(text: &str) -> Result<Duration, Slip> {
    let typed = shown(text);
    let total = seconds(text).ok_or_else(|| {
        Slip::new(format!(
            "I cannot read {typed} as a length of time. Write 90s, 30m, 2h, 1h30m, 3d or 1w."
        ))
    })?;
    match Duration::from_secs(total) {
        Duration::ZERO => Err(Slip::new("A window of no length holds nothing.")),
        long if long > LONGEST => Err(too_long()),
        length => Ok(length),
    }
}

/// The word as a keyword: `--last` is how a terminal writes it, and phones make `—last` of that.
fn keyword(text: &str) -> String {
    spelled(text).trim_start_matches('-').to_owned()
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
            // `last hour` is one hour; only at the very front, so that `2h foo` stays a slip.
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

/// The two sides of `and`, `to`, `until` or a dash that stands alone.
fn cut(words: &[Word]) -> Option<(&[Word], &[Word])> {
    let at = words.iter().position(|word| {
        matches!(spelled(&word.text).as_str(), "and" | "to" | "until" | "till" | "-")
    })?;
    Some((&words[..at], &words[at + 1..]))
}

/// A window's end, which is not ahead.
pub(super) fn ended(words: &[Word], context: &Context<'_>) -> Result<Timestamp, Slip> {
    let end = moment(words, None, context)?;
    if end > context.now { Err(ahead(end, words, context)) } else { Ok(end) }
}

fn since(words: &[Word], context: &Context<'_>) -> Result<Span, Slip> {
    let from = moment(words, None, context)?;
    not_ahead(from, words, context)?;
    not_too_long(from, context.now)?;
    Ok(Span::Since(from))
}

fn between(from: &[Word], to: &[Word], context: &Context<'_>) -> Result<Span, Slip> {
    let start = moment(from, None, context)?;
    not_ahead(start, from, context)?;
    let end = moment(to, Some(start), context)?;
    if end > context.now {
        return Err(ahead(end, to, context));
    }
    if end <= start {
        return Err(Slip::new(format!(
            "{} is not after {}: that is {} and {}.",
            shown(&typed(to)),
            shown(&typed(from)),
            written_time::told(end, context),
            written_time::told(start, context),
        )));
    }
    not_too_long(start, end)?;
    Ok(Span::Between(start, end))
}

/// Words that are no window: a length alone is taken as one, the rest is a slip.
fn bare(words: &[Word]) -> Result<Span, Slip> {
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if words.iter().all(Word::is_bare) && seconds(&text).is_some() {
        return Ok(Span::Last(duration(&text)?));
    }
    Err(Slip::new(format!(
        "I do not know what {} means after the device. A device id with spaces goes in quotes.",
        shown(&text)
    )))
}

fn not_ahead(time: Timestamp, words: &[Word], context: &Context<'_>) -> Result<(), Slip> {
    if time < context.now {
        return Ok(());
    }
    Err(ahead(time, words, context))
}

fn ahead(time: Timestamp, words: &[Word], context: &Context<'_>) -> Slip {
    Slip::new(format!(
        "{} is {}, and that is not past yet: it is {} now.",
        shown(&typed(words)),
        written_time::told(time, context),
        written_time::told(context.now, context),
    ))
}

fn not_too_long(from: Timestamp, to: Timestamp) -> Result<(), Slip> {
    let length = to.duration_since(from).unsigned_abs();
    if length > LONGEST { Err(too_long()) } else { Ok(()) }
}

fn too_long() -> Slip {
    Slip::new(format!(
        "That window is longer than {LONGEST_DAYS} days, and I do not look at more at once."
    ))
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
