//! A terminal's flags → the same command that a room would give.
//!
//! The device is taken as it is: the shell has already undone its quotes.

use jiff::Timestamp;

use super::links::Piece;
use super::slip::Slip;
use super::words::{Word, split};
use super::{Context, Ke1, Span, moment, span, user_id};

/// What `kestrel triage` was given.
#[derive(Debug, Clone, Copy)]
pub struct Flags<'a> {
    pub user: &'a str,
    pub device: Option<&'a str>,
    pub last: Option<&'a str>,
    pub since: Option<&'a str>,
    pub until: Option<&'a str>,
}

/// Reads the flags. With it comes the reference time: `--until`, else now.
pub fn flags(flags: &Flags<'_>, context: &Context<'_>) -> Result<(Ke1, Timestamp), Slip> {
    let now = match flags.until {
        Some(text) => moment::moment(&words(text)?, None, context)?,
        None => context.now,
    };
    let context = Context { now, ..*context };
    let span = match (flags.last, flags.since) {
        (Some(length), _) => Span::Last(span::duration(length)?),
        (None, Some(from)) => span::span(&words(&format!("since {from}"))?, &context)?,
        (None, None) => Span::Unsaid,
    };
    let user = match words(flags.user)?.as_slice() {
        [user] => user_id(user, &context)?,
        _ => return Err(Slip::new("The user is one word, as in @alice:example.org.")),
    };
    Ok((Ke1 { user, device: flags.device.map(Into::into), span }, now))
}

fn words(text: &str) -> Result<Vec<Word>, Slip> {
    split(&[Piece::Text(text.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_ends_at_until() {
        let zone = jiff::tz::TimeZone::UTC;
        let now = "2026-11-22T12:00:00Z".parse().expect("a time");
        let context = Context { server_name: None, zone: &zone, now };
        let given = Flags {
            user: "@a:example.org",
            device: Some("MY \"PHONE\" last 3d"),
            last: None,
            since: Some("2026-11-20 09:00"),
            until: Some("2026-11-20T11:00:00+01:00"),
        };
        let (typed, end) = flags(&given, &context).expect("flags");
        assert_eq!(end.to_string(), "2026-11-20T10:00:00Z");
        assert_eq!(typed.device.expect("a device").as_str(), "MY \"PHONE\" last 3d");
        assert_eq!(typed.span, Span::Since("2026-11-20T09:00:00Z".parse().expect("a time")));
    }
}
