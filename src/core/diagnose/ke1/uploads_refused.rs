//! KE-1 asks whether uploads of the device were refused.

use crate::diagnose::findings;
use crate::diagnose::log_gaps::{keys_unseen, no_refusal};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, log_how};
use crate::diagnose::verdict::Answer;
use crate::evidence::{Known, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "uploads-refused",
    asked: "Were the device's own uploads rejected with \"One time key … already exists\"?",
    rules: &[],
    ask: uploads_refused,
};

/// Decides nothing by itself: it says whether there is a conflict to explain.
fn uploads_refused(walk: &mut Walk) -> Option<Ruling> {
    let log = &walk.known.log;
    let (answer, because) = match (log, walk.refusals.span()) {
        (_, Some(span)) if walk.refusals.only_reported() => {
            let refusals = counted(span.count, "rejected upload");
            (Answer::Yes, format!("{refusals} or more in the client's report"))
        }
        (_, Some(span)) => (Answer::Yes, counted(span.count, "rejected upload")),
        (Known::Is(log, _), None) if !findings::read_anything(log) => {
            (Answer::Unknown, "the log has no line in this log window".into())
        }
        (Known::Unknown(why, _), None) => (Answer::Unknown, why.clone()),
        (_, None) if walk.known.unseen.keys.is_some() => (Answer::Unknown, no_refusal(walk)),
        (_, None) => {
            (Answer::No, "no rejected upload in the log window belongs to this device".to_owned())
        }
    };
    if walk.refusals.span().is_none() {
        walk.findings.extend(findings::refused_by_report(walk.evidence));
    }
    if answer == Answer::Unknown && !keys_unseen(walk) {
        walk.missing("the Synapse log", log_how(&because));
    }
    walk.step(answer, because, log);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn only_a_log_that_could_show_a_refusal_denies_it() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke1--otk-recreated--evict"), (Answer::Yes, None));
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
        assert_eq!(answer("ke1--inconclusive--silenced"), (Answer::Unknown, None));
    }
}
