//! `[watch]`: whether Kestrel watches for storms, where it posts them, and what counts as one.

use std::time::Duration;

use jiff::SignedDuration;
use kestrel_core::evidence::storm_thresholds::Thresholds;
use ruma::OwnedRoomId;
use toml::Table;

use super::bot_section::{BotSection, room};
use super::section::Section;

pub(super) const WATCH: &[&str] = &[
    "enabled",
    "room",
    "mention",
    "refusals",
    "within",
    "surplus",
    "sustained",
    "limited",
    "slow",
    "gone",
    "fleet",
    "together",
    "quiet",
    "poll",
];

/// The storm watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pub enabled: bool,
    /// The room for storm alerts: one of the bot's rooms. `None` without a bot.
    pub room: Option<OwnedRoomId>,
    /// Mention the admins in a storm's first message, so that their phones ring.
    pub mention: bool,
    /// What makes a storm.
    pub thresholds: Thresholds,
    /// How often the database is checked for trouble that no log line shows; `None` for never.
    pub poll: Option<Duration>,
}

impl Default for Watch {
    fn default() -> Self {
        let thresholds = Thresholds::default();
        Self { enabled: true, room: None, mention: true, thresholds, poll: None }
    }
}

/// Reads and checks the section.
pub(super) fn watch(
    table: Option<&Table>,
    bot: BotSection<'_>,
    problems: &mut Vec<String>,
) -> Watch {
    let mut section = Section::new(table, "watch", WATCH, problems);
    let unsaid = Watch::default();
    Watch {
        enabled: section.flag("enabled").unwrap_or(unsaid.enabled),
        room: room(&mut section, bot),
        mention: section.flag("mention").unwrap_or(unsaid.mention),
        thresholds: thresholds(&mut section),
        poll: section.duration("poll", "1m", "24h"),
    }
}

/// The thresholds in the section; missing ones have the watch's defaults.
fn thresholds(section: &mut Section<'_, '_>) -> Thresholds {
    let unsaid = Thresholds::default();
    Thresholds {
        // A single one is no storm: an accident happens once, a fault repeats. The maximum bounds the memory,
        // because it is kept for each of thousands of subjects.
        refusals: section.count("refusals", 2, 1000).unwrap_or(unsaid.refusals),
        within: length(section, "within", ("1m", "24h")).unwrap_or(unsaid.within),
        // A new device uploads a hundred keys and then replaces claimed ones.
        surplus: section.count("surplus", 100, 1_000_000).unwrap_or(unsaid.surplus),
        sustained: length(section, "sustained", ("1m", "24h")).unwrap_or(unsaid.sustained),
        limited: section.count("limited", 2, 1000).unwrap_or(unsaid.limited),
        slow: section.count("slow", 2, 1000).unwrap_or(unsaid.slow),
        gone: section.count("gone", 2, 1000).unwrap_or(unsaid.gone),
        fleet: section.count("fleet", 2, 1000).unwrap_or(unsaid.fleet),
        together: length(section, "together", ("10s", "1h")).unwrap_or(unsaid.together),
        // An idle device retries about twice a minute, and a later end helps nobody.
        quiet: length(section, "quiet", ("5s", "1h")).unwrap_or(unsaid.quiet),
        ..unsaid
    }
}

fn length(
    section: &mut Section<'_, '_>,
    key: &str,
    (least, most): (&str, &str),
) -> Option<SignedDuration> {
    SignedDuration::try_from(section.duration(key, least, most)?).ok()
}
