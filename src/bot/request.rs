//! A chat line → its request: a command, or a reply that shows how to write one.

use std::time::Duration;

use super::chat_line::ChatLine;
use crate::config::Config;
use kestrel_core::command::{self, Command};
use kestrel_core::render::{self, Reply};

/// What a line asks for.
#[derive(Debug, Clone)]
pub(crate) enum ChatRequest {
    Command(Command),
    /// A mistyped command; the reply shows how to write it.
    UsageError(Reply),
}

impl ChatRequest {
    /// How long it watches before it answers.
    pub(super) fn watch(&self) -> Duration {
        match self {
            Self::Command(Command::Ask(question)) => question.live().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

/// The request of a line; `None` if it is not for this bot. Times are relative to when the line was sent: "last 30m"
/// means the same however long the bot was offline.
pub(super) fn read(line: &ChatLine, config: &Config) -> Option<ChatRequest> {
    let typed = command::Line { body: &line.body, formatted: line.formatted.as_deref() };
    let context = command::Context {
        server_name: config.server.name.as_deref(),
        zone: &config.limits.timezone,
        now: line.sent,
    };
    match command::parse(&typed, &context) {
        Ok(command) => command.map(ChatRequest::Command),
        Err(error) => Some(ChatRequest::UsageError(render::usage_error(&error).reply())),
    }
}
