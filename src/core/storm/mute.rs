//! What people muted, and whether that covers a storm.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::event::{Event, Whose};

/// The subject of a mute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Muted {
    /// A storm, by its number.
    Storm(u64),
    /// Every device of a user.
    User(OwnedUserId),
    All,
}

/// A mute, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    pub what: Muted,
    pub until: Timestamp,
    /// Who asked for it.
    pub by: String,
}

impl Muted {
    /// Whether a mute of this subject covers a storm. A storm of many devices belongs to no single user.
    pub fn covers(&self, storm: &Event) -> bool {
        match (self, &storm.whose) {
            (Muted::All, _) => true,
            (Muted::Storm(number), _) => *number == storm.storm,
            (Muted::User(muted), Whose::Device { user, .. }) => muted == user,
            (Muted::User(_), _) => false,
        }
    }
}
