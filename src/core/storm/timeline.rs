//! Counts in equal steps, for the picture of a storm.

use jiff::{SignedDuration, Timestamp};

/// Several counts over the same steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When the first step begins.
    pub from: Timestamp,
    /// The length of a step; at least a second.
    pub step: SignedDuration,
    /// At most three, with equally many steps; the first is the storm itself.
    pub curves: Vec<Curve>,
}

/// One count per step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// What is counted, in the plural: "rejected uploads", "accepted uploads", "claims".
    pub name: &'static str,
    pub counts: Vec<u32>,
}
