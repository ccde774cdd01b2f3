//! What is wrong with what was typed → one sentence. It quotes what was typed, clipped and with nothing
//! invisible in it; escaping for HTML is the renderer's.

use crate::evidence::hidden::is_invisible;

/// Longest quotation of what was typed, in characters.
const LONGEST_QUOTE: usize = 80;

/// An error of the person who typed, not of Kestrel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    /// One or two sentences; they quote the user's words unescaped.
    pub says: String,
    /// How the command is written.
    pub usage: Option<&'static str>,
}

impl UsageError {
    pub(super) fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), usage: None }
    }
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.says)?;
        match self.usage {
            Some(usage) => write!(out, "\nUsage: {usage}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UsageError {}

/// For a word that a command has no use for.
pub(super) fn extra_word(word: &str, advice: &str) -> UsageError {
    UsageError::new(format!("Unexpected extra word: {}.{advice}", in_quotes(word)))
}

/// What was typed, as a sentence quotes it: in “quotes”, clipped, and with control and direction characters
/// spelled out, so that it can neither break the sentence nor turn it around.
pub fn in_quotes(typed: &str) -> String {
    let mut out = String::from("“");
    for (at, c) in typed.chars().enumerate() {
        if at == LONGEST_QUOTE {
            out.push('…');
            break;
        }
        if is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out.push('”');
    out
}
