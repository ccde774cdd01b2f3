//! When something is a storm: what an admin tunes.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// When something is a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Refusals of one device that make a storm, whichever key IDs they name; one is none. It is repetition
    /// that counts: idle devices make two a minute, busy ones a hundred a second.
    pub refusals: usize,
    /// … within this time.
    pub within: SignedDuration,
    /// Keys accepted beyond those claimed, within `sustained`, that make a flood.
    pub surplus: u64,
    pub sustained: SignedDuration,
    /// 429s on delayed events of one address within a minute.
    pub limited: usize,
    /// Restarts in a row that took two seconds and more.
    pub slow: usize,
    /// 404s on delayed events of one address within `within`.
    pub gone: usize,
    /// Devices, or addresses, that start within `together` and are one alert.
    pub fleet: usize,
    pub together: SignedDuration,
    /// Silence after which a storm is over.
    pub quiet: SignedDuration,
    /// A storm that comes back within this time is the same.
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
