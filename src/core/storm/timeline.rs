//! What came when → counts at even steps: what a picture of a storm draws.

use jiff::{SignedDuration, Timestamp};

/// Counts of several kinds over the same steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When the first step begins.
    pub from: Timestamp,
    /// How long a step is; at least a second.
    pub step: SignedDuration,
    /// At most three, each of as many steps; the first is what the storm is made of.
    pub curves: Vec<Curve>,
}

/// One kind's counts, a step each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// What is counted, in the plural: "refused uploads", "accepted uploads", "claims".
    pub name: &'static str,
    pub counts: Vec<u32>,
}
