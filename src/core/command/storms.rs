//! The words of `!mute` and `!unmute`: which storm or whose, and for how long.

use std::time::Duration;

use ruma::OwnedUserId;

use super::context::Context;
use super::durations::{Lengths, length, seconds};
use super::ids::user_id;
use super::tokens::Word;
use super::usage_error::{UsageError, extra_word, in_quotes};
use crate::question::{LONGEST_DAYS, LONGEST_WINDOW};

/// A mute of no named length: long enough to fix something, short enough to be forgotten safely.
const UNSAID: Duration = Duration::from_secs(60 * 60);
const SHORTEST: Duration = Duration::from_secs(60);

/// What a mute is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MuteTarget {
    /// A storm, by its number.
    Storm(u64),
    /// Every device of a user.
    User(OwnedUserId),
    All,
}

/// Reads `<storm|@user|all> [for] [time]`.
pub(super) fn mute(
    words: &[Word],
    context: &Context<'_>,
) -> Result<(MuteTarget, Duration), UsageError> {
    let (target, rest) = target(words, context)?;
    let lengths = Lengths {
        unsaid: UNSAID,
        shortest: SHORTEST,
        longest: LONGEST_WINDOW,
        examples: "30m, 2h, 1h30m, 2d",
        bounds: format!("A mute can last 1m to {LONGEST_DAYS}d"),
    };
    Ok((target, length(rest, &lengths)?))
}

/// Reads `[storm|@user|all]`; `None` where nothing is named.
pub(super) fn unmute(
    words: &[Word],
    context: &Context<'_>,
) -> Result<Option<MuteTarget>, UsageError> {
    if words.is_empty() {
        return Ok(None);
    }
    match target(words, context)? {
        (target, []) => Ok(Some(target)),
        (_, [extra, ..]) => Err(extra_word(&extra.text, "")),
    }
}

/// What is named, and the words after it.
fn target<'w>(
    words: &'w [Word],
    context: &Context<'_>,
) -> Result<(MuteTarget, &'w [Word]), UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Err(UsageError::new("No storm or user given. Name a storm, a user or all."));
    };
    if !first.is_bare() {
        return Ok((MuteTarget::User(user_id(first, context)?), rest));
    }
    let text = first.text.to_lowercase();
    match (text.as_str(), rest) {
        ("all", rest) => Ok((MuteTarget::All, rest)),
        ("storm", [number, rest @ ..]) => Ok((MuteTarget::Storm(storm(&number.text)?), rest)),
        ("storm", []) => Err(UsageError::new("No storm number given. !storms lists them.")),
        _ if is_number(&text) => Ok((MuteTarget::Storm(storm(&text)?), rest)),
        // It could be a user's name: such a name is written with its @.
        _ if text == "for" || seconds(&text).is_some() => Err(UsageError::new(format!(
            "{} is a time. Put a storm, a user or all before it.",
            in_quotes(&first.text)
        ))),
        _ => Ok((MuteTarget::User(user_id(first, context)?), rest)),
    }
}

