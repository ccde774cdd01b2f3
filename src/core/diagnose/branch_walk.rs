//! A branch's questions, asked in their order until one gives the verdict.

use super::certainty::Certainty;
use super::conclusion::conclude;
use super::facts::Facts;
use super::tree_walk::{TreeQuestion, Walk};
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use crate::evidence::Evidence;

/// Walks one branch.
pub(super) fn walk_branch(
    evidence: &Evidence,
    facts: &Facts,
    questions: &'static [TreeQuestion],
) -> Verdict {
    #[cfg(test)]
    counter::count();
    let mut walk = Walk::new(evidence, facts);
    for question in questions {
        if let Some((id, certainty)) = walk.ask(question) {
            debug_assert!(question.rules.contains(&id), "{} gives {}", question.name, id.name());
            return conclude(walk, id, certainty);
        }
    }
    conclude(walk, VerdictId::Inconclusive, Certainty::NotEnoughEvidence)
}

/// How many branches were walked: each costs a look at all refusals and stored keys.
#[cfg(test)]
pub(crate) mod counter {
    use std::cell::Cell;

    thread_local! {
        static WALKS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        WALKS.set(WALKS.get() + 1);
    }

    /// The walks that this thread made meanwhile.
    pub(crate) fn walks<T>(meanwhile: impl FnOnce() -> T) -> (T, usize) {
        let before = WALKS.get();
        let done = meanwhile();
        (done, WALKS.get() - before)
    }
}
