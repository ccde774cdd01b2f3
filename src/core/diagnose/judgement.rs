//! Evidence and a reference time → its judgement, made once a question. Whoever words it is handed it.
//!
//! Pure: no clock, no I/O, no regex. What it does not find in the evidence it does not know.

use super::branch_walk::walk_branch;
use super::certainty::Certainty;
use super::chain::{Chain, chain};
use super::facts::Facts;
use super::fleet::{Fleet, fleet};
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use super::{ke1, ke2, ke3, ke4};
use crate::evidence::{Evidence, Symptom};

/// What the evidence of one question comes to.
#[derive(Debug, Clone)]
pub enum Judgement {
    /// One branch of the tree.
    Branch(Box<Verdict>),
    /// All branches of one device, in the order to act.
    Chain(Chain),
    /// Everybody: no verdict.
    Survey(Box<Fleet>),
}

/// Judges the evidence of one question.
pub fn judge(evidence: &Evidence) -> Judgement {
    match evidence.symptom {
        Symptom::All => Judgement::Chain(chain(evidence)),
        Symptom::Fleet => Judgement::Survey(Box::new(fleet(evidence))),
        Symptom::Ke1 => branch(walk_branch(evidence, &Facts::look_up(evidence), ke1::QUESTIONS)),
        Symptom::Ke2 => {
            let mut facts = Facts::look_up(evidence);
            facts.note_ke1(&walk_branch(evidence, &facts, ke1::QUESTIONS));
            branch(walk_branch(evidence, &facts, ke2::QUESTIONS))
        }
        Symptom::Ke3 => branch(walk_branch(evidence, &Facts::look_up(evidence), ke3::QUESTIONS)),
        Symptom::Ke4 => branch(walk_branch(evidence, &Facts::look_up(evidence), ke4::QUESTIONS)),
    }
}

fn branch(verdict: Verdict) -> Judgement {
    Judgement::Branch(Box::new(verdict))
}

impl Judgement {
    /// The verdict; of a chain the one to act on first. A survey has none.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Branch(verdict) => Some(verdict),
            Self::Chain(chain) => Some(chain.first()),
            Self::Survey(_) => None,
        }
    }

    /// The verdict on the keys, of the whole chain too.
    pub fn keys_verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Chain(chain) => chain.verdict_of(Symptom::Ke1).or(self.verdict()),
            _ => self.verdict(),
        }
    }

    /// The verdict's id; a survey has none.
    pub fn id(&self) -> Option<VerdictId> {
        self.verdict().map(|verdict| verdict.id)
    }

    /// The name that cases are kept under.
    pub fn name(&self) -> &'static str {
        self.id().map_or("survey", VerdictId::name)
    }

    /// How sure it is; a survey that was read is as sure as a list can be.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Survey(fleet) => fleet.certainty(),
            _ => self.verdict().map_or(Certainty::NotEnoughEvidence, |verdict| verdict.certainty),
        }
    }
}

/// The verdict alone, of evidence that is not of a survey.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    match judge(evidence) {
        Judgement::Branch(verdict) => *verdict,
        Judgement::Chain(chain) => chain.first().clone(),
        // A survey's evidence says nothing of one device.
        Judgement::Survey(_) => walk_branch(evidence, &Facts::look_up(evidence), &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::branch_walk::counter::walks;
    use crate::diagnose::scene::recorded;

    fn cost(case: &str) -> usize {
        let evidence = recorded(case);
        walks(|| judge(&evidence)).1
    }

    #[test]
    fn each_branch_is_walked_once_a_question() {
        assert_eq!(cost("ke1--otk-healthy--healthy"), 1);
        assert_eq!(cost("ke1--otk-recreated--evict"), 1);
        // KE-2 asks what KE-1 found.
        assert_eq!(cost("ke2--media-validation--healthy"), 2);
        assert_eq!(cost("ke4--delay-healthy--calm"), 1);
        // KE-1, KE-2 and KE-4; KE-3 where an event is named.
        assert_eq!(cost("all--otk-healthy--healthy"), 3);
        assert_eq!(cost("all--event-malformed--broken-event"), 4);
    }
}
