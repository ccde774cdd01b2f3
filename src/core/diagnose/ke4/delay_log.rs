//! What the log says about the user's delayed events: what every question of KE-4 starts from.

use super::delayed_events::Delays;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::Walk;
use crate::diagnose::verdict::Answer;

/// The user's delayed events, put together.
pub(super) fn delays<'a>(walk: &Walk<'a>) -> Delays<'a> {
    Delays::of_user(walk.evidence, &walk.known.delays)
}

/// Whether there is a log to ask; without one the question stays open.
pub(super) fn is_read(walk: &mut Walk) -> bool {
    let known = walk.known;
    if let Some(why) = known.delays.unknown() {
        walk.step(Answer::Unknown, why, &known.delays);
    }
    known.delays.unknown().is_none()
}

/// Proven where a log that cannot be forged shows it of an event that is surely the user's.
pub(super) fn proven_or_consistent(proven: bool) -> Certainty {
    if proven { Certainty::Proven } else { Certainty::Consistent }
}
