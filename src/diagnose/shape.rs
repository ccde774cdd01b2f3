//! How refused and accepted uploads lie in time: what parts two clients on one store from a store that
//! was put back. It reads the order of things, never a key.

use super::refusals::Refusals;
use crate::evidence::KeyLog;
use crate::evidence::key_log::AcceptedBatch;

/// Two syncs of one device that overlap leave tens of these lines; one client leaves 0 to 2.
const SHARED_SYNC: u64 = 10;

/// How the refusals and the accepted uploads lie in time, to part the two "same account" causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    TwoClients,
    Rollback,
    Unclear,
}

impl Shape {
    /// Why, for a person.
    pub(super) fn words(self, log: &KeyLog) -> String {
        match self {
            Self::TwoClients => format!(
                "other uploads with higher ids were accepted in between, and {} syncs of the device \
                 overlapped: two clients take turns",
                log.shared_sync
            ),
            Self::Rollback => {
                "the refused ids had been accepted before, and nothing else was accepted \
                               meanwhile: one client that went back in time"
                    .into()
            }
            Self::Unclear => {
                "the order of uploads in the log does not tell which of the two it is".into()
            }
        }
    }
}

/// Reads the shape off the refusals that count.
pub(super) fn shape(refusals: &Refusals, log: &KeyLog) -> Shape {
    let Some(span) = refusals.span() else {
        return Shape::Unclear;
    };
    let ranges = refusals.groups.iter().filter_map(|group| group.refused.batch.range);
    let Some(refused) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Shape::Unclear;
    };
    let accepted = |pick: &dyn Fn(&AcceptedBatch, (u64, u64)) -> bool| {
        log.accepted
            .batches
            .iter()
            .any(|batch| batch.batch.range.is_some_and(|range| pick(batch, range)))
    };
    let meanwhile = accepted(&|batch, range| {
        span.first < batch.span.last && batch.span.first < span.last && range.1 > refused.1
    });
    let before = accepted(&|batch, range| {
        batch.span.first < span.first && range.0 <= refused.1 && refused.0 <= range.1
    });
    let device_keys = refusals.groups.iter().any(|group| group.refused.with_device_keys > 0);
    match (meanwhile, before) {
        _ if device_keys => Shape::Unclear,
        (true, _) => Shape::TwoClients,
        (false, _) if log.shared_sync >= SHARED_SYNC => Shape::TwoClients,
        (false, true) if span.count > 1 => Shape::Rollback,
        _ => Shape::Unclear,
    }
}
