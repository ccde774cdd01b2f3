//! Why the device is taken not to fetch what waits for it.

use crate::diagnose::known_device::device_row;
use crate::diagnose::tree_walk::Walk;

/// Why the device is taken not to fetch what waits for it.
pub(super) fn undrained(walk: &Walk) -> Option<Vec<String>> {
    walk.evidence.dehydrated().value().filter(|dehydrated| !**dehydrated)?;
    let log = walk.evidence.to_device_log();
    walk.known.inbox.undrained(device_row(walk), log.value(), walk.evidence.now)
}
