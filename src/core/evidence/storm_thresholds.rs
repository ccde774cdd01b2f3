//! What counts as a storm; an admin can change it.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What counts as a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Rejected uploads of one device that make a storm, whichever key IDs they name; a single one is none.
    /// Repetition counts: idle devices retry twice a minute, busy ones a hundred times a second.
    pub refusals: usize,
    /// … within this time.
    pub within: SignedDuration,
    /// Keys accepted beyond those claimed, within `sustained`, that make a flood.
    pub surplus: u64,
    pub sustained: SignedDuration,
    /// Rate-limited requests (429) on delayed events from one address within a minute.
    pub limited: usize,
    /// Restarts in a row that took two seconds and more.
    pub slow: usize,
    /// 404 answers on delayed events from one address within `within`.
    pub gone: usize,
    /// Devices or addresses that start within `together` and become one alert.
    pub fleet: usize,
    pub together: SignedDuration,
    /// A storm ends after this long without an event.
    pub quiet: SignedDuration,
    /// A storm that comes back within this time is the same storm.
    pub flap: SignedDuration,
    /// The shortest time between two messages about one storm; it doubles with each.
    pub pause: SignedDuration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            refusals: 3,
            within: SignedDuration::from_mins(10),
            surplus: 500,
            sustained: SignedDuration::from_hours(1),
            limited: 5,
            slow: 2,
            gone: 20,
            fleet: 10,
            together: SignedDuration::from_mins(5),
            quiet: SignedDuration::from_mins(10),
            flap: SignedDuration::from_hours(1),
            pause: SignedDuration::from_mins(5),
        }
    }
}
