//! A time as people write it → a timestamp, read against a given now and zone. Where a clock change makes a time
//! of day mean none or two, it asks and does not guess.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::context::Context;
use super::tokens::{Word, joined};
use super::usage_error::{UsageError, in_quotes};

/// A window that ends at an earlier time of day than it begins runs over midnight, if it is not longer
/// than this; a longer one is more likely a typing error.
const LONGEST_NIGHT: SignedDuration = SignedDuration::from_hours(12);

/// The time that all of `words` spell. A bare time of day is the one that follows `start`; without a
/// start it is the last time the clock showed it.
pub(super) fn time(
    words: &[Word],
    start: Option<Timestamp>,
    context: &Context<'_>,
) -> Result<Timestamp, UsageError> {
    let text = spelled(&joined(words));
    match text.as_str() {
        "" => return Err(UsageError::new("A time is missing.")),
        "now" => return Ok(context.now),
        _ => {}
    }
    // With an offset the text is complete; without one jiff rejects it.
    if let Ok(time) = text.to_uppercase().replace(" +", "+").parse::<Timestamp>() {
        return Ok(time);
    }
    let (text, zone) = match utc_suffix(&text) {
        Some(text) => (text, TimeZone::UTC),
        None => (text.as_str(), context.zone.clone()),
    };
    let now = context.now.to_zoned(zone);
    match day_and_time(text, &now) {
        Some((Some(day), Some(time))) => at(day, time, &now),
        Some((Some(day), None)) => Ok(start_of(day, &now)),
        Some((None, Some(time))) => match start {
            Some(start) => following(start, time, &now),
            None => last_shown(time, &now),
        },
        _ => Err(UsageError::new(format!(
            "{} is not a time. Examples: 14:30, yesterday 14:30, 2026-11-22 14:30, 2026-11-22, 2026-11-22T14:30:00Z.",
            in_quotes(&joined(words))
        ))),
    }
}

/// A time for a sentence, in the room's zone.
pub(super) fn in_words(at: Timestamp, context: &Context<'_>) -> String {
    at.to_zoned(context.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// What was typed as it is compared: small letters, plain dashes.
pub(super) fn spelled(text: &str) -> String {
    plain_dashes(text).to_lowercase()
}

/// Dashes that phones put in place of a hyphen, and the typographer's minus.
pub(super) fn plain_dashes(text: &str) -> String {
    text.replace(
        ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'],
        "-",
    )
}

/// The text before `utc` or `z`.
fn utc_suffix(text: &str) -> Option<&str> {
    let before = text
        .strip_suffix("utc")
        .or_else(|| text.strip_suffix("gmt"))
        .or_else(|| text.strip_suffix('z'))?
        .trim_end();
    before.ends_with(|c: char| c.is_ascii_digit()).then_some(before)
}

/// The date and the time of day; at least one of them, and nothing left over.
fn day_and_time(text: &str, now: &Zoned) -> Option<(Option<Date>, Option<Time>)> {
    if let Some(time) = clock(text) {
        return Some((None, Some(time)));
    }
    let word = text.find(' ').unwrap_or(text.len());
    let (first, rest) = match text.get(..10).filter(|_| word > 10) {
        Some(date) if text[10..].starts_with('t') => (date, &text[11..]),
        _ => text.split_at(word),
    };
    let day = match first {
        "today" => now.date(),
        "yesterday" => now.date().yesterday().ok()?,
        date => iso_date(date)?,
    };
    let rest = rest.trim();
    let rest = rest.strip_prefix("at ").unwrap_or(rest);
    if rest.is_empty() {
        return Some((Some(day), None));
    }
    Some((Some(day), Some(clock(rest)?)))
}

/// `2026-11-22` and no other order: 11/12 is two dates.
fn iso_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let digits = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i16>().ok()).flatten()
    };
    let year = part(4)?;
    let month = part(2)?;
    let day = part(2)?;
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `14:30`, `9:05:07`, `14:30:05,123` as Synapse's log writes it, `2:30pm`, `2 pm`.
fn clock(text: &str) -> Option<Time> {
    let (text, half) = if let Some(text) = text.strip_suffix("am") {
        (text.trim_end(), Some(0))
    } else if let Some(text) = text.strip_suffix("pm") {
        (text.trim_end(), Some(12))
    } else {
        (text, None)
    };
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let hour = two_digits(parts.next()?)?;
    let minute = parts.next().map(two_digits);
    let second = parts.next().map(two_digits);
    let bare_hour = minute.is_none() && half.is_none();
    let stray_fraction = second.is_none() && text.len() > whole.len();
    if parts.next().is_some() || bare_hour || stray_fraction {
        return None;
    }
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    let minute = minute.unwrap_or(Some(0))?;
    let second = second.unwrap_or(Some(0))?;
    Time::new(hour, minute, second, nanoseconds(fraction)?).ok()
}

fn two_digits(text: &str) -> Option<i8> {
    let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

/// The last time the clock showed `time`: today, or yesterday if it is still to come.
fn last_shown(time: Time, now: &Zoned) -> Result<Timestamp, UsageError> {
    let today = at(now.date(), time, now);
    match (&today, now.date().yesterday()) {
        (Ok(moment), Ok(yesterday)) if *moment >= now.timestamp() => at(yesterday, time, now),
        _ => today,
    }
}

/// `time` on the date of `start`, or just past the midnight after it.
fn following(start: Timestamp, time: Time, now: &Zoned) -> Result<Timestamp, UsageError> {
    let date = start.to_zoned(now.time_zone().clone()).date();
    let same_day = at(date, time, now)?;
    let Ok(tomorrow) = date.tomorrow() else {
        return Ok(same_day);
    };
    if same_day > start {
        return Ok(same_day);
    }
    let next = at(tomorrow, time, now)?;
    let night = next <= now.timestamp() && next.duration_since(start) <= LONGEST_NIGHT;
    Ok(if night { next } else { same_day })
}

fn at(day: Date, time: Time, now: &Zoned) -> Result<Timestamp, UsageError> {
    let when = day.to_datetime(time);
    let zone = now.time_zone();
    let ambiguous = zone.to_ambiguous_timestamp(when);
    let name = zone.iana_name().unwrap_or("the configured zone");
    let written = when.strftime("%Y-%m-%d %H:%M:%S");
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous
            .unambiguous()
            .map_err(|_| UsageError::new(format!("{written} is out of range."))),
        AmbiguousOffset::Gap { .. } => Err(UsageError::new(format!(
            "The time {written} does not exist in {name}: the clocks went forward over it. Write an earlier or a later time."
        ))),
        AmbiguousOffset::Fold { before, after } => Err(UsageError::new(format!(
            "The time {written} occurred twice in {name}: the clocks went back. Write {} or {}.",
            with_offset(when, before),
            with_offset(when, after),
        ))),
    }
}

fn with_offset(when: DateTime, offset: Offset) -> String {
    match offset.to_timestamp(when) {
        Ok(time) => {
            let time = time.to_zoned(TimeZone::fixed(offset));
            time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
        Err(_) => when.to_string(),
    }
}

/// Midnight, or the first moment of a day that has none.
fn start_of(day: Date, now: &Zoned) -> Timestamp {
    match day.to_zoned(now.time_zone().clone()) {
        Ok(start) => start.start_of_day().map_or(start.timestamp(), |first| first.timestamp()),
        Err(_) => Timestamp::MIN,
    }
}
