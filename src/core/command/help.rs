//! The table of commands → what `!help` says, and the command that a misspelt name probably meant.

use super::tokens::Word;
use super::usage_error::{self, Slip};
use super::{COMMANDS, Command, Context, Entry};

/// What `!help` says, for a renderer to format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// Usage and doc of each command, in the table's order.
    pub lines: Vec<(&'static str, &'static str)>,
    /// Sentences below the list.
    pub notes: Vec<&'static str>,
    /// A line that works as it stands; only for one command.
    pub example: Option<&'static str>,
}

/// Help on one command, or on all of them. A name that is none of the table's gets the whole list.
pub fn help(about: Option<&str>) -> Help {
    match about.and_then(entry) {
        Some(entry) => Help {
            lines: vec![(entry.usage, entry.doc)],
            notes: entry.notes.to_vec(),
            example: Some(entry.example),
        },
        None => Help {
            lines: COMMANDS.iter().map(|one| (one.usage, one.doc)).collect(),
            notes: vec!["!help ke1 says how users, devices and times can be written."],
            example: None,
        },
    }
}

/// Reads `[command]`.
pub(super) fn help_words(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    match words {
        [] => Ok(Command::Help(None)),
        [word] => match entry(&word.text) {
            Some(entry) => Ok(Command::Help(Some(entry.name.to_owned()))),
            None => Err(unknown(&word.text)),
        },
        [_, extra, ..] => Err(Slip::new(format!(
            "!help takes one command's name; {} is one word too many.",
            usage_error::shown(&extra.text)
        ))),
    }
}

/// The table's entry of this name.
pub(super) fn entry(name: &str) -> Option<&'static Entry> {
    let name = name.trim_start_matches('!');
    COMMANDS.iter().find(|one| one.name.eq_ignore_ascii_case(name))
}

/// The table's name that was probably meant. Command names are short, so one slip of the finger (two
/// neighbours swapped count as one) is near and two are a different word.
fn nearest(name: &str) -> Option<&'static Entry> {
    let name = name.trim_start_matches('!').to_lowercase();
    if name.is_empty() || name.len() > 20 {
        return None;
    }
    COMMANDS
        .iter()
        .find(|one| one.name.starts_with(&name))
        .or_else(|| COMMANDS.iter().find(|one| strsim::damerau_levenshtein(&name, one.name) <= 1))
}

pub(super) fn unknown(name: &str) -> Slip {
    let typed = usage_error::shown(&format!("!{}", name.trim_start_matches('!')));
    match nearest(name) {
        Some(near) => Slip {
            says: format!("I do not know {typed}. The nearest I know is !{}.", near.name),
            usage: Some(near.usage),
        },
        None => {
            Slip { says: format!("I do not know {typed}. !help lists what I can do."), usage: None }
        }
    }
}
