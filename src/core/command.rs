//! A chat line → a `Command`, or a sentence about what is wrong with it.
//!
//! One table, [`COMMANDS`], is the definition, the documentation and the parser of every command. Commands that
//! ask something become a [`Question`](crate::question::Question). What a question means on this server (which
//! window, which sources) is the plan's business: nothing here looks anything up or formats for a screen.

mod capture;
mod cases;
mod commands;
mod context;
mod destructive;
mod durations;
mod event_id;
mod help;
mod html;
mod ids;
mod message;
mod parse;
mod permalinks;
mod questions;
mod storms;
mod table;
mod terminal_flags;
mod tokens;
mod usage_error;
mod window;
mod written_time;

#[cfg(test)]
mod tests;

pub use self::capture::CaptureCommand;
pub use self::cases::CaseAction;
pub use self::commands::{Command, CommandName};
pub use self::context::Context;
pub use self::event_id::event;
pub use self::help::{Help, help};
pub use self::message::Line;
pub use self::parse::parse;
pub use self::storms::MuteTarget;
pub use self::table::{COMMANDS, Row};
pub use self::terminal_flags::{
    WindowFlags, case_words, cases_words, length, live, mute_words, unmute_words, user, window,
};
pub use self::usage_error::{UsageError, in_quotes};
