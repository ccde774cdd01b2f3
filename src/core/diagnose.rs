//! Evidence and a reference time → a verdict. The trunk of the tree on one screen.
//!
//! Pure: no clock, no I/O, no regex. What it does not find in the evidence it does not know.

pub mod advice;
mod auth_outage;
pub mod chain;
mod changed;
mod database_lag;
pub mod device_list;
mod device_removal;
mod findings;
pub mod fleet;
mod inbox_contents;
mod ke1;
mod ke2;
mod ke3;
mod ke4;
mod key_count;
mod known_device;
mod log_visibility;
mod quiet_period;
mod refusals;
pub mod remedy;
mod resolved_refusals;
mod tree_walk;
pub mod verdict;

use crate::evidence::{About, Evidence, Need, Symptom};
pub use advice::advise;
pub use chain::{Chain, chain};
pub use changed::changed;
pub use database_lag::{YOUNG, is_young};
pub use fleet::{Fleet, fleet};
pub use log_visibility::{Also, AlsoId};
pub use tree_walk::Question;
pub use verdict::{Certainty, Verdict, VerdictId};

/// Judges one question's evidence; of the whole chain it gives the verdict to act on first.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    match evidence.symptom {
        Symptom::All => chain(evidence).first().clone(),
        symptom => tree_walk::walk(evidence, questions(symptom)),
    }
}

/// The questions of a branch, in the order in which they are asked: the tree itself.
pub fn questions(symptom: Symptom) -> &'static [Question] {
    match symptom {
        Symptom::Ke1 => ke1::QUESTIONS,
        Symptom::Ke2 => ke2::QUESTIONS,
        Symptom::Ke3 => ke3::QUESTIONS,
        Symptom::Ke4 => ke4::QUESTIONS,
        // They walk the branches, and have no questions of their own.
        Symptom::All | Symptom::Fleet => &[],
    }
}

/// What a branch of the tree needs to know about its subject.
pub fn needs(symptom: Symptom, about: &About) -> &'static [Need] {
    match symptom {
        Symptom::Ke1 => ke1::NEEDS,
        Symptom::Ke2 => ke2::NEEDS,
        Symptom::Ke3 => ke3::NEEDS,
        Symptom::Ke4 => ke4::NEEDS,
        Symptom::All => chain::needs(about),
        Symptom::Fleet => fleet::NEEDS,
    }
}

#[cfg(test)]
mod scene;
