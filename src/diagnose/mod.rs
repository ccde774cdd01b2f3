//! Evidence and a reference time → a verdict. The trunk of the tree on one screen.
//!
//! Pure: no clock, no I/O, no regex. What it does not find in the evidence it does not know.

pub mod advice;
mod auth;
pub mod chain;
mod changed;
mod client_signs;
mod delays;
mod figures;
mod findings;
pub mod fleet;
mod gaps;
mod ke1;
mod ke2;
mod ke3;
mod ke4;
mod mail;
mod minutes;
mod refusals;
pub mod remedy;
mod removed;
mod shape;
mod silence;
mod slow;
mod stock;
pub mod verdict;
mod walk;
mod witness;

use crate::evidence::otk::Check;
use crate::evidence::{About, Evidence, Need, Symptom};
pub use advice::advise;
pub use chain::{Chain, chain};
pub use changed::changed;
pub use fleet::{Fleet, fleet};
pub use verdict::{Certainty, Verdict, VerdictId};
pub use walk::Question;

/// Judges one question's evidence; of the whole chain it gives the verdict to act on first.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    match evidence.symptom {
        Symptom::All => chain(evidence).first().clone(),
        symptom => walk::walk(evidence, questions(symptom)),
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

/// What is worth a look at a device, from its row alone; `None` where nothing is.
pub fn trouble(row: &crate::evidence::DeviceRow) -> Option<&'static str> {
    match row {
        row if row.has_keys == Some(false) => Some("no encryption keys"),
        row if row.next_key == Some(Check::Fails) => Some("its next key is of a dead account"),
        row if row.one_time_keys == Some(0) => Some("no one-time keys left"),
        row if row.one_time_keys.is_some_and(|count| count >= stock::FLOOD) => {
            Some("far too many keys")
        }
        _ => None,
    }
}
