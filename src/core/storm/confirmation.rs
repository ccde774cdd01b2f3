//! Whether the database bears an alert out.

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
