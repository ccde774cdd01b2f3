//! The span of time that a question is about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The span of time the question is about; `from` ≤ `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// Whether the moment lies in the window, both ends included.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }
}
