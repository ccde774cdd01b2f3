//! The configuration → what the bot takes from it: its `[matrix]` block, and the thresholds of the storm watch.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use ruma::UserId;

use crate::config::{self, Config, Matrix};
use kestrel_core::storm::Thresholds;

/// Whether there is anything to watch.
pub(super) fn watches(config: &Config) -> bool {
    config.watch.enabled && !config.logs.is_empty()
}

/// The thresholds in the config.
pub fn thresholds(watch: &config::Watch) -> Thresholds {
    let length = |length: Duration| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    Thresholds {
        refusals: watch.refusals,
        within: length(watch.within),
        surplus: watch.surplus,
        sustained: length(watch.sustained),
        limited: watch.limited,
        slow: watch.slow,
        gone: watch.gone,
        fleet: watch.fleet,
        together: length(watch.together),
        quiet: length(watch.quiet),
        ..Thresholds::default()
    }
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
