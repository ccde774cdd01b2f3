//! To-device messages to one device: those that wait in the database, and what the log says of them.
//! A body is never here: whose key a ciphertext is for, and how large it is, will do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aside::Glance;
use super::key_log::{Coverage, Span};
use super::{Subject, Window};

/// The device's rows of `device_inbox`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Inbox {
    /// How many wait; exact up to the probe's limit, then `capped` is set.
    pub pending: u64,
    pub capped: bool,
    /// The oldest rows, at most the probe's limit; of a live watch, every row that was seen.
    pub rows: Vec<InboxRow>,
    /// There where the inbox was watched for a while instead of looked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// How an inbox was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub from: Timestamp,
    pub to: Timestamp,
    pub polls: u64,
}

/// One waiting message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRow {
    pub stream: i64,
    /// As stored; of a remote server it may be anything.
    pub sender: Option<String>,
    pub kind: Option<String>,
    /// At most 64 characters.
    pub algorithm: Option<String>,
    /// The curve25519 keys that the ciphertext is for: of Olm there is one, the recipient's.
    pub recipients: Vec<String>,
    /// Length of `message_json`.
    pub bytes: u64,
    /// When a live watch first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
}

/// What a log says of the device's to-device messages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToDeviceLog {
    pub coverage: Vec<Coverage>,
    /// `synapse.9533_debug` writes in this log: only then does silence mean anything.
    pub debug: bool,
    /// Stored for the device, by 9533_debug.
    pub stored: Option<Span>,
    /// Handed to one of the user's syncs, by 9533_debug; the line names no device.
    pub returned: Option<Span>,
    /// Dropped because the server knows no such device, by 9533_debug.
    pub dropped: Option<Span>,
    /// Refused as too large, by the sender's request.
    pub too_large: Option<Span>,
    /// The user's /sync requests that were answered; the log names no device.
    pub syncs: Option<Span>,
    /// Lines left out because a client may have written them.
    pub doubtful: u64,
}

/// Reads a log for one device.
#[derive(Debug)]
pub struct ToDeviceTally {
    log: ToDeviceLog,
}

impl ToDeviceTally {
    /// Nothing yet.
    pub fn new(_subject: Subject, _window: Window) -> Self {
        Self { log: ToDeviceLog::default() }
    }

    /// One record.
    pub fn see(&mut self, _glance: &Glance) {}

    /// What came of it.
    pub fn finish(mut self, coverage: Vec<Coverage>) -> ToDeviceLog {
        self.log.coverage = coverage;
        self.log
    }
}

impl ToDeviceLog {
    /// One line for a person.
    pub fn told(&self) -> String {
        String::new()
    }

    /// Whether the log says anything of the device itself.
    pub fn says_anything(&self) -> bool {
        false
    }

    /// Puts another process's log beside this one.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
    }
}
