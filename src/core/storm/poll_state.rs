//! What looks at the database have shown of each device so far. It serialises with the state of the watch.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::map_as_pairs;
use crate::evidence::poll::{COUNTED, Device, Waiting};

/// Looks in a row at each of which a backlog has to have grown.
pub(super) const GROWTHS: usize = 3;
/// How late Synapse may note that a device was seen.
const NOTED: SignedDuration = SignedDuration::from_mins(2);
/// Nobody looked for so long (the longest way between two looks is a day): it is taken to be over.
pub(super) const UNSEEN: SignedDuration = SignedDuration::from_hours(72);

/// What the looks came to so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PollState {
    /// A round began with the first device.
    pub(super) begun: bool,
    /// Every device was looked at once: what is found from now on is new.
    pub(super) whole: bool,
    #[serde(with = "map_as_pairs")]
    pub(super) dead: BTreeMap<Device, Dead>,
    #[serde(with = "map_as_pairs")]
    pub(super) waiting: BTreeMap<Device, Growth>,
}

/// A device with keys of a dead identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) first: Timestamp,
    /// Looks in a row that showed it, and that did not.
    pub(super) shown: u8,
    pub(super) missed: u8,
    /// It is old, or was told of.
    pub(super) settled: bool,
}

/// A backlog.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Growth {
    /// The newest counts, each greater than the one before.
    pub(super) steps: Vec<(Timestamp, u64)>,
    /// The most of its storm.
    pub(super) peak: u64,
}

impl Growth {
    /// Adds a count where the backlog grew while the device was there; else begins anew with it.
    pub(super) fn step(&mut self, waiting: &Waiting, at: Timestamp) {
        let grew = self.steps.last().is_some_and(|(then, before)| {
            let there = waiting.last_seen >= then.checked_sub(NOTED).unwrap_or(*then);
            // Where counting ends, what was growing is taken to grow on.
            let beyond = waiting.count >= COUNTED && self.steps.len() > 1;
            there && (waiting.count > *before || beyond)
        });
        if !grew {
            self.steps.clear();
        }
        if self.steps.len() > GROWTHS {
            self.steps.remove(0);
        }
        self.steps.push((at, waiting.count));
    }
}
