//! A chat line → what it asks for: a command, or a reply that says how one is written.

use std::time::Duration;

use super::chat_line::ChatLine;
use crate::config::Config;
use kestrel_core::command::{self, Command};
use kestrel_core::render::{self, Reply};

/// What a line asks for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Command(Command),
    /// It was meant as a command and is none; the reply says how it is written.
    UsageError(Reply),
}

impl Request {
    /// How long it watches before it answers.
    pub(super) fn watch(&self) -> Duration {
        match self {
            Self::Command(Command::Ask(question)) => question.live().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

/// What a line asks for; `None` when it is not for this bot. Words are read against the moment the line
/// was sent: "last 30m" means the same however long the bot was away.
pub(super) fn read(line: &ChatLine, config: &Config) -> Option<Request> {
    let typed = command::Line { body: &line.body, formatted: line.formatted.as_deref() };
    let context = command::Context {
        server_name: config.server.name.as_deref(),
        zone: &config.limits.timezone,
        now: line.sent,
    };
    match command::parse(&typed, &context) {
        Ok(command) => command.map(Request::Command),
        Err(error) => Some(Request::UsageError(render::usage_error(&error).reply())),
    }
}
