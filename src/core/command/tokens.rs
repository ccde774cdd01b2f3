//! The text and the mentions of a message → words. Undoes what phones and clients do to typed text around a word, and
//! never touches what is inside quotes.

use super::html::Piece;
use super::usage_error::{UsageError, in_quotes};
use crate::evidence::hidden::is_invisible;

/// One word, and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Quoted,
    Pill,
}

impl Word {
    /// Written without quotes, so a word like `last` means what it says.
    pub fn is_bare(&self) -> bool {
        self.form == Form::Bare
    }

    /// A mention: `text` is the user id.
    pub fn is_pill(&self) -> bool {
        self.form == Form::Pill
    }
}

/// The words as one text.
pub(super) fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Splits at white space (a no-break space is one), except inside quotes.
///
/// A quote opens only at the start of a word and closes only at the end of one, so `Bob's` needs
/// nothing and `'Bob's phone'` is one word. `\` before the quote or before another `\` writes that
/// character, and `\u{a0}` the character of that number; any other `\` is itself.
pub(super) fn split(pieces: &[Piece]) -> Result<Vec<Word>, UsageError> {
    let mut words = Vec::new();
    let mut after_pill = false;
    for piece in pieces {
        match piece {
            Piece::Pill { user, .. } => words.push(Word { text: user.clone(), form: Form::Pill }),
            // Clients complete a mention as "Alice: ".
            Piece::Text(text) if after_pill => {
                split_text(text.trim_start_matches([':', ',']), &mut words)?
            }
            Piece::Text(text) => split_text(text, &mut words)?,
        }
        after_pill = matches!(piece, Piece::Pill { .. });
    }
    Ok(words)
}

fn split_text(text: &str, words: &mut Vec<Word>) -> Result<(), UsageError> {
    // What copying and right-to-left keyboards leave between words shows nothing and means nothing.
    let between = |c: char| c.is_whitespace() || is_invisible(c);
    let mut rest = text.trim_start_matches(between);
    while let Some(first) = rest.chars().next() {
        if let Some(closers) = closers(first, rest) {
            let inside = &rest[first.len_utf8()..];
            let (text, after) = quoted(inside, closers).ok_or_else(|| unclosed(rest))?;
            words.push(Word { text, form: Form::Quoted });
            rest = after;
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word {
                text: rest[..end].trim_end_matches(is_invisible).to_owned(),
                form: Form::Bare,
            });
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(between);
    }
    Ok(())
}

/// What may close a quote that `first` opens; `None` if it opens none. A straight quote is closed by a
/// straight one; only if there is none, a curly one may close it, because some keyboards curl one of the two.
fn closers(first: char, rest: &str) -> Option<&'static [char]> {
    const DOUBLE: &[char] = &['”', '“', '"', '„', '‟', '»', '«'];
    const SINGLE: &[char] = &['’', '‘', '\'', '‚', '‛', '›', '‹'];
    let straight_closes = |straight: &'static [char]| quoted(&rest[1..], straight).is_some();
    match first {
        '`' => Some(&['`']),
        '"' if straight_closes(&['"']) => Some(&['"']),
        '\'' if straight_closes(&['\'']) => Some(&['\'']),
        c if DOUBLE.contains(&c) => Some(DOUBLE),
        c if SINGLE.contains(&c) => Some(SINGLE),
        _ => None,
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted<'a>(inside: &'a str, closers: &[char]) -> Option<(String, &'a str)> {
    let mut text = String::new();
    let mut chars = inside.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if c == '\\' && next.is_some_and(|next| next == '\\' || closers.contains(&next)) {
            text.extend(chars.next().map(|(_, escaped)| escaped));
        } else if let Some((letter, length)) = numbered(&inside[at..]) {
            text.push(letter);
            // All of it is ASCII, so a byte is a character.
            chars.by_ref().take(length - 1).for_each(drop);
        } else if closers.contains(&c)
            && next.is_none_or(|next| next.is_whitespace() || is_invisible(next))
        {
            return Some((text, &inside[at + c.len_utf8()..]));
        } else {
            text.push(c);
        }
    }
    None
}

/// The character that `\u{a0}` at the front of the text means, and the length of that.
fn numbered(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = "10ffff".len();
    let inside = text.strip_prefix("\\u{")?;
    let end = inside.bytes().take(LONGEST + 1).position(|byte| byte == b'}')?;
    let digits = &inside[..end];
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((letter, text.len() - inside.len() + end + 1))
}

fn unclosed(rest: &str) -> UsageError {
    UsageError::new(format!(
        "{} has no closing quote. Add one after the quoted ID.",
        in_quotes(rest)
    ))
}
