//! KE-1 asks whether a refusal is left that the signatures do not explain.

use super::corroboration::{confirmation, once_by_report, source};
use super::crossed_uploads::crossed;
use super::refused_groups::line_certainty;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::database_lag;
use crate::diagnose::refusals::{Group, Pattern};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;
use crate::evidence::otk::Check;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "unexplained",
    asked: "Is there a rejected upload that the signatures do not explain?",
    rules: &[VerdictId::OtkDiverged],
    ask: unexplained,
};

fn unexplained(walk: &mut Walk) -> Option<Ruling> {
    let Some(group) = walk.refusals.with_pattern(Pattern::Silent).copied() else {
        walk.step(Answer::No, walk.refusals.why_none("none"), &walk.known.log);
        return None;
    };
    if once_by_report(walk) || database_lag::may_have_another_identity(walk, &group) {
        return None;
    }
    let known = walk.known;
    if crossed(walk, &known.reported) {
        walk.step(Answer::Yes, "the rejection was not repeated", &known.log);
        return None;
    }
    let why = match (&known.keys, group.refused.old.check, group.refused.new.check) {
        (Known::Unknown(why, _), ..) => format!("the signature test was not possible: {why}"),
        (_, Check::Fails, Check::Fails) => {
            "neither key passes the signature test for the device's identity".into()
        }
        _ => "the keys carry no signature of this device".into(),
    };
    let mut because = vec![why];
    because.extend(confirmation(walk, &group));
    if group.refused.with_device_keys == group.refused.span.count && starts_at_zero(&group) {
        because.push(
            "each attempt includes device keys and starts with the first key IDs again, which is typical of a wiped store"
                .into(),
        );
    }
    walk.decided(Answer::Yes, because, &source(walk, &group));
    // Neither key says whose it is, so the report's user may have made the refused one up.
    // A single one may be a crossing: the log ends too soon to tell.
    let open = group.refused.reported || !walk.refusals.repeated();
    let certainty = if open { Certainty::Consistent } else { line_certainty(&group) };
    Some((VerdictId::OtkDiverged, certainty))
}

fn starts_at_zero(group: &Group) -> bool {
    group.refused.batch.range.is_some_and(|(low, _)| low <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn without_a_signature_nothing_tells_the_cause() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-diverged--unsigned"),
            (Answer::Yes, Some(VerdictId::OtkDiverged))
        );
        assert_eq!(
            answer("ke1--otk-diverged--evict-json-blind"),
            (Answer::Yes, Some(VerdictId::OtkDiverged))
        );
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
    }
}
