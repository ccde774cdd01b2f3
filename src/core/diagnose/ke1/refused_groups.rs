//! The refusals and the stored keys of KE-1 by the account that made them.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::refusals::{Group, Pattern, newer};
use crate::diagnose::tree_walk::Walk;
use crate::diagnose::verdict::Answer;
use crate::evidence::otk::Check;

/// The refusals of a pattern; where there are none, that is the answer.
pub(super) fn strongest_group<'a>(
    walk: &mut Walk<'a>,
    pattern: Pattern,
    none: &'static str,
) -> Option<Group<'a>> {
    let group = walk.refusals.with_pattern(pattern).copied();
    if group.is_none() {
        let untested = !walk.refusals.groups.is_empty() && walk.known.keys.unknown().is_some();
        let answer = if untested { Answer::Unknown } else { Answer::No };
        let because = match walk.known.keys.unknown().filter(|_| untested) {
            Some(why) => format!("the signature test was not possible: {why}"),
            None => walk.refusals.why_none(none).to_owned(),
        };
        walk.step(answer, because, &walk.known.log);
    }
    group
}

pub(super) fn line_certainty(group: &Group) -> Certainty {
    if group.proves() { Certainty::Proven } else { Certainty::Consistent }
}

/// Stored keys that fail the signature test: of an account before the one that stands, and of another
/// beside it.
pub(super) fn failing(walk: &Walk) -> (usize, usize) {
    let (Some(stored), Some(keys)) = (walk.known.stored.value(), walk.known.keys.value()) else {
        return (0, 0);
    };
    let failing = stored.keys.iter().filter(|key| key.value.check == Check::Fails);
    let (beside, before): (Vec<_>, Vec<_>) = failing.partition(|key| newer(key, keys));
    (before.len(), beside.len())
}
