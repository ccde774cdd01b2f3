//! `[watch]` → whether storms are watched for, where they are told, and what makes one.

use std::time::Duration;

use jiff::SignedDuration;
use kestrel_core::storm::Thresholds;
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
    /// Where storms are told: one of the bot's rooms. `None` without a bot.
    pub room: Option<OwnedRoomId>,
    /// The admins are mentioned in a storm's first message, so that their phones ring.
    pub mention: bool,
    /// What makes a storm.
    pub thresholds: Thresholds,
    /// How often the database is looked at for devices in trouble that no log line shows; `None` for never.
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

/// What the section says of storms; what it leaves out is as the watch has it.
fn thresholds(section: &mut Section<'_, '_>) -> Thresholds {
    let unsaid = Thresholds::default();
    Thresholds {
        // One is none: an accident happens once, a fault repeats. Beyond the most, each of thousands of
        // subjects would be remembered that often.
        refusals: section.count("refusals", 2, 1000).unwrap_or(unsaid.refusals),
        within: length(section, "within", ("1m", "24h")).unwrap_or(unsaid.within),
        // A new device uploads a hundred keys and tops up by as many.
        surplus: section.count("surplus", 100, 1_000_000).unwrap_or(unsaid.surplus),
        sustained: length(section, "sustained", ("1m", "24h")).unwrap_or(unsaid.sustained),
        limited: section.count("limited", 2, 1000).unwrap_or(unsaid.limited),
        slow: section.count("slow", 2, 1000).unwrap_or(unsaid.slow),
        gone: section.count("gone", 2, 1000).unwrap_or(unsaid.gone),
        fleet: section.count("fleet", 2, 1000).unwrap_or(unsaid.fleet),
        together: length(section, "together", ("10s", "1h")).unwrap_or(unsaid.together),
        // An idle device repeats about twice a minute, and an end that comes later than this helps nobody.
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
