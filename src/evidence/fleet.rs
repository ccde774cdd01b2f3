//! Every device at once: whose uploads are refused by the log, and whose stored keys are in trouble by
//! the database. Bounded, and it says when it was cut.

use serde::{Deserialize, Serialize};

use super::Window;
use super::aside::Glance;
use super::key_log::Coverage;

/// What a log says of everybody's key uploads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetLog {
    pub coverage: Vec<Coverage>,
}

/// Devices whose stored keys are in trouble.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetRows {}

/// Reads a log for everybody.
#[derive(Debug)]
pub struct FleetTally {
    log: FleetLog,
}

impl FleetTally {
    /// Nothing yet.
    pub fn new(_window: Window) -> Self {
        Self { log: FleetLog::default() }
    }

    /// One record.
    pub fn see(&mut self, _glance: &Glance) {}

    /// The process's request ids start again.
    pub fn restart(&mut self, _process: usize) {}

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> FleetLog {
        self.log.coverage = coverage;
        self.log
    }
}

impl FleetLog {
    /// One line for a person.
    pub fn told(&self) -> String {
        String::new()
    }

    /// Whether any device is in trouble by the log.
    pub fn says_anything(&self) -> bool {
        false
    }

    /// Puts another process's log beside this one.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
    }
}
