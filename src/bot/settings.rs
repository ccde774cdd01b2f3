//! The configuration → what the bot takes from it.

use anyhow::{Context, Result};
use ruma::UserId;

use crate::config::{Config, Matrix};

/// Whether there is anything to watch.
pub(super) fn watches(config: &Config) -> bool {
    config.watch.enabled && !config.logs.is_empty()
}

/// Whether this user may send reports, in a direct chat.
pub(super) fn may_report(config: &Config, user: &UserId) -> bool {
    config.reports.lets_in(user, config.server.name.as_deref())
}

/// The `[matrix]` block.
pub(super) fn matrix_config(config: &Config) -> Result<&Matrix> {
    (config.matrix.as_ref()).context("the configuration has no [matrix] block, which the bot needs")
}

/// The smallest config of a bot.
#[cfg(test)]
pub(super) const BOT: &str = r#"
    [matrix]
    homeserver = "https://matrix.example.org"
    user = "@kestrel:example.org"
    rooms = ["!opsroom:example.org"]
    admins = ["@you:example.org"]
"#;
