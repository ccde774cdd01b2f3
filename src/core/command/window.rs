//! The words of a window → a `Span`. Only spans that can be looked at come out: not in the future, not empty,
//! not longer than a month.

use jiff::Timestamp;

use super::context::Context;
use super::durations::{duration, empty_window, seconds, window_too_long};
use super::tokens::{Word, joined};
use super::usage_error::{UsageError, in_quotes};
use super::written_time::{in_words, spelled, time};
use crate::question::{LONGEST_WINDOW, Span};

/// Whether a window begins here, where a device could be too.
pub(super) fn opens(word: &Word) -> bool {
    word.is_bare() && matches!(keyword(&word.text).as_str(), "last" | "since" | "between" | "from")
}

/// The window that all of `words` spell.
pub(super) fn span(words: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(Span::Unsaid);
    };
    if !first.is_bare() {
        return bare(words);
    }
    if rest.is_empty() && opens(first) {
        return Err(UsageError::new(format!(
            "{} needs a time after it. If it is a device ID, quote it.",
            in_quotes(&first.text)
        )));
    }
    let keyword = keyword(&first.text);
    match keyword.as_str() {
        "last" => Ok(Span::Last(duration(&joined(rest))?)),
        "between" => match cut(rest) {
            Some((from, to)) => between(from, to, context),
            None => Err(UsageError::new("A window between two times needs the word “and”.")),
        },
        "since" | "from" => match cut(rest) {
            Some((from, to)) => between(from, to, context),
            None => since(rest, context),
        },
        _ => bare(words),
    }
}

/// The word as a keyword: `--last` is how a terminal writes it, and phones make `—last` of that.
fn keyword(text: &str) -> String {
    spelled(text).trim_start_matches('-').to_owned()
}

/// The two sides of `and`, `to`, `until` or a dash on its own.
fn cut(words: &[Word]) -> Option<(&[Word], &[Word])> {
    let at = words.iter().position(|word| {
        matches!(spelled(&word.text).as_str(), "and" | "to" | "until" | "till" | "-")
    })?;
    Some((&words[..at], &words[at + 1..]))
}

/// A window's end, which is not ahead.
pub(super) fn ended(words: &[Word], context: &Context<'_>) -> Result<Timestamp, UsageError> {
    let end = time(words, None, context)?;
    not_ahead(end, words, context)?;
    Ok(end)
}

fn since(words: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let from = time(words, None, context)?;
    not_ahead(from, words, context)?;
    if from == context.now {
        return Err(empty_window());
    }
    not_too_long(from, context.now)?;
    Ok(Span::Since(from))
}

fn between(from: &[Word], to: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let start = time(from, None, context)?;
    not_ahead(start, from, context)?;
    let end = time(to, Some(start), context)?;
    not_ahead(end, to, context)?;
    if end == start {
        return Err(empty_window());
    }
    if end < start {
        return Err(UsageError::new(format!(
            "The window ends before it starts: {} is {}, and {} is {}.",
            in_quotes(&joined(from)),
            in_words(start, context),
            in_quotes(&joined(to)),
            in_words(end, context),
        )));
    }
    not_too_long(start, end)?;
    Ok(Span::Between(start, end))
}

/// Words that are no window: a length alone is taken as one, the rest is an error.
fn bare(words: &[Word]) -> Result<Span, UsageError> {
    let text = joined(words);
    if words.iter().all(Word::is_bare) && seconds(&text).is_some() {
        return Ok(Span::Last(duration(&text)?));
    }
    Err(UsageError::new(format!(
        "Unexpected words: {}. Examples of a window: last 30m, since 14:30. An ID with spaces needs quotes.",
        in_quotes(&text)
    )))
}

fn not_ahead(at: Timestamp, words: &[Word], context: &Context<'_>) -> Result<(), UsageError> {
    if at <= context.now {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "{} is {}, which is in the future. The current time is {}.",
        in_quotes(&joined(words)),
        in_words(at, context),
        in_words(context.now, context),
    )))
}

fn not_too_long(from: Timestamp, to: Timestamp) -> Result<(), UsageError> {
    let length = to.duration_since(from).unsigned_abs();
    if length > LONGEST_WINDOW { Err(window_too_long()) } else { Ok(()) }
}
