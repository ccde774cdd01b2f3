//! The words of a window → a `Span`. Only spans that can be looked at come out: not in the future, not empty,
//! not longer than a month.

use jiff::Timestamp;

use super::context::Context;
use super::durations::{duration, empty_window, seconds, window_too_long};
use super::tokens::Word;
use super::usage_error::{UsageError, in_quotes};
use super::written_time::{in_words, spelled, time, typed};
use crate::question::{LONGEST_WINDOW, Span};

/// Whether a window begins here, where a device could stand too.
pub(super) fn opens(word: &Word) -> bool {
    word.is_bare() && matches!(keyword(&word.text).as_str(), "last" | "since" | "between" | "from")
}

/// The window that all of `words` spell.
pub(super) fn span(words: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(Span::Unsaid);
    };
    if rest.is_empty() && opens(first) {
        return Err(UsageError::new(format!(
            "{} needs a time after it. If it is a device ID, quote it.",
            in_quotes(&first.text)
        )));
    }
    let keyword = keyword(&first.text);
    match keyword.as_str() {
        _ if !first.is_bare() => bare(words),
        "last" => Ok(Span::Last(duration(&typed(rest))?)),
        "between" => match cut(rest) {
            Some((from, to)) => between(from, to, context),
            None => Err(UsageError::new("A window between two times needs “and”.")),
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

/// The two sides of `and`, `to`, `until` or a dash that stands alone.
fn cut(words: &[Word]) -> Option<(&[Word], &[Word])> {
    let at = words.iter().position(|word| {
        matches!(spelled(&word.text).as_str(), "and" | "to" | "until" | "till" | "-")
    })?;
    Some((&words[..at], &words[at + 1..]))
}

/// A window's end, which is not ahead.
pub(super) fn ended(words: &[Word], context: &Context<'_>) -> Result<Timestamp, UsageError> {
    let end = time(words, None, context)?;
    if end > context.now { Err(ahead(end, words, context)) } else { Ok(end) }
}

fn since(words: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let from = time(words, None, context)?;
    not_ahead(from, words, context)?;
    not_too_long(from, context.now)?;
    Ok(Span::Since(from))
}

fn between(from: &[Word], to: &[Word], context: &Context<'_>) -> Result<Span, UsageError> {
    let start = time(from, None, context)?;
    not_ahead(start, from, context)?;
    let end = time(to, Some(start), context)?;
    if end > context.now {
        return Err(ahead(end, to, context));
    }
    if end == start {
        return Err(empty_window());
    }
    if end < start {
        return Err(UsageError::new(format!(
            "The window ends before it starts: {} is {}, and {} is {}.",
            in_quotes(&typed(from)),
            in_words(start, context),
            in_quotes(&typed(to)),
            in_words(end, context),
        )));
    }
    not_too_long(start, end)?;
    Ok(Span::Between(start, end))
}

/// Words that are no window: a length alone is taken as one, the rest is a slip.
fn bare(words: &[Word]) -> Result<Span, UsageError> {
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if words.iter().all(Word::is_bare) && seconds(&text).is_some() {
        return Ok(Span::Last(duration(&text)?));
    }
    Err(UsageError::new(format!(
        "Unexpected words: {}. A device ID with spaces needs quotes.",
        in_quotes(&text)
    )))
}

fn not_ahead(from: Timestamp, words: &[Word], context: &Context<'_>) -> Result<(), UsageError> {
    if from < context.now { Ok(()) } else { Err(ahead(from, words, context)) }
}

fn ahead(at: Timestamp, words: &[Word], context: &Context<'_>) -> UsageError {
    UsageError::new(format!(
        "{} is {}, which is in the future. It is {} now.",
        in_quotes(&typed(words)),
        in_words(at, context),
        in_words(context.now, context),
    ))
}

fn not_too_long(from: Timestamp, to: Timestamp) -> Result<(), UsageError> {
    let length = to.duration_since(from).unsigned_abs();
    if length > LONGEST_WINDOW { Err(window_too_long()) } else { Ok(()) }
}
