//! One slow look at the database, as facts: which devices hold keys of a dead identity, for which messages
//! pile up, and which devices the look covered.
//!
//! A look has a time. What did not fit into it comes in the next one, and a device that a look did not
//! cover is in no other state by that.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::counted;

/// Messages counted for one device at the most.
pub const COUNTED: u64 = 1001;
/// Fewer messages than this are on their way and no backlog: a look does not list them.
pub const FEWEST: u64 = 10;

/// A device of the database. In the order of these, which is that of Synapse's database (its collation is
/// C, and Synapse does not start on another unless it is made to), looks go through them. Text as the
/// database has it, so that the next look begins after it whatever it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    pub user: String,
    pub device: String,
}

/// How many messages wait for a device that was seen lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub of: Device,
    /// From `FEWEST` to `COUNTED`, which stands for more too.
    pub count: u64,
    /// Synapse notes this at most every two minutes.
    pub last_seen: Timestamp,
}

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    pub at: Timestamp,
    /// Devices whose next one-time key fails under their own identity.
    pub dead: Vec<Device>,
    /// Devices with keys older than their identity that could not be put to that test.
    pub untested: Vec<Device>,
    /// Devices with a backlog; `None` where the inbox could not be read.
    pub waiting: Option<Vec<Waiting>>,
    /// `None` where no device was checked.
    pub covered: Option<Covered>,
    /// Why the look is not whole.
    pub failed: Option<String>,
}

/// The devices of a look: those behind `after`, up to `to` and with it; `None` for the first and the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    pub after: Option<Device>,
    pub to: Option<Device>,
    /// How many they are.
    pub devices: u64,
}

/// Where the next look begins; its caller keeps it. A new one begins with the first device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub after: Option<Device>,
    /// Devices asked for at once: fewer where the database is slow.
    pub page: u32,
}

/// Devices asked for at once; some tens of milliseconds.
const PAGE: u32 = 1000;
/// … on a database that is so slow that each look is about to come to nothing.
const SMALLEST: u32 = 15;

impl Poll {
    /// A look that came to nothing.
    pub fn failed(at: Timestamp, why: String) -> Self {
        let dead = Vec::new();
        let untested = Vec::new();
        Self { at, dead, untested, waiting: None, covered: None, failed: Some(why) }
    }

    /// Whether the keys of a device were looked at.
    pub fn covers(&self, device: &Device) -> bool {
        self.covered.as_ref().is_some_and(|covered| covered.holds(device))
    }

    /// Whether it continued to the last device.
    pub fn ends(&self) -> bool {
        self.covered.as_ref().is_some_and(|covered| covered.to.is_none())
    }

    /// How many devices it names.
    pub fn names(&self) -> usize {
        self.dead.len() + self.untested.len() + self.waiting.as_ref().map_or(0, Vec::len)
    }

    /// One line for a log.
    pub fn summary(&self) -> String {
        let mut said = match &self.covered {
            Some(covered) => covered.summary(),
            None => "no device was checked".into(),
        };
        said.push_str(&format!("; {} with keys of an old identity", self.dead.len()));
        if let Some(waiting) = &self.waiting {
            said.push_str(&format!(", {} with a backlog", waiting.len()));
        }
        if let Some(why) = &self.failed {
            said.push_str(&format!("; incomplete: {why}"));
        }
        said
    }
}

impl Covered {
    fn holds(&self, device: &Device) -> bool {
        self.after.as_ref().is_none_or(|after| device > after)
            && self.to.as_ref().is_none_or(|to| device <= to)
    }

    fn summary(&self) -> String {
        let place = |word: &str, place: &Option<Device>| {
            place.as_ref().map_or(String::new(), |place| format!(" {word} {}", place.user))
        };
        let from = place("from", &self.after);
        let to = place("to", &self.to);
        format!("{} checked{from}{to}", counted(self.devices, "device"))
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self { after: None, page: PAGE }
    }
}

impl Cursor {
    /// A page took longer than there was time.
    pub fn slower(&mut self) {
        self.page = (self.page / 4).max(SMALLEST);
    }

    /// All pages that were begun came in time.
    pub fn faster(&mut self) {
        self.page = self.page.saturating_mul(2).min(PAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_covers_what_lies_behind_its_start_up_to_its_end() {
        let device = |user: &str, device: &str| Device { user: user.into(), device: device.into() };
        let b = device("@b:x", "M");
        let d = device("@d:x", "M");
        let mut poll = Poll::failed(Timestamp::UNIX_EPOCH, "no".into());
        assert!(!poll.covers(&b) && !poll.ends());
        poll.covered = Some(Covered { after: Some(b.clone()), to: Some(d.clone()), devices: 2 });
        let held = [&b, &device("@b:x", "N"), &device("@c:x", "A"), &d, &device("@d:x", "N")];
        assert_eq!(held.map(|one| poll.covers(one)), [false, true, true, true, false]);
        assert_eq!(
            poll.summary(),
            "2 devices checked from @b:x to @d:x; 0 with keys of an old identity; incomplete: no"
        );
        poll.covered = Some(Covered { after: None, to: None, devices: 9 });
        assert!(poll.covers(&b) && poll.ends());
    }

    #[test]
    fn pages_shrink_and_grow_within_bounds() {
        let mut cursor = Cursor::default();
        (0..9).for_each(|_| cursor.slower());
        assert_eq!(cursor.page, SMALLEST);
        (0..9).for_each(|_| cursor.faster());
        assert_eq!(cursor, Cursor::default());
    }
}
