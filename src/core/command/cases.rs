//! The words of `!cases` and `!case`: whose, or which and what of it.

use ruma::OwnedUserId;

use super::ids::user_id;
use super::message::Piece;
use super::tokens::{Word, split};
use super::usage_error::{Slip, shown};
use super::{Command, Context};

/// What is wanted of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The answer as it was given.
    Page,
    /// Every step and every query.
    Why,
    /// The same question now, and what changed.
    Again,
    Delete,
}

/// Reads `[@user]`.
pub(super) fn cases(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    match words {
        [] => Ok(Command::Cases(None)),
        [word] if is_number(word) => Err(Slip::new(format!(
            "{} is a case's number: write !case {}.",
            shown(&word.text),
            word.text.trim_start_matches('#')
        ))),
        [word] => Ok(Command::Cases(Some(user_id(word, context)?))),
        [_, extra, ..] => Err(too_many(extra)),
    }
}

/// Reads `NUMBER [why | again | delete]`.
pub(super) fn case(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    let Some((number, rest)) = words.split_first() else {
        return Err(Slip::new("Which case? !cases shows their numbers."));
    };
    let number = parsed(number)?;
    let look = match rest {
        [] => Look::Page,
        [word] => match word.text.to_lowercase().as_str() {
            "why" | "!why" => Look::Why,
            "again" => Look::Again,
            "delete" => Look::Delete,
            _ => {
                return Err(Slip::new(format!(
                    "I do not know {} of a case. It can be why, again or delete.",
                    shown(&word.text)
                )));
            }
        },
        [_, extra, ..] => return Err(too_many(extra)),
    };
    Ok(Command::Case { number, look })
}

/// The same from a terminal's words.
pub fn case_words(text: &str, context: &Context<'_>) -> Result<(u64, Look), Slip> {
    let words = split(&[Piece::Text(text.to_owned())])?;
    match case(&words, context)? {
        Command::Case { number, look } => Ok((number, look)),
        _ => Err(Slip::new("Which case?")),
    }
}

/// The same from a terminal's words; `None` where there are none.
pub fn cases_words(text: &str, context: &Context<'_>) -> Result<Option<OwnedUserId>, Slip> {
    let words = split(&[Piece::Text(text.to_owned())])?;
    match cases(&words, context)? {
        Command::Cases(user) => Ok(user),
        _ => Ok(None),
    }
}

/// `7` or `#7`.
fn is_number(word: &Word) -> bool {
    let digits = word.text.strip_prefix('#').unwrap_or(&word.text);
    word.is_bare() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn parsed(word: &Word) -> Result<u64, Slip> {
    let digits = word.text.trim_end_matches([',', '.', ':']);
    let digits = digits.strip_prefix('#').unwrap_or(digits);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && number > 0 => Ok(number),
        _ => {
            Err(Slip::new(format!("{} is no case's number. !cases shows them.", shown(&word.text))))
        }
    }
}

fn too_many(extra: &Word) -> Slip {
    Slip::new(format!("{} is one word too many.", shown(&extra.text)))
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::super::{Line, parse};
    use super::*;

    fn read(body: &str) -> Result<Command, Slip> {
        let (zone, now) = (jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let server_name = Some(server_name!("example.org"));
        let context = Context { server_name, zone: &zone, now };
        Ok(parse(&Line { body, formatted: None }, &context)?.expect("a command"))
    }

    #[test]
    fn a_case_by_its_number_and_what_of_it() {
        for (body, number, look) in [
            ("!case 7", 7, Look::Page),
            ("!CASE #7.", 7, Look::Page),
            ("!case #7: why", 7, Look::Why),
            ("!case 7 !why", 7, Look::Why),
            ("!case 7 Again", 7, Look::Again),
            ("!case 18446744073709551615 delete", u64::MAX, Look::Delete),
        ] {
            assert_eq!(read(body), Ok(Command::Case { number, look }), "{body}");
        }
    }

    #[test]
    fn cases_of_one_user_or_of_all() {
        let alice = user_id!("@alice:example.org").to_owned();
        assert_eq!(read("!cases"), Ok(Command::Cases(None)));
        for body in ["!cases alice", "!cases @alice:example.org"] {
            assert_eq!(read(body), Ok(Command::Cases(Some(alice.clone()))), "{body}");
        }
        let zone = jiff::tz::TimeZone::UTC;
        let now = jiff::Timestamp::UNIX_EPOCH;
        let context = Context { server_name: Some(server_name!("example.org")), zone: &zone, now };
        assert_eq!(cases_words("alice", &context), Ok(Some(alice)));
        assert_eq!(cases_words("", &context), Ok(None));
        assert_eq!(case_words("17 why", &context), Ok((17, Look::Why)));
    }

    #[test]
    fn slips_say_how_it_is_written() {
        for (body, says) in [
            ("!case", "Which case?"),
            ("!case seven", "“seven” is no case's number"),
            ("!case 0", "“0” is no case's number"),
            ("!case -1", "is no case's number"),
            ("!case +7", "is no case's number"),
            ("!case 99999999999999999999", "is no case's number"),
            ("!case 7 burn", "I do not know “burn” of a case."),
            ("!case 7 delete now", "“now” is one word too many"),
            ("!cases 7", "write !case 7"),
            ("!cases alice bob", "“bob” is one word too many"),
        ] {
            let slip = read(body).expect_err(body);
            assert!(slip.says.contains(says), "{body}: {slip}");
            let name = body.split(' ').next().expect("a name");
            assert!(slip.usage.is_some_and(|usage| usage.starts_with(name)), "{body}: {slip}");
        }
    }
}
