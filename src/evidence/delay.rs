//! Delayed events (MSC4140) of one user: what is pending, what was sent, what the log says of their
//! restarts, and how fast the homeserver answered. A `delay_id` lets anyone who has it act, so only its
//! digest is here.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::Window;
use super::aside::Glance;
use super::key_log::Coverage;

/// SHA-256 of a delay id, in hex: enough to see that two are the same.
pub type Digest = String;

/// A row of `delayed_events`; there is one only while the event is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub id: Digest,
    pub device: Option<String>,
    pub room: String,
    pub kind: String,
    /// Milliseconds.
    pub delay: u64,
    /// When it will be sent, unless it is restarted.
    pub due: Option<Timestamp>,
    /// It is being sent.
    pub processed: bool,
}

/// A delayed event that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: Digest,
    pub event: String,
    pub room: String,
    pub kind: String,
    pub sender: String,
    pub sent: Option<Timestamp>,
}

/// What a log says of delayed events and of latency.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DelayLog {
    pub coverage: Vec<Coverage>,
}

/// What Prometheus measured over the window.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Metrics {}

/// Reads a log for one user.
#[derive(Debug)]
pub struct DelayTally {
    log: DelayLog,
}

impl DelayTally {
    /// Nothing yet.
    pub fn new(_user: OwnedUserId, _window: Window) -> Self {
        Self { log: DelayLog::default() }
    }

    /// One record.
    pub fn see(&mut self, _glance: &Glance) {}

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> DelayLog {
        self.log.coverage = coverage;
        self.log
    }
}

impl DelayLog {
    /// One line for a person.
    pub fn told(&self) -> String {
        String::new()
    }

    /// Whether the log says anything of delayed events.
    pub fn says_anything(&self) -> bool {
        false
    }

    /// Puts another process's log beside this one.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
    }
}
