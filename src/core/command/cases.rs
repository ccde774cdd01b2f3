//! The words of `!cases` and `!case`: whose, or which and what to do with it.

use ruma::OwnedUserId;

use super::context::Context;
use super::ids::user_id;
use super::tokens::Word;
use super::usage_error::{UsageError, extra_word, in_quotes};

/// What to do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseAction {
    /// Shows the answer as it was given.
    Show,
    /// Shows every step and every query.
    Why,
    /// Asks the same question now, and says what changed.
    Again,
    Delete,
}

/// Reads `[@user]`.
pub(super) fn cases(
    words: &[Word],
    context: &Context<'_>,
) -> Result<Option<OwnedUserId>, UsageError> {
    match words {
        [] => Ok(None),
        [word] if is_number(word) => Err(UsageError::new(format!(
            "{} is a case number. Write !case {}.",
            in_quotes(&word.text),
            word.text.trim_start_matches('#')
        ))),
        [word] => Ok(Some(user_id(word, context)?)),
        [_, extra, ..] => Err(extra_word(&extra.text, "")),
    }
}

/// Reads `NUMBER [why | again | delete]`.
pub(super) fn case(words: &[Word]) -> Result<(u64, CaseAction), UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Err(UsageError::new("No case number given. !cases lists them."));
    };
    let number = number(first)?;
    let action = match rest {
        [] => CaseAction::Show,
        [word] => action(word)?,
        [_, extra, ..] => return Err(extra_word(&extra.text, "")),
    };
    Ok((number, action))
}

fn action(word: &Word) -> Result<CaseAction, UsageError> {
    match word.text.to_lowercase().as_str() {
        "why" | "!why" => Ok(CaseAction::Why),
        "again" => Ok(CaseAction::Again),
        "delete" => Ok(CaseAction::Delete),
        _ => Err(UsageError::new(format!(
            "There is no case action {}. Use why, again or delete.",
            in_quotes(&word.text)
        ))),
    }
}

/// `7` or `#7`.
fn is_number(word: &Word) -> bool {
    let digits = word.text.strip_prefix('#').unwrap_or(&word.text);
    word.is_bare() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(word: &Word) -> Result<u64, UsageError> {
    let digits = word.text.trim_end_matches([',', '.', ':']);
    let digits = digits.strip_prefix('#').unwrap_or(digits);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && number > 0 => Ok(number),
        _ => Err(UsageError::new(format!(
            "{} is not a case number. !cases lists them.",
            in_quotes(&word.text)
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

    fn read(body: &str) -> Result<Command, UsageError> {
        Ok(parse(&Line { body, formatted: None }, &epoch())?.expect("a command"))
    }

    #[test]
    fn a_case_by_its_number_and_what_of_it() {
        for (body, number, action) in [
            ("!case 7", 7, CaseAction::Show),
            ("!CASE #7.", 7, CaseAction::Show),
            ("!case #7: why", 7, CaseAction::Why),
            ("!case 7 !why", 7, CaseAction::Why),
            ("!case 7 Again", 7, CaseAction::Again),
            ("!case 18446744073709551615 delete", u64::MAX, CaseAction::Delete),
        ] {
            assert_eq!(read(body), Ok(Command::Case { number, action }), "{body}");
        }
    }

    #[test]
    fn cases_of_one_user_or_of_all() {
        let alice = user_id!("@alice:example.org").to_owned();
        assert_eq!(read("!cases"), Ok(Command::Cases(None)));
        for body in ["!cases alice", "!cases @alice:example.org"] {
            assert_eq!(read(body), Ok(Command::Cases(Some(alice.clone()))), "{body}");
        }
    }

    #[test]
    fn errors_say_how_it_is_written() {
        for (body, says) in [
            ("!case", "No case number given."),
            ("!case seven", "“seven” is not a case number"),
            ("!case 0", "“0” is not a case number"),
            ("!case -1", "is not a case number"),
            ("!case +7", "is not a case number"),
            ("!case 99999999999999999999", "is not a case number"),
            ("!case 7 burn", "There is no case action “burn”."),
            ("!case 7 delete now", "Unexpected extra word: “now”"),
            ("!cases 7", "Write !case 7."),
            ("!cases alice bob", "Unexpected extra word: “bob”"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.says.contains(says), "{body}: {error}");
            let name = body.split(' ').next().expect("a name");
            assert!(error.usage.is_some_and(|usage| usage.starts_with(name)), "{body}: {error}");
        }
    }
}
