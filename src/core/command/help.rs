//! The table of commands → what `!help` says, for a renderer to format.

use super::commands::CommandName;
use super::table::{COMMANDS, row};

/// What `!help` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// Usage and documentation of each command, in the table's order.
    pub lines: Vec<(&'static str, &'static str)>,
    /// Sentences below the list.
    pub notes: Vec<&'static str>,
    /// A line that works without a change; only for one command.
    pub example: Option<&'static str>,
}

/// Help on one command, or on all of them.
pub fn help(about: Option<CommandName>) -> Help {
    match about.map(row) {
        Some(row) => Help {
            lines: vec![(row.usage, row.doc)],
            notes: row.notes.to_vec(),
            example: Some(row.example),
        },
        None => Help {
            lines: COMMANDS.iter().map(|row| (row.usage, row.doc)).collect(),
            notes: vec!["!help ke1 shows how to write users, devices and times."],
            example: None,
        },
    }
}
