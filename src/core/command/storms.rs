//! The words of `!storms`, `!mute` and `!unmute`: which storm or whose, and for how long.

use std::time::Duration;

use ruma::OwnedUserId;

use super::ids::user_id;
use super::message::Piece;
use super::tokens::{Word, split};
use super::usage_error::{Slip, shown};
use super::window::{self, LONGEST_DAYS, Lengths};
use super::{Command, Context};

/// A mute of no named length: long enough to mend something, short enough to be forgotten safely.
const UNSAID: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 60 * 60);

/// What a mute is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// A storm, by its number.
    Storm(u64),
    /// Every device of a user.
    User(OwnedUserId),
    All,
}

/// Reads nothing: the list has no choices.
pub(super) fn storms(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    match words {
        [] => Ok(Command::Storms),
        [extra, ..] => Err(too_many(extra)),
    }
}

/// Reads `<storm|@user|all> [for] [time]`.
pub(super) fn mute(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let (whom, rest) = whom(words, context)?;
    Ok(Command::Mute { whom, length: length(rest)? })
}

/// Reads `[storm|@user|all]`.
pub(super) fn unmute(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    if words.is_empty() {
        return Ok(Command::Unmute(None));
    }
    match whom(words, context)? {
        (whom, []) => Ok(Command::Unmute(Some(whom))),
        (_, [extra, ..]) => Err(too_many(extra)),
    }
}

/// The same from a terminal's words.
pub fn mute_words(text: &str, context: &Context<'_>) -> Result<(Whom, Duration), Slip> {
    let words = split(&[Piece::Text(text.to_owned())])?;
    let (whom, rest) = whom(&words, context)?;
    Ok((whom, length(rest)?))
}

/// The same from a terminal's words; `None` where there are none.
pub fn whom_words(text: &str, context: &Context<'_>) -> Result<Option<Whom>, Slip> {
    let words = split(&[Piece::Text(text.to_owned())])?;
    match unmute(&words, context)? {
        Command::Unmute(whom) => Ok(whom),
        _ => Ok(None),
    }
}

/// What is named, and the words behind it.
fn whom<'w>(words: &'w [Word], context: &Context<'_>) -> Result<(Whom, &'w [Word]), Slip> {
    let Some((first, rest)) = words.split_first() else {
        return Err(Slip::new("Name a storm, a user or all."));
    };
    if !first.is_bare() {
        return Ok((Whom::User(user_id(first, context)?), rest));
    }
    let text = first.text.to_lowercase();
    match (text.as_str(), rest) {
        ("all", rest) => Ok((Whom::All, rest)),
        ("storm", [number, rest @ ..]) => Ok((Whom::Storm(storm(&number.text)?), rest)),
        ("storm", []) => Err(Slip::new("Which storm? !storms shows their numbers.")),
        _ if is_number(&text) => Ok((Whom::Storm(storm(&text)?), rest)),
        // A name would be made of it: whoever is called that is written with the @.
        _ if text == "for" || window::seconds(&text).is_some() => Err(Slip::new(format!(
            "{} is a time. What is it for? A storm, a user or all comes first.",
            shown(&first.text)
        ))),
        _ => Ok((Whom::User(user_id(first, context)?), rest)),
    }
}

/// `7` or `#7`. A user's name of digits alone is written with the @.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text).trim_end_matches([',', '.', ':']);
    text.starts_with('#') || !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn storm(text: &str) -> Result<u64, Slip> {
    let digits = text.strip_prefix('#').unwrap_or(text).trim_end_matches([',', '.', ':']);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && number > 0 => Ok(number),
        _ => Err(Slip::new(format!("{} is no storm's number. !storms shows them.", shown(text)))),
    }
}

/// `[for] 2h`; an hour where nothing is said.
fn length(words: &[Word]) -> Result<Duration, Slip> {
    let lengths = Lengths {
        unsaid: UNSAID,
        shortest: SHORTEST,
        longest: LONGEST,
        written: "30m, 2h, 1h30m or 2d",
        bounds: format!("A mute lasts a minute to {LONGEST_DAYS} days"),
    };
    window::length(words, &lengths)
}

