//! What Kestrel is asked, whoever asks: a command in a room, flags on a terminal, a button, a report, a storm, a
//! capture, or a case that is asked again. It names a subject and a window and says nothing about sources.

use std::time::Duration;

use jiff::Timestamp;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::evidence::{EventSubject, Symptom};

/// The longest window, in days. Synapse keeps three rotated logs by default and few sites keep more than a
/// month; a longer window would only read long.
pub const LONGEST_DAYS: u64 = 31;
/// The same as a length.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 60 * 60);

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub topic: Topic,
    /// The window that is looked at. What is read of an event has none.
    pub span: Span,
}

/// What is asked, and about whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// One-time key conflicts of one device.
    Ke1 {
        user: OwnedUserId,
        /// `None` lists the user's devices.
        device: Option<OwnedDeviceId>,
    },
    /// Media keys of calls that do not reach a device.
    Ke2 {
        user: OwnedUserId,
        /// `None` lists the user's devices.
        device: Option<OwnedDeviceId>,
        /// Only messages of this sender count.
        sender: Option<OwnedUserId>,
        /// How long the device's inbox is watched while a call runs.
        live: Option<Duration>,
    },
    /// An event that does not decrypt.
    Ke3(EventSubject),
    /// Delayed events that time out.
    Ke4 { user: OwnedUserId },
    /// All four, and the chain between them.
    All {
        user: OwnedUserId,
        /// `None` takes the device in trouble, or the one seen last.
        device: Option<OwnedDeviceId>,
        /// An event that does not decrypt, for KE-3.
        event: Option<EventSubject>,
    },
    /// Everybody on the server.
    Fleet,
}

/// The window of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The configured default, ending now.
    Unsaid,
    Last(Duration),
    Since(Timestamp),
    Between(Timestamp, Timestamp),
}

impl Question {
    pub fn symptom(&self) -> Symptom {
        match self.topic {
            Topic::Ke1 { .. } => Symptom::Ke1,
            Topic::Ke2 { .. } => Symptom::Ke2,
            Topic::Ke3(_) => Symptom::Ke3,
            Topic::Ke4 { .. } => Symptom::Ke4,
            Topic::All { .. } => Symptom::All,
            Topic::Fleet => Symptom::Fleet,
        }
    }

    /// The user that it is about.
    pub fn user(&self) -> Option<&UserId> {
        match &self.topic {
            Topic::Ke1 { user, .. }
            | Topic::Ke2 { user, .. }
            | Topic::Ke4 { user }
            | Topic::All { user, .. } => Some(user),
            Topic::Ke3(_) | Topic::Fleet => None,
        }
    }

    /// The device that it names.
    pub fn device(&self) -> Option<&DeviceId> {
        match &self.topic {
            Topic::Ke1 { device, .. } | Topic::Ke2 { device, .. } | Topic::All { device, .. } => {
                device.as_deref()
            }
            Topic::Ke3(_) | Topic::Ke4 { .. } | Topic::Fleet => None,
        }
    }

    /// How long the device's inbox is watched before the answer.
    pub fn live(&self) -> Option<Duration> {
        match self.topic {
            Topic::Ke2 { live, .. } => live,
            _ => None,
        }
    }
}
