//! A verdict → its remedies, best first, each judged as the branch judges it.

use super::certainty::Certainty;
use super::remedy::{Advice, Recommendation, Remedy};
use super::verdict::Verdict;
use super::verdict_id::VerdictId;

/// The remedies of a verdict, best first.
pub fn advise(verdict: VerdictId) -> Vec<Advice> {
    let rows = (1..).zip(verdict.row().remedies);
    rows.map(|(rank, &(id, advice, why))| Advice {
        id,
        rank,
        advice,
        why,
        blast_radius: id.blast_radius(),
    })
    .collect()
}

/// What a user may be told to do without an admin: it touches their own session, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safe {
    Relogin,
    CloseSecondClient,
}

/// The safe advice of a verdict: only of a proven one, and only where it is the first thing to do.
pub fn safe(verdict: &Verdict) -> Option<Safe> {
    let (first, recommended, _) = verdict.id.row().remedies.first()?;
    if verdict.certainty != Certainty::Proven || *recommended != Recommendation::Recommended {
        return None;
    }
    match first {
        Remedy::Relogin => Some(Safe::Relogin),
        Remedy::CloseSecondClient => Some(Safe::CloseSecondClient),
        _ => None,
    }
}
