//! What the polls of the database have shown about each device. It serialises with the state of the watch.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::map_as_pairs;
use crate::evidence::poll::{COUNTED, Device, Waiting};

/// A backlog must have grown in this many consecutive polls.
pub(super) const GROWTHS: usize = 3;
/// How late Synapse may record that a device was active.
const NOTED: SignedDuration = SignedDuration::from_mins(2);
/// After this long without a poll (the longest interval is a day) a storm counts as ended.
pub(super) const UNSEEN: SignedDuration = SignedDuration::from_hours(72);

/// The results of the polls so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PollState {
    /// A round started with the first device.
    pub(super) begun: bool,
    /// Every device was polled once: what is found from now on is new.
    pub(super) whole: bool,
    #[serde(with = "map_as_pairs")]
    pub(super) dead: BTreeMap<Device, Dead>,
    #[serde(with = "map_as_pairs")]
    pub(super) waiting: BTreeMap<Device, Growth>,
}

/// A device with keys of an old identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) first: Timestamp,
    /// Consecutive polls that showed it, and that did not.
    pub(super) shown: u8,
    pub(super) missed: u8,
    /// It is old, or was announced.
    pub(super) settled: bool,
}

/// A backlog.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Growth {
    /// The newest counts, each higher than the one before.
    pub(super) steps: Vec<(Timestamp, u64)>,
    /// The highest count of its storm.
    pub(super) peak: u64,
}

impl Growth {
    /// Adds a count if the backlog grew while the device was active; otherwise starts again with it.
    pub(super) fn step(&mut self, waiting: &Waiting, at: Timestamp) {
        let grew = self.steps.last().is_some_and(|(then, before)| {
            let there = waiting.last_seen >= then.checked_sub(NOTED).unwrap_or(*then);
            // At the limit of counting, a growing backlog counts as growing.
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
