//! What else is wrong with the user's restarts, beside the trouble that decides.

use super::delayed_events::Delays;
use super::slow_restarts;
use crate::diagnose::tree_walk::Walk;
use crate::evidence::counted;

pub(super) fn also_slow(walk: &mut Walk, delays: &Delays) {
    walk.findings.splice(0..0, slow_restarts::reasons(delays));
}

pub(super) fn also_gone(walk: &mut Walk, delays: &Delays) {
    let count: u64 = delays.gone().iter().map(|(_, count)| count).sum();
    if count > 0 {
        walk.findings.push(format!(
            "{} were answered with 404, because the event was gone",
            counted(count, "restart")
        ));
    }
}
