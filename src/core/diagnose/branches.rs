//! A symptom → its branch of the tree: the questions in their order, and what they need to know.

use super::tree_walk::TreeQuestion;
use super::{chain, fleet, ke1, ke2, ke3, ke4};
use crate::evidence::{About, Need, Symptom};

/// The questions of a branch, in the order in which they are asked: the tree itself.
pub fn questions(symptom: Symptom) -> &'static [TreeQuestion] {
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
