//! KE-1 asks whether the uploader signs with an identity that the server does not hold.

use super::corroboration::{confirmation, source};
use super::refused_groups::{failing, line_certainty, strongest_group};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::database_lag;
use crate::diagnose::refusals::Pattern;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "foreign-identity",
    asked: "Does the client sign its keys with an identity that the server does not have?",
    rules: &[VerdictId::OtkForeignIdentity],
    ask: foreign_identity,
};

fn foreign_identity(walk: &mut Walk) -> Option<Ruling> {
    let (_, beside) = failing(walk);
    if beside > 0 && walk.refusals.with_pattern(Pattern::Foreign).is_none() {
        let because = format!(
            "{beside} stored keys are newer than the device's identity and were signed by another account"
        );
        walk.decided(Answer::Yes, vec![because], &walk.known.stored);
        return Some((VerdictId::OtkForeignIdentity, Certainty::Proven));
    }
    let none = "no rejected upload in which only the stored key passes the signature test";
    let group = strongest_group(walk, Pattern::Foreign, none)?;
    if database_lag::may_have_another_identity(walk, &group) {
        return None;
    }
    let mut because = vec![
        "the stored key was signed by the device's current account, but the rejected key was not"
            .to_owned(),
    ];
    because.extend(confirmation(walk, &group));
    walk.decided(Answer::Yes, because, &source(walk, &group));
    // The offered key is the client's word alone, and may be made up.
    let reported = group.refused.reported.then_some(Certainty::Consistent);
    Some((VerdictId::OtkForeignIdentity, reported.unwrap_or(line_certainty(&group))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_uploader_s_key_fails_where_the_stored_one_verifies() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-foreign-identity--foreign"),
            (Answer::Yes, Some(VerdictId::OtkForeignIdentity))
        );
        assert_eq!(answer("ke1--otk-diverged--unsigned"), (Answer::No, None));
        assert_eq!(answer("ke1--otk-diverged--evict-json-blind"), (Answer::Unknown, None));
    }
}
