//! `[watch]` → whether storms are watched for, where they are told, and what makes one.
//!
//! The defaults are those of the watch itself, written once more: this room may not name that one.

use std::time::Duration;

use ruma::{OwnedRoomId, RoomId};
use toml::Table;

use super::Matrix;
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
    /// Refusals of one device that make a storm, `within` this time.
    pub refusals: usize,
    pub within: Duration,
    /// Keys accepted beyond those claimed that make a flood, within `sustained`.
    pub surplus: u64,
    pub sustained: Duration,
    /// 429s on delayed events of one address within a minute.
    pub limited: usize,
    /// Slow restarts of delayed events in a row.
    pub slow: usize,
    /// 404s on delayed events of one address, `within` the time of refusals.
    pub gone: usize,
    /// Devices that start within `together` and are one alert.
    pub fleet: usize,
    pub together: Duration,
    /// Silence after which a storm is over.
    pub quiet: Duration,
    /// How often the database is looked at for devices in trouble that no log line shows; `None` for never.
    pub poll: Option<Duration>,
}

impl Default for Watch {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        Self {
            enabled: true,
            room: None,
            mention: true,
            refusals: 3,
            within: Duration::from_secs(10 * MINUTE),
            surplus: 500,
            sustained: Duration::from_secs(60 * MINUTE),
            limited: 5,
            slow: 2,
            gone: 20,
            fleet: 10,
            together: Duration::from_secs(5 * MINUTE),
            quiet: Duration::from_secs(10 * MINUTE),
            poll: None,
        }
    }
}

/// The bot as far as it could be read: a room is checked against its rooms.
#[derive(Debug, Clone, Copy)]
pub(super) enum BotSection<'a> {
    /// There is no such section.
    Absent,
    /// There is one, with problems of its own.
    Unread,
    Read(&'a Matrix),
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
        // One is none: an accident happens once, a fault repeats. Beyond the most, each of thousands of
        // subjects would be remembered that often.
        refusals: section.count("refusals", 2, 1000).unwrap_or(unsaid.refusals),
        within: section.duration("within", "1m", "24h").unwrap_or(unsaid.within),
        // A new device uploads a hundred keys and tops up by as many.
        surplus: section.count("surplus", 100, 1_000_000).unwrap_or(unsaid.surplus),
        sustained: section.duration("sustained", "1m", "24h").unwrap_or(unsaid.sustained),
        limited: section.count("limited", 2, 1000).unwrap_or(unsaid.limited),
        slow: section.count("slow", 2, 1000).unwrap_or(unsaid.slow),
        gone: section.count("gone", 2, 1000).unwrap_or(unsaid.gone),
        fleet: section.count("fleet", 2, 1000).unwrap_or(unsaid.fleet),
        together: section.duration("together", "10s", "1h").unwrap_or(unsaid.together),
        // An idle device repeats about twice a minute, and an end that comes later than this helps nobody.
        quiet: section.duration("quiet", "5s", "1h").unwrap_or(unsaid.quiet),
        poll: section.duration("poll", "1m", "24h"),
    }
}

/// One of the bot's rooms; the first of them where none is named.
pub(super) fn room(section: &mut Section<'_, '_>, bot: BotSection<'_>) -> Option<OwnedRoomId> {
    let named = section.text("room");
    let rooms = match bot {
        BotSection::Read(matrix) => &matrix.rooms,
        BotSection::Absent if named.is_some() => {
            section.problem("room", "has no use without a [matrix] section: no bot is in it");
            return None;
        }
        BotSection::Absent | BotSection::Unread => return None,
    };
    let Some(named) = named else { return rooms.first().cloned() };
    let Ok(room) = RoomId::parse(named) else {
        let says = "is not a room id like \"!opsroom:example.org\"";
        section.problem("room", format_args!("{named:?} {says}"));
        return None;
    };
    // With a problem in the list of rooms, what is missing there may be this very one.
    if !rooms.contains(&room) && !rooms.is_empty() {
        let says = "is none of matrix.rooms; the bot is in no other room";
        section.problem("room", format_args!("{named:?} {says}"));
        return None;
    }
    Some(room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kestrel_core::storm::Thresholds;

    #[test]
    fn the_defaults_are_those_of_the_watch() {
        let (ours, theirs) = (Watch::default(), Thresholds::default());
        let counts = [ours.refusals, ours.limited, ours.slow, ours.gone, ours.fleet];
        assert_eq!(
            counts,
            [theirs.refusals, theirs.limited, theirs.slow, theirs.gone, theirs.fleet]
        );
        assert_eq!(ours.surplus, theirs.surplus);
        let lengths = [ours.within, ours.sustained, ours.together, ours.quiet];
        let told = [theirs.within, theirs.sustained, theirs.together, theirs.quiet];
        assert_eq!(lengths, told.map(|length| length.unsigned_abs()));
    }
}
