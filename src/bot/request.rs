//! A chat line → what it asks for.

use super::chat_line::ChatLine;
use super::responder::answer::Asked;
use crate::config::Config;
use kestrel_core::{command, render};

/// What a line asks for; `None` when it is not for this bot. Words are read against the moment the line
/// was sent: "last 30m" means the same however long the bot was away.
pub(super) fn read(line: &ChatLine, config: &Config) -> Option<Asked> {
    let typed = command::Line { body: &line.body, formatted: line.formatted.as_deref() };
    let context = command::Context {
        server_name: config.server.name.as_deref(),
        zone: &config.limits.timezone,
        now: line.sent,
    };
    match command::parse(&typed, &context) {
        Ok(command) => command.map(Asked::Command),
        Err(slip) => Some(Asked::Slip(render::slip(&slip).reply())),
    }
}
