//! A saved case → how lists and heads name it, in rooms and on a terminal alike.

use crate::store::Kept;
use kestrel_core::render::case::CaseLine;

/// A case as lists show it, with a link to its thread.
pub fn case_line<'a>(kept: &'a Kept, link: Option<&'a str>) -> CaseLine<'a> {
    CaseLine {
        number: kept.number,
        at: kept.at,
        symptom: kept.symptom,
        about: &kept.about,
        verdict: &kept.verdict,
        certainty: &kept.certainty,
        asker: kept.asker.as_ref().map(|asker| asker.as_str()),
        link,
    }
}
