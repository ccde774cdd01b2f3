//! What an alert says about a storm: its kind, its subject, and the news.

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::trigger::Trigger;
use crate::evidence::shortened;

/// What kind of storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StormKind {
    OtkConflict,
    OtkFlood,
    Delay,
    /// Many devices at once.
    Fleet,
    /// One-time keys of an old identity wait to be handed out, and no log line shows it.
    DeadIdentity,
    /// An active device has a growing to-device backlog.
    Backlog,
    /// Synapse cannot check access tokens: its authentication service does not answer.
    Auth,
}

/// Whose storm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    Device {
        user: OwnedUserId,
        device: OwnedDeviceId,
    },
    Address(String),
    /// Many devices, or many addresses.
    Everybody,
    /// The whole homeserver: no single device.
    Server,
}

/// The identity of a watched subject.
pub(super) type Id = (StormKind, Whose);

/// News of a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// The storm's number, the same in every update.
    pub storm: u64,
    pub change: Change,
    pub kind: StormKind,
    pub whose: Whose,
    pub trigger: Trigger,
    /// Rejected uploads, keys or answers so far, or waiting messages; for a crowd the number of its members,
    /// and 1 for keys of an old identity.
    pub count: u64,
    /// The number of its devices or addresses.
    pub devices: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Event {
    /// Shortens its address, if it has one.
    pub fn hide_address(&mut self) {
        if let Whose::Address(address) = &mut self.whose {
            *address = shortened(address);
        }
    }
}

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Started,
    /// Ten times as many as at the last message.
    Worse,
    /// Another device of the user is affected.
    Spread,
    /// It is time to check whether the verdict is still the same. Report it only if it changed, and if
    /// `StormWatch::spend` allows.
    Cause,
    /// It came back after its end was announced.
    Resumed,
    Ended,
}

/// The kind in an alert: many devices are a fleet, of any kind.
pub(super) fn told_as(id: &Id) -> StormKind {
    match id {
        (StormKind::DeadIdentity | StormKind::Backlog, Whose::Everybody) => StormKind::Fleet,
        (kind, _) => *kind,
    }
}

impl StormKind {
    /// Whether storms of this kind come from polling the database.
    pub(super) fn is_polled(self) -> bool {
        matches!(self, Self::DeadIdentity | Self::Backlog)
    }
}
