//! A terminal's flags and words → what the same words in a room would give.
//!
//! A device needs no reading: the shell has already removed its quotes.

use std::time::Duration;

use jiff::Timestamp;
use ruma::OwnedUserId;

use super::cases::{CaseAction, case, cases};
use super::context::Context;
use super::durations::{duration, live_watch};
use super::html::Piece;
use super::ids::user_id;
use super::storms::{MuteTarget, mute, unmute};
use super::tokens::{Word, split};
use super::usage_error::{UsageError, in_quotes};
use super::window::{ended, span};
use super::written_time::time;
use crate::question::Span;

/// The window that `kestrel triage` was given.
#[derive(Debug, Clone, Copy)]
pub struct WindowFlags<'a> {
    pub last: Option<&'a str>,
    pub since: Option<&'a str>,
    pub until: Option<&'a str>,
}

/// Reads the window. With it comes the reference time: `--until`, else now.
pub fn window(
    flags: &WindowFlags<'_>,
    context: &Context<'_>,
) -> Result<(Span, Timestamp), UsageError> {
    let now = match flags.until {
        Some(text) => ended(&words(text)?, context)?,
        None => context.now,
    };
    let context = Context { now, ..*context };
    if let (Some(from), Some(until)) = (flags.since, flags.until)
        && time(&words(from)?, None, &context)? >= now
    {
        return Err(UsageError::new(format!(
            "--since {} is not before --until {}.",
            in_quotes(from),
            in_quotes(until)
        )));
    }
    let span = match (flags.last, flags.since) {
        (Some(length), _) => Span::Last(duration(length)?),
        (None, Some(from)) => span(&words(&format!("since {from}"))?, &context)?,
        (None, None) => Span::Unsaid,
    };
    Ok((span, now))
}

/// Reads a user as a flag gives one.
pub fn user(text: &str, context: &Context<'_>) -> Result<OwnedUserId, UsageError> {
    match words(text)?.as_slice() {
        [user] => user_id(user, context),
        _ => Err(UsageError::new("A user is one word, for example @alice:example.org.")),
    }
}

/// Reads a length of time.
pub fn length(text: &str) -> Result<Duration, UsageError> {
    duration(text)
}

/// Reads the length of a live watch.
pub fn live(text: &str) -> Result<Duration, UsageError> {
    live_watch(text)
}

/// Reads `NUMBER [why | delete]`.
pub fn case_words(text: &str) -> Result<(u64, CaseAction), UsageError> {
    case(&words(text)?)
}

/// Reads `[@user]`.
pub fn cases_words(text: &str, context: &Context<'_>) -> Result<Option<OwnedUserId>, UsageError> {
    cases(&words(text)?, context)
}

/// Reads `STORM | @user | all [TIME]`.
pub fn mute_words(text: &str, context: &Context<'_>) -> Result<(MuteTarget, Duration), UsageError> {
    mute(&words(text)?, context)
}

/// Reads `[STORM | @user | all]`; `None` where nothing is named.
pub fn unmute_words(text: &str, context: &Context<'_>) -> Result<Option<MuteTarget>, UsageError> {
    unmute(&words(text)?, context)
}

fn words(text: &str) -> Result<Vec<Word>, UsageError> {
    split(&[Piece::Text(text.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_after_its_start_and_before_now() {
        let zone = jiff::tz::TimeZone::UTC;
        let now = "2026-11-22T12:00:00Z".parse().expect("a time");
        let context = Context { server_name: None, zone: &zone, now };
        let error =
            |since, until| window(&WindowFlags { last: None, since, until }, &context).map(|_| ());
        let ahead = error(None, Some("2030-01-01")).expect_err("the future").to_string();
        assert!(ahead.contains("in the future"), "{ahead}");
        let turned = error(Some("2026-11-20 11:00"), Some("2026-11-20 10:00"));
        assert!(turned.expect_err("turned around").to_string().contains("not before"));
        assert_eq!(error(None, Some("now")), Ok(()));
    }

    #[test]
    fn the_window_ends_at_until() {
        let zone = jiff::tz::TimeZone::UTC;
        let now = "2026-11-22T12:00:00Z".parse().expect("a time");
        let context = Context { server_name: None, zone: &zone, now };
        let flags = WindowFlags {
            last: None,
            since: Some("2026-11-20 09:00"),
            until: Some("2026-11-20T11:00:00+01:00"),
        };
        let (span, end) = window(&flags, &context).expect("flags");
        assert_eq!(end.to_string(), "2026-11-20T10:00:00Z");
        assert_eq!(span, Span::Since("2026-11-20T09:00:00Z".parse().expect("a time")));
    }

    #[test]
    fn the_words_of_a_room_are_read_the_same() {
        let context = super::super::context::tests::epoch();
        let alice = ruma::user_id!("@alice:example.org").to_owned();
        let two_hours = Duration::from_secs(7200);
        assert_eq!(cases_words("alice", &context), Ok(Some(alice.clone())));
        assert_eq!(cases_words("", &context), Ok(None));
        assert_eq!(case_words("17 why"), Ok((17, CaseAction::Why)));
        assert_eq!(mute_words("storm 7 2h", &context), Ok((MuteTarget::Storm(7), two_hours)));
        assert_eq!(unmute_words("", &context), Ok(None));
        assert_eq!(unmute_words("alice", &context), Ok(Some(MuteTarget::User(alice))));
        assert!(mute_words("", &context).is_err());
    }
}
