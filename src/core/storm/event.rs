//! What is said of a storm: its kind, whose it is, and what is new of it.

use jiff::Timestamp;
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
    /// Keys of an identity that is gone wait to be handed out, and no line of a log says so.
    DeadIdentity,
    /// To-device messages pile up for a device that is there.
    Backlog,
    /// Synapse cannot check access tokens: its authentication service does not answer.
    Auth,
}

/// Whose storm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    Device {
        user: String,
        device: String,
    },
    Address(String),
    /// Many devices', or many addresses'.
    Everybody,
    /// The homeserver's as a whole: nothing in it is of one device.
    Server,
}

/// What is watched.
pub(super) type Id = (StormKind, Whose);

/// Something to say of a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// The storm's number; it stays over updates.
    pub storm: u64,
    pub change: Change,
    pub kind: StormKind,
    pub whose: Whose,
    pub trigger: Trigger,
    /// Refusals, keys or answers so far, or messages that wait; of many together, how many they are, and
    /// of keys of a dead identity one.
    pub count: u64,
    /// Devices, or addresses, that are in it.
    pub devices: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Event {
    /// Shortens the address that it names, where it names one.
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
    /// Another device of the user's is in it.
    Spread,
    /// It is time to look whether its verdict is still the one told. To be told only where it is another,
    /// and where `StormWatch::spend` allows.
    Cause,
    /// It came back after its end was told.
    Resumed,
    Ended,
}

/// What kind a storm is told as: many devices are a fleet, of whichever kind.
pub(super) fn told_as(id: &Id) -> StormKind {
    match id {
        (StormKind::DeadIdentity | StormKind::Backlog, Whose::Everybody) => StormKind::Fleet,
        (kind, _) => *kind,
    }
}

impl StormKind {
    /// Whether storms of this kind come from looks at the database.
    pub(super) fn is_polled(self) -> bool {
        matches!(self, Self::DeadIdentity | Self::Backlog)
    }
}
