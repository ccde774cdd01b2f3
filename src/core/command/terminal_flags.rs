//! A terminal's flags → what the same words in a room would give.
//!
//! A device needs no reading: the shell has already undone its quotes.

use std::time::Duration;

use jiff::Timestamp;
use ruma::OwnedUserId;

use super::ids::user_id;
use super::message::Piece;
use super::questions::bounded;
use super::tokens::{Word, split};
use super::usage_error::{self, Slip};
use super::window as spans;
use super::{Context, Span, written_time};

/// The window that `kestrel triage` was given.
#[derive(Debug, Clone, Copy)]
pub struct Flags<'a> {
    pub last: Option<&'a str>,
    pub since: Option<&'a str>,
    pub until: Option<&'a str>,
}

/// Reads the window. With it comes the reference time: `--until`, else now.
pub fn window(flags: &Flags<'_>, context: &Context<'_>) -> Result<(Span, Timestamp), Slip> {
    let now = match flags.until {
        Some(text) => spans::ended(&words(text)?, context)?,
        None => context.now,
    };
    let context = Context { now, ..*context };
    if let (Some(from), Some(until)) = (flags.since, flags.until)
        && written_time::moment(&words(from)?, None, &context)? >= now
    {
        return Err(Slip::new(format!(
            "--since {} is not before --until {}.",
            usage_error::shown(from),
            usage_error::shown(until)
        )));
    }
    let span = match (flags.last, flags.since) {
        (Some(length), _) => Span::Last(spans::duration(length)?),
        (None, Some(from)) => spans::span(&words(&format!("since {from}"))?, &context)?,
        (None, None) => Span::Unsaid,
    };
    Ok((span, now))
}

/// Reads a user as a flag gives one.
pub fn user(text: &str, context: &Context<'_>) -> Result<OwnedUserId, Slip> {
    match words(text)?.as_slice() {
        [user] => user_id(user, context),
        _ => Err(Slip::new("The user is one word, as in @alice:example.org.")),
    }
}

/// Reads a length of time.
pub fn length(text: &str) -> Result<Duration, Slip> {
    spans::duration(text)
}

/// Reads the length of a live watch.
pub fn live(text: &str) -> Result<Duration, Slip> {
    bounded(spans::duration(text)?)
}

fn words(text: &str) -> Result<Vec<Word>, Slip> {
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
        let slip = |since, until| window(&Flags { last: None, since, until }, &context).map(|_| ());
        let ahead = slip(None, Some("2030-01-01")).expect_err("the future").to_string();
        assert!(ahead.contains("not past yet"), "{ahead}");
        let turned = slip(Some("2026-11-20 11:00"), Some("2026-11-20 10:00"));
        assert!(turned.expect_err("turned around").to_string().contains("not before"));
        assert_eq!(slip(None, Some("now")), Ok(()));
    }

    #[test]
    fn the_window_ends_at_until() {
        let zone = jiff::tz::TimeZone::UTC;
        let now = "2026-11-22T12:00:00Z".parse().expect("a time");
        let context = Context { server_name: None, zone: &zone, now };
        let (since, until) = (Some("2026-11-20 09:00"), Some("2026-11-20T11:00:00+01:00"));
        let (span, end) = window(&Flags { last: None, since, until }, &context).expect("flags");
        assert_eq!(end.to_string(), "2026-11-20T10:00:00Z");
        assert_eq!(span, Span::Since("2026-11-20T09:00:00Z".parse().expect("a time")));
    }
}
