//! A question's judgement → its answer, everything behind it, and its stable JSON. It judges nothing again.

use serde_json::Value;

use super::answer::answer;
use super::chain::{chain, chain_why};
use super::fleet::{fleet, fleet_why};
use super::json;
use super::page::Page;
use super::view::View;
use super::why::why as verdict_why;
use crate::diagnose::Judgement;
use crate::evidence::Evidence;

/// The answer, as a room and a terminal show it.
pub fn page(evidence: &Evidence, judgement: &Judgement, view: &View) -> Page {
    match judgement {
        Judgement::Branch(verdict) => answer(evidence, verdict, view),
        Judgement::Chain(branches) => chain(evidence, branches, view),
        Judgement::Survey(survey) => fleet(evidence, survey, view),
    }
}

/// Every step and every query behind it.
pub fn why(evidence: &Evidence, judgement: &Judgement, view: &View) -> Page {
    match judgement {
        Judgement::Branch(verdict) => verdict_why(evidence, verdict, view),
        Judgement::Chain(branches) => chain_why(evidence, branches, view),
        Judgement::Survey(survey) => fleet_why(evidence, survey, view),
    }
}

/// The stable JSON of a case.
pub fn json(evidence: &Evidence, judgement: &Judgement) -> Value {
    match judgement {
        Judgement::Branch(verdict) => json::json(evidence, verdict),
        Judgement::Chain(branches) => json::chain(evidence, branches),
        Judgement::Survey(survey) => json::fleet(evidence, survey),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::case::numbered;
    use super::*;
    use crate::diagnose::{judge, walks};

    /// All that the bot does with one question: its answer, with its number, the name that it is kept under,
    /// and `!why` in its thread.
    fn answered(case: &str) -> usize {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");
        let text = std::fs::read_to_string(format!("{cases}/{case}/evidence.json")).unwrap();
        let evidence: Evidence = serde_json::from_str(&text).unwrap();
        let view = View::in_zone(TimeZone::UTC);
        let (judgement, judged) = walks(|| judge(&evidence));
        let (said, worded) = walks(|| {
            let page = numbered(page(&evidence, &judgement, &view), 7);
            let kept = (judgement.name(), judgement.certainty().name());
            let why = why(&evidence, &judgement, &view);
            let json = json(&evidence, &judgement);
            format!("{kept:?} {} {} {json}", page.markdown(), why.markdown())
        });
        assert!(said.contains(judgement.name()), "{case}");
        assert_eq!(worded, 0, "{case}: wording an answer judges nothing");
        judged
    }

    #[test]
    fn a_question_is_judged_once_and_its_words_judge_nothing() {
        assert_eq!(answered("ke1--otk-recreated--evict"), 1);
        // Three branches: no event was named.
        assert_eq!(answered("all--otk-healthy--healthy"), 3);
    }
}
