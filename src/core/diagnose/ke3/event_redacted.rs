//! KE-3 asks whether the event was redacted.

use super::unread::unread;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;
use crate::evidence::event::Algorithm;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "event-redacted",
    asked: "Was it redacted?",
    rules: &[VerdictId::EventRedacted],
    ask: event_redacted,
};

fn event_redacted(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let redactions = walk.evidence.redactions();
    let rows = match &redactions {
        Known::Is(rows, _) => rows,
        Known::None(_) => {
            walk.step(Answer::No, "no redaction refers to it", &redactions);
            return None;
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &redactions);
            return None;
        }
    };
    if rows.iter().all(|row| row.censored) && states_algorithm(walk) {
        let why = "a redaction refers to it, but Synapse kept the content because the redaction's sender was not allowed \
                   to redact it";
        walk.step(Answer::No, why, &redactions);
        walk.findings.push(why.into());
        return None;
    }
    let who = rows.iter().find_map(|row| Some((row.sender.as_deref()?, row.local)));
    let who = match who {
        Some((sender, Some(true))) => format!("{sender}, of this server,"),
        Some((sender, Some(false))) => format!("{sender}, of another server,"),
        Some((sender, None)) => sender.to_owned(),
        None => "a user of another server".to_owned(),
    };
    let content = if rows.iter().any(|row| row.censored) {
        "its content was removed from the database"
    } else {
        "its content stays in the database until Synapse removes it (7 days by default)"
    };
    walk.decided(Answer::Yes, vec![format!("{who} redacted it; {content}")], &redactions);
    Some((VerdictId::EventRedacted, Certainty::Proven))
}

/// Whether the stored content names an algorithm. Pruning leaves none, and Synapse notes a redaction that
/// was not allowed as done too (`_censor_redactions`: "we mark the fact that we've checked").
fn states_algorithm(walk: &Walk) -> bool {
    let shape = walk.evidence.event_shape();
    let algorithm = shape.value().map(|shape| &shape.algorithm);
    matches!(algorithm, Some(Algorithm::Named(name)) if !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_redaction_counts_where_it_was_allowed() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-redacted--redacted"),
            (Answer::Yes, Some(VerdictId::EventRedacted))
        );
        assert_eq!(
            answer("ke3--event-redacted--remote"),
            (Answer::Yes, Some(VerdictId::EventRedacted))
        );
        assert_eq!(answer("ke3--event-well-formed--not-allowed"), (Answer::No, None));
    }
}
