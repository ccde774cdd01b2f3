//! Whether the database confirms an alert.

use serde::{Deserialize, Serialize};

/// Whether more than the log confirms an alert: anyone can write lines into a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// The database has the device, and the requests were its own.
    Confirmed,
    /// It could not be checked; the text says why.
    Unconfirmed(String),
    /// The database contradicts it: nobody is alerted.
    Contradicted(String),
}
