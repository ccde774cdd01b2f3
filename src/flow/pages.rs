//! A case's evidence → its page, everything behind it, its JSON, and the name of its verdict.

use kestrel_core::diagnose::{Certainty, chain, diagnose, fleet};
use kestrel_core::evidence::{Evidence, Symptom};
use kestrel_core::render::{self, View};

/// What a case's evidence comes to, as it is answered in a room and on a terminal.
pub fn page(evidence: &Evidence, view: &View) -> render::Page {
    match evidence.symptom {
        Symptom::Fleet => render::fleet(evidence, &fleet(evidence), view),
        Symptom::All => render::chain(evidence, &chain(evidence), view),
        _ => render::answer(evidence, &diagnose(evidence), view),
    }
}

/// Everything behind it.
pub fn why(evidence: &Evidence, view: &View) -> render::Page {
    match evidence.symptom {
        Symptom::Fleet => render::fleet_why(evidence, &fleet(evidence), view),
        Symptom::All => render::chain_why(evidence, &chain(evidence), view),
        _ => render::why(evidence, &diagnose(evidence), view),
    }
}

/// The stable JSON of a case.
pub fn json(evidence: &Evidence) -> serde_json::Value {
    match evidence.symptom {
        Symptom::Fleet => render::json::fleet(evidence, &fleet(evidence)),
        Symptom::All => render::json::chain(evidence, &chain(evidence)),
        _ => render::json::json(evidence, &diagnose(evidence)),
    }
}

/// A verdict's name, as cases are kept under it; a survey has none.
pub fn verdict(evidence: &Evidence) -> &'static str {
    match evidence.symptom {
        Symptom::Fleet => "survey",
        _ => diagnose(evidence).id.name(),
    }
}

/// How sure a case's verdict is; a survey that was read is as sure as a list can be.
pub fn certainty(evidence: &Evidence) -> Certainty {
    match evidence.symptom {
        Symptom::Fleet => fleet(evidence).certainty(),
        _ => diagnose(evidence).certainty,
    }
}
