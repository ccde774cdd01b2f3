//! `[reports]`: whether the bot accepts users' reports, from whom, how large and how often, and where the
//! verdicts go.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use toml::{Table, Value};

use super::bot_section::{BotSection, room};
use super::section::Section;

pub(super) const REPORTS: &[&str] = &["enabled", "from", "largest", "each", "room", "addresses"];

const MIB: i64 = 1 << 20;
/// The received file stays in memory while it is read, which may take 40 MiB more: 64 MiB together at most,
/// so that the bot stays below its unit's MemoryMax. Zipped, it may unpack to ten times as much.
const LARGEST: i64 = 24 * MIB;

/// Reports from users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    pub enabled: bool,
    /// Whose invitations to a direct chat are accepted, and whose reports are read there.
    pub from: Senders,
    /// The size of one file in bytes, as received; at most 24 MiB, whatever the config says.
    pub largest: usize,
    /// Reports per user and hour.
    pub each: usize,
    /// The room for the verdicts: one of the bot's rooms. `None` without a bot.
    pub room: Option<OwnedRoomId>,
    /// Keep IP addresses in a report.
    pub addresses: bool,
}

/// Who may send reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Senders {
    /// Users of the monitored homeserver.
    OwnServer,
    Nobody,
    These(Vec<OwnedUserId>),
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            enabled: true,
            from: Senders::OwnServer,
            largest: LARGEST as usize,
            each: 6,
            room: None,
            addresses: false,
        }
    }
}

impl Reports {
    /// Whether this user's direct chat is accepted. `server` is the name of the monitored homeserver.
    pub fn lets_in(&self, user: &UserId, server: Option<&ruma::ServerName>) -> bool {
        self.enabled
            && match &self.from {
                Senders::OwnServer => server.is_some_and(|server| user.server_name() == server),
                Senders::Nobody => false,
                Senders::These(users) => users.iter().any(|named| named == user),
            }
    }
}

/// Reads and checks the section.
pub(super) fn reports(
    table: Option<&Table>,
    bot: BotSection<'_>,
    problems: &mut Vec<String>,
) -> Reports {
    let mut section = Section::new(table, "reports", REPORTS, problems);
    let unsaid = Reports::default();
    let listed = table.and_then(|table| table.get("from")).is_some_and(Value::is_array);
    Reports {
        enabled: section.flag("enabled").unwrap_or(unsaid.enabled),
        from: if listed {
            Senders::These(section.list("from", "a Matrix user ID like \"@you:example.org\""))
        } else {
            from(&mut section)
        },
        // An older Kestrel allowed more: its configs stay valid, but the limit applies.
        largest: section
            .count("largest", MIB / 1024, 256 * MIB)
            .map_or(unsaid.largest, |largest: usize| largest.min(unsaid.largest)),
        each: section.count("each", 1, 1000).unwrap_or(unsaid.each),
        room: room(&mut section, bot),
        addresses: section.flag("addresses").unwrap_or(unsaid.addresses),
    }
}

fn from(section: &mut Section<'_, '_>) -> Senders {
    match section.text("from") {
        None | Some("own-server") => Senders::OwnServer,
        Some("nobody") => Senders::Nobody,
        Some(other) => {
            let says = "is not \"own-server\", \"nobody\" or a list of user IDs";
            section.problem("from", format_args!("{other:?} {says}"));
            Senders::OwnServer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{server_name, user_id};

    fn read(text: &str) -> (Reports, Vec<String>) {
        let table = text.parse::<Table>().unwrap();
        let mut problems = Vec::new();
        let read = reports(Some(&table), BotSection::Absent, &mut problems);
        (read, problems)
    }

    #[test]
    fn who_is_let_in_is_as_written() {
        let own = Some(server_name!("example.org"));
        let alice = user_id!("@alice:example.org");
        let mallory = user_id!("@m:elsewhere.org");
        for (text, expected) in [
            ("", (true, false)),
            ("from = \"own-server\"", (true, false)),
            ("from = \"nobody\"", (false, false)),
            ("from = [\"@m:elsewhere.org\"]", (false, true)),
            ("enabled = false", (false, false)),
        ] {
            let (reports, problems) = read(text);
            assert!(problems.is_empty(), "{problems:?}");
            let let_in = (reports.lets_in(alice, own), reports.lets_in(mallory, own));
            assert_eq!(let_in, expected, "{text}");
        }
        assert!(!Reports::default().lets_in(alice, None));
    }

    #[test]
    fn a_size_that_an_older_kestrel_allowed_is_brought_down() {
        for (text, largest) in [("largest = 33554432", 24 << 20), ("largest = 4096", 4096)] {
            let (reports, problems) = read(text);
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(reports.largest, largest);
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, wanted) in [
            ("from = \"anybody\"", "reports.from: \"anybody\" is not \"own-server\""),
            ("from = [\"alice\"]", "reports.from[0]: \"alice\" is not a Matrix user ID"),
            ("largest = 1", "reports.largest: 1 is out of range"),
            ("each = 0", "reports.each: 0 is out of range"),
        ] {
            let (_, problems) = read(text);
            assert!(problems[0].starts_with(wanted), "{problems:?}");
        }
    }
}
