//! Whether the database bears an alert out, and what people asked not to hear of.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

/// Whether an alert is borne out by more than a log that anyone may write lines into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// The database has the device, and the requests were its own.
    Confirmed,
    /// Nobody could say; the text says why.
    Unconfirmed(String),
    /// The database says otherwise: nobody is told.
    Contradicted(String),
}

/// What is not to be told of.
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
