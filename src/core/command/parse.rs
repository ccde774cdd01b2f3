//! One message → the command that it is, what is wrong with it, or nothing if it is not a command.

use super::commands::Command;
use super::context::Context;
use super::message::{Line, spoken};
use super::table::{find, nearest, unknown};
use super::tokens::split;
use super::usage_error::UsageError;

/// Reads one message. `Ok(None)`: it is no command, because it does not begin with `!` or only quotes.
pub fn parse(line: &Line<'_>, context: &Context<'_>) -> Result<Option<Command>, UsageError> {
    let Some((word, pieces)) = spoken(line) else {
        return Ok(None);
    };
    let Some(row) = find(&word) else {
        let usage = nearest(&word).map(|near| near.usage);
        return Err(UsageError { usage, ..unknown(&word) });
    };
    let command = split(&pieces).and_then(|words| (row.parse)(&words, context));
    command.map(Some).map_err(|error| UsageError { usage: Some(row.usage), ..error })
}