/// `7` or `#7`. A user's name of digits alone is written with the @.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text).trim_end_matches([',', '.', ':']);
    text.starts_with('#') || !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn storm(text: &str) -> Result<u64, UsageError> {
    let digits = text.strip_prefix('#').unwrap_or(text).trim_end_matches([',', '.', ':']);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && number > 0 => Ok(number),
        _ => Err(UsageError::new(format!(
            "{} is not a storm number. !storms lists them.",
            in_quotes(text)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::super::commands::Command;
    use super::super::context::tests::epoch;
    use super::super::message::Line;
    use super::super::parse::parse;
    use super::*;

    fn read_with(body: &str, formatted: Option<&str>) -> Result<Command, UsageError> {
        Ok(parse(&Line { body, formatted }, &epoch())?.expect("a command"))
    }

    fn read(body: &str) -> Result<Command, UsageError> {
        read_with(body, None)
    }

    fn muted(target: MuteTarget, seconds: u64) -> Result<Command, UsageError> {
        Ok(Command::Mute { target, length: Duration::from_secs(seconds) })
    }

    fn alice() -> MuteTarget {
        MuteTarget::User(user_id!("@alice:example.org").to_owned())
    }

    #[test]
    fn a_storm_a_user_or_all_for_a_time() {
        for (body, target, seconds) in [
            ("!mute 7", MuteTarget::Storm(7), 3600),
            ("!mute #7 30m", MuteTarget::Storm(7), 1800),
            ("!Mute Storm 7 for 2h", MuteTarget::Storm(7), 7200),
            ("!mute storm #7, 1h 30 min", MuteTarget::Storm(7), 5400),
            ("!mute all 2d", MuteTarget::All, 172_800),
            ("!mute ALL for 1w", MuteTarget::All, 604_800),
            ("!mute @alice:example.org 1m", alice(), 60),
            ("!mute alice for 31d", alice(), 2_678_400),
            ("!mute https://matrix.to/#/@alice:example.org", alice(), 3600),
            ("!mute @all", MuteTarget::User(user_id!("@all:example.org").to_owned()), 3600),
            ("!mute @7", MuteTarget::User(user_id!("@7:example.org").to_owned()), 3600),
            ("!mute \"storm\"", MuteTarget::User(user_id!("@storm:example.org").to_owned()), 3600),
        ] {
            assert_eq!(read(body), muted(target, seconds), "{body}");
        }
        let pill = r#"!mute <a href="https://matrix.to/#/@alice:example.org">Alice A.</a>: 2h"#;
        assert_eq!(read_with("!mute Alice A.: 2h", Some(pill)), muted(alice(), 7200));
    }

    #[test]
    fn a_mute_ends_by_name_or_altogether() {
        assert_eq!(read("!storms"), Ok(Command::Storms));
        assert_eq!(read("!unmute"), Ok(Command::Unmute(None)));
        for (body, target) in [
            ("!unmute all", MuteTarget::All),
            ("!unmute storm 7", MuteTarget::Storm(7)),
            ("!unmute #18446744073709551615", MuteTarget::Storm(u64::MAX)),
            ("!unmute alice", alice()),
        ] {
            assert_eq!(read(body), Ok(Command::Unmute(Some(target))), "{body}");
        }
    }

    #[test]
    fn errors_say_how_it_is_written() {
        for (body, says) in [
            ("!mute", "Name a storm, a user or all."),
            ("!mute storm", "No storm number given."),
            ("!mute storm seven", "“seven” is not a storm number"),
            ("!mute #", "“#” is not a storm number"),
            ("!mute #7x", "“#7x” is not a storm number"),
            ("!mute 0", "“0” is not a storm number"),
            ("!mute 99999999999999999999", "is not a storm number"),
            ("!mute storm +7", "“+7” is not a storm number"),
            ("!mute 2h", "“2h” is a time."),
            ("!mute for 2h", "“for” is a time."),
            ("!mute ABCDEFGHIJ", "looks like a device"),
            ("!mute 7 8", "“8” is not a length of time"),
            ("!mute all for an age", "“for an age” is not a length of time"),
            ("!mute 7 for", "“for” is not a length of time"),
            ("!mute 7 until noon", "“until noon” is not a length of time"),
            ("!mute 7 30s", "A mute can last 1m to 31d, not “30s”."),
            ("!mute 7 32d", "not “32d”"),
            ("!mute 7 0m", "not “0m”"),
            ("!unmute 7 8", "Unexpected extra word: “8”"),
            ("!storms 7", "Unexpected extra word: “7”"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.says.contains(says), "{body}: {error}");
            let name = body.split(' ').next().expect("a name");
            assert!(error.usage.is_some_and(|usage| usage.starts_with(name)), "{body}: {error}");
        }
        assert!(read("!storm").expect_err("an error").says.contains("Did you mean !storms?"));
    }
}
