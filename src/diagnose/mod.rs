//! Evidence and a reference time → a verdict. The trunk of the tree on one screen.
//!
//! Pure: no clock, no I/O, no regex. What it does not find in the evidence it does not know.

mod findings;
mod ke1;
mod ke3;
mod refusals;
pub mod remedy;
mod shape;
mod stock;
pub mod verdict;
mod walk;

use crate::evidence::otk::Check;
use crate::evidence::{Evidence, Need, Symptom};
pub use verdict::{Certainty, Verdict, VerdictId};
pub use walk::Question;

/// Judges one question's evidence.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    walk::walk(evidence, questions(evidence.symptom))
}

/// The questions of a branch, in the order in which they are asked: the tree itself.
pub fn questions(symptom: Symptom) -> &'static [Question] {
    match symptom {
        Symptom::Ke1 => ke1::QUESTIONS,
        Symptom::Ke3 => ke3::QUESTIONS,
    }
}

/// What a branch of the tree needs to know.
pub fn needs(symptom: Symptom) -> &'static [Need] {
    match symptom {
        Symptom::Ke1 => ke1::NEEDS,
        Symptom::Ke3 => ke3::NEEDS,
    }
}

/// What is worth a look at a device, from its row alone; `None` where nothing is.
pub fn trouble(row: &crate::evidence::DeviceRow) -> Option<&'static str> {
    match row {
        row if row.has_keys == Some(false) => Some("no encryption keys"),
        row if row.next_key == Some(Check::Fails) => Some("its next key is of a dead account"),
        row if row.one_time_keys == Some(0) => Some("no one-time keys left"),
        row if row.one_time_keys.is_some_and(|count| count > stock::FLOOD) => {
            Some("far too many keys")
        }
        _ => None,
    }
}
