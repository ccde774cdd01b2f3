//! What a branch says where its logs could not have shown what it asks, or stop before the end asked about.

use super::findings;
use super::tree_walk::{Walk, log_how};
use super::verdict::Answer;
use crate::evidence::blind::Blind;

/// Notes what the key logs could not have shown; whether there is any.
pub(super) fn keys_unseen(walk: &mut Walk) -> bool {
    let known = walk.known;
    wanted(walk, known.unseen.keys.as_ref())
}

/// The same of delayed events, as the answer to the question that is asked.
pub(super) fn delays_unseen(walk: &mut Walk) -> bool {
    let known = walk.known;
    let Some(blind) = &known.unseen.delays else { return false };
    walk.step(Answer::Unknown, blind.text(), &known.delays);
    wanted(walk, Some(blind))
}

fn wanted(walk: &mut Walk, blind: Option<&Blind>) -> bool {
    let Some(blind) = blind else { return false };
    // Said first: what to do about a log that could not be read says less.
    walk.missing("the Synapse log", blind.how());
    true
}

/// Why "no refusal in the log" says nothing there.
pub(super) fn no_refusal(walk: &Walk) -> String {
    walk.known.unseen.keys.as_ref().map(Blind::text).unwrap_or_default()
}

/// Notes that no log continues to the end asked about; whether that is so.
pub(super) fn stopped(walk: &mut Walk) -> bool {
    let log = walk.known.log.value();
    let Some(why) = log.and_then(|log| findings::stopped(log, walk.evidence)) else { return false };
    walk.missing("the Synapse log", log_how(&why));
    true
}
