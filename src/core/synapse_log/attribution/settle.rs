//! Requests that can have no further lines → the sum.

use crate::synapse_log::forgery::LinePlace;
use crate::synapse_log::key_tally::Tally;
use crate::synapse_log::process::{Process, Settled};

/// Settled again after so many lines.
const EVERY: u64 = 256;

/// Whether it is time to settle: not at every line.
pub(super) fn is_due(place: LinePlace) -> bool {
    place.line.is_multiple_of(EVERY)
}

/// Sums up the requests that can have no further lines; all of them at the `end`.
pub(super) fn settle(
    process: &mut Process,
    tally: &mut Tally,
    next: LinePlace,
    (text, end): (bool, bool),
) {
    while let Some(settled) = process.settle(&tally.subject, next, (text, end)) {
        match settled {
            Settled::Loose(seen) => tally.loose(seen),
            Settled::Request(request) => tally.fold(*request),
        }
    }
}