fn too_many(extra: &Word) -> Slip {
    Slip::new(format!("{} is one word too many.", shown(&extra.text)))
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::super::{Line, parse};
    use super::*;

    fn read_with(body: &str, formatted: Option<&str>) -> Result<Command, Slip> {
        let (zone, now) = (jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let server_name = Some(server_name!("example.org"));
        let context = Context { server_name, zone: &zone, now };
        Ok(parse(&Line { body, formatted }, &context)?.expect("a command"))
    }

    fn read(body: &str) -> Result<Command, Slip> {
        read_with(body, None)
    }

    fn muted(whom: Whom, seconds: u64) -> Result<Command, Slip> {
        Ok(Command::Mute { whom, length: Duration::from_secs(seconds) })
    }

    fn alice() -> Whom {
        Whom::User(user_id!("@alice:example.org").to_owned())
    }

    #[test]
    fn a_storm_a_user_or_all_for_a_time() {
        for (body, whom, seconds) in [
            ("!mute 7", Whom::Storm(7), 3600),
            ("!mute #7 30m", Whom::Storm(7), 1800),
            ("!Mute Storm 7 for 2h", Whom::Storm(7), 7200),
            ("!mute storm #7, 1h 30 min", Whom::Storm(7), 5400),
            ("!mute all 2d", Whom::All, 172_800),
            ("!mute ALL for 1w", Whom::All, 604_800),
            ("!mute @alice:example.org 1m", alice(), 60),
            ("!mute alice for 31d", alice(), 2_678_400),
            ("!mute https://matrix.to/#/@alice:example.org", alice(), 3600),
            ("!mute @all", Whom::User(user_id!("@all:example.org").to_owned()), 3600),
            ("!mute @7", Whom::User(user_id!("@7:example.org").to_owned()), 3600),
            ("!mute \"storm\"", Whom::User(user_id!("@storm:example.org").to_owned()), 3600),
        ] {
            assert_eq!(read(body), muted(whom, seconds), "{body}");
        }
        let pill = r#"!mute <a href="https://matrix.to/#/@alice:example.org">Alice A.</a>: 2h"#;
        assert_eq!(read_with("!mute Alice A.: 2h", Some(pill)), muted(alice(), 7200));
    }

    #[test]
    fn a_mute_ends_by_name_or_altogether() {
        assert_eq!(read("!storms"), Ok(Command::Storms));
        assert_eq!(read("!unmute"), Ok(Command::Unmute(None)));
        for (body, whom) in [
            ("!unmute all", Whom::All),
            ("!unmute storm 7", Whom::Storm(7)),
            ("!unmute #18446744073709551615", Whom::Storm(u64::MAX)),
            ("!unmute alice", alice()),
        ] {
            assert_eq!(read(body), Ok(Command::Unmute(Some(whom))), "{body}");
        }
    }

    #[test]
    fn slips_say_how_it_is_written() {
        for (body, says) in [
            ("!mute", "Name a storm, a user or all."),
            ("!mute storm", "Which storm?"),
            ("!mute storm seven", "“seven” is no storm's number"),
            ("!mute #", "“#” is no storm's number"),
            ("!mute #7x", "“#7x” is no storm's number"),
            ("!mute 0", "“0” is no storm's number"),
            ("!mute 99999999999999999999", "is no storm's number"),
            ("!mute storm +7", "“+7” is no storm's number"),
            ("!mute 2h", "“2h” is a time."),
            ("!mute for 2h", "“for” is a time."),
            ("!mute ABCDEFGHIJ", "looks like a device"),
            ("!mute 7 8", "I cannot read “8” as a length of time"),
            ("!mute all for an age", "I cannot read “for an age” as a length of time"),
            ("!mute 7 for", "I cannot read “for” as a length of time"),
            ("!mute 7 until noon", "I cannot read “until noon” as a length of time"),
            ("!mute 7 30s", "A mute lasts a minute to 31 days; “30s” does not."),
            ("!mute 7 32d", "“32d” does not."),
            ("!mute 7 0m", "“0m” does not."),
            ("!unmute 7 8", "“8” is one word too many"),
            ("!storms 7", "“7” is one word too many"),
        ] {
            let slip = read(body).expect_err(body);
            assert!(slip.says.contains(says), "{body}: {slip}");
            let name = body.split(' ').next().expect("a name");
            assert!(slip.usage.is_some_and(|usage| usage.starts_with(name)), "{body}: {slip}");
        }
        assert!(
            read("!storm").expect_err("a slip").says.contains("The nearest I know is !storms.")
        );
    }

    #[test]
    fn a_terminal_s_words_are_the_same() {
        let zone = jiff::tz::TimeZone::UTC;
        let now = jiff::Timestamp::UNIX_EPOCH;
        let context = Context { server_name: Some(server_name!("example.org")), zone: &zone, now };
        let two_hours = Duration::from_secs(7200);
        assert_eq!(mute_words("storm 7 2h", &context), Ok((Whom::Storm(7), two_hours)));
        assert_eq!(whom_words("", &context), Ok(None));
        assert_eq!(whom_words("alice", &context), Ok(Some(alice())));
        assert!(mute_words("", &context).is_err());
    }
}
