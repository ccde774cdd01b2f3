//! A device in trouble, as a survey lists it.

use std::cmp::Reverse;

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};

use super::cause::Cause;

/// One cause at one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trouble {
    pub cause: Cause,
    /// Refusals, dead keys, stored keys; nothing to count for the others.
    pub count: u64,
    /// Refusals a second.
    pub rate: Option<f64>,
    /// Whether refusals still arrived at the end of what was seen.
    pub goes_on: bool,
}

/// What the database says about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds exactly the conflicting key, or the keys that are wrong.
    Proven,
    /// It has the device.
    Exists,
    /// It has no such device: logged out since, or a line that somebody made up.
    Absent,
    /// It could not be asked.
    Unasked,
}

/// A device in trouble.
#[derive(Debug, Clone)]
pub struct Affected {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// The worst first.
    pub troubles: Vec<Trouble>,
    /// When it began, where that is known.
    pub since: Option<Timestamp>,
    /// It began no later than this: the log does not reach further back.
    pub or_before: bool,
    pub last_seen: Option<Timestamp>,
    /// The client by its own word.
    pub agent: Option<String>,
    pub standing: Standing,
}

impl Affected {
    /// Worst first: refusals that continue by their rate, dead identities, refusals that stopped, floods,
    /// exhaustion by who was seen last, keyless ones; behind all those that the database does not have.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let rank = |trouble: &Trouble| match trouble.cause {
            Cause::Conflict if trouble.goes_on => 0,
            Cause::DeadIdentity => 1,
            Cause::Conflict => 2,
            Cause::Flood => 3,
            Cause::Exhausted => 4,
            Cause::Keyless => 5,
        };
        let worst = self.troubles.iter().map(rank).min();
        let per_hour = |trouble: &Trouble| (trouble.rate.unwrap_or_default() * 3600.0) as u64;
        let rate = self.troubles.iter().map(per_hour).max();
        let count = self.troubles.iter().map(|trouble| trouble.count).max();
        let ids = (self.user.to_string(), self.device.to_string());
        let absent = self.standing == Standing::Absent;
        (absent, worst, Reverse((rate, count, self.last_seen)), ids)
    }

    /// Whether uploads of it were still refused at the end of what was seen.
    pub fn goes_on(&self) -> bool {
        self.troubles.iter().any(|trouble| trouble.goes_on)
    }

    /// Whether it has this trouble.
    pub fn has(&self, cause: Cause) -> bool {
        self.troubles.iter().any(|trouble| trouble.cause == cause)
    }

    pub(super) fn began(&mut self, at: Timestamp) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
    }
}
