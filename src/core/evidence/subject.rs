//! What a question is about: a device, an event, a user, or everybody.

use ruma::{
    DeviceId, EventId, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId,
    UserId,
};
use serde::{Deserialize, Serialize};

/// A device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub user: OwnedUserId,
    /// An opaque string: spaces, quotes and colons are real.
    pub device: OwnedDeviceId,
}

impl Subject {
    /// A device that is none: for a log that is read for something else than one device's keys.
    pub fn nobody() -> Self {
        let user = UserId::parse("@_:invalid").expect("a constant");
        Self { user, device: "".into() }
    }
}

/// What a question is about. In JSON its fields tell which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum About {
    /// A device, and whose media keys do not reach it.
    Sender(SenderSubject),
    /// A device, and an event that it cannot decrypt.
    Whole(WholeSubject),
    Device(Subject),
    Event(EventSubject),
    User(UserSubject),
    /// Everybody on the server.
    Server(ServerSubject),
}

/// A device, and who sends to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderSubject {
    #[serde(flatten)]
    pub device: Subject,
    pub sender: OwnedUserId,
}

/// A device and one of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeSubject {
    #[serde(flatten)]
    pub device: Subject,
    pub event: EventSubject,
}

/// An event that will not decrypt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSubject {
    pub event: OwnedEventId,
    /// The room it should be in, where the admin named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<OwnedRoomId>,
    /// The column in the client's error message, where the admin pasted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

/// A user, whichever device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSubject {
    pub user: OwnedUserId,
}

/// All of a server's users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSubject {
    /// Unknown on a terminal without a config.
    pub server: Option<OwnedServerName>,
}

impl About {
    /// The device that it is about.
    pub fn device(&self) -> Option<&Subject> {
        match self {
            Self::Device(subject) => Some(subject),
            Self::Sender(subject) => Some(&subject.device),
            Self::Whole(subject) => Some(&subject.device),
            Self::Event(_) | Self::User(_) | Self::Server(_) => None,
        }
    }

    /// The user that it is about.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(subject) => Some(&subject.user),
            _ => self.device().map(|subject| &*subject.user),
        }
    }

    /// The event that it is about.
    pub fn event(&self) -> Option<&EventSubject> {
        match self {
            Self::Event(subject) => Some(subject),
            Self::Whole(subject) => Some(&subject.event),
            _ => None,
        }
    }

    /// Who sends, where only one sender is asked about.
    pub fn sender(&self) -> Option<&UserId> {
        match self {
            Self::Sender(subject) => Some(&subject.sender),
            _ => None,
        }
    }

    /// The ids as an answer's head shows them: the user, the device, the event.
    pub fn ids(&self) -> (Option<&UserId>, Option<&DeviceId>, Option<&EventId>) {
        let device = self.device().map(|subject| &*subject.device);
        (self.user(), device, self.event().map(|subject| &*subject.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_subject_is_read_back() {
        let user = || OwnedUserId::try_from("@a:example.org").unwrap();
        let device = || Subject { user: user(), device: "MY \"PHONE\"".into() };
        let event = || EventSubject {
            event: OwnedEventId::try_from("$x").unwrap(),
            room: None,
            column: Some(3),
        };
        for about in [
            About::Device(device()),
            About::Sender(SenderSubject { device: device(), sender: user() }),
            About::Whole(WholeSubject { device: device(), event: event() }),
            About::Event(event()),
            About::User(UserSubject { user: user() }),
            About::Server(ServerSubject { server: None }),
        ] {
            let text = serde_json::to_string(&about).unwrap();
            assert_eq!(serde_json::from_str::<About>(&text).unwrap(), about, "{text}");
        }
    }
}
