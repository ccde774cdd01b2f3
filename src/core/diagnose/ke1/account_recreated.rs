//! KE-1 asks whether the encryption account was created again under the same device ID.

use super::corroboration::{confirmation, other_identity};
use super::refused_groups::failing;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::refusals::{Group, Pattern, dead_claims};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::{Known, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "account-recreated",
    asked: "Did the client create a new encryption account under the same device ID?",
    rules: &[VerdictId::OtkRecreated],
    ask: account_recreated,
};

fn account_recreated(walk: &mut Walk) -> Option<Ruling> {
    let (dead, beside) = failing(walk);
    let group = walk.refusals.with_pattern(Pattern::Recreated).copied();
    if dead == 0 && group.is_none() {
        let (answer, because) = match (&walk.known.keys, &walk.known.stored) {
            (Known::Unknown(why, _), _) | (_, Known::Unknown(why, _)) => {
                (Answer::Unknown, why.clone())
            }
            _ if beside > 0 => {
                (Answer::No, "the keys of the other account are newer than this identity".into())
            }
            _ if walk.known.log.unknown().is_some() && walk.refusals.groups.is_empty() => {
                let why = "no stored key comes from another account, and no log was read";
                (Answer::No, why.into())
            }
            _ => {
                let none = "no stored or rejected key comes from another account";
                (Answer::No, walk.refusals.why_none(none).into())
            }
        };
        return other_identity(walk, answer, because);
    }
    let mut because = Vec::new();
    if let Some(group) = group {
        because.push(
            "the conflicting key was not signed by the device's current account, but the rejected key was"
                .to_owned(),
        );
        because.extend(confirmation(walk, &group));
    }
    if dead > 0 {
        because.push(format!("{dead} stored keys were signed by an old account"));
    }
    if group.is_none() {
        because.extend(handed_out(walk));
    }
    walk.decided(Answer::Yes, because, &walk.known.stored);
    // Of a client's word the stored keys themselves are the proof.
    let proven = |group: Group| group.proves() && !group.refused.reported;
    let proven = dead > 0 || group.is_some_and(proven);
    let certainty = if proven { Certainty::Proven } else { Certainty::Consistent };
    Some((VerdictId::OtkRecreated, certainty))
}

/// Without a refusal no storm says it: how many dead keys peers were given.
fn handed_out(walk: &Walk) -> Option<String> {
    let log = walk.known.log.value()?;
    let keys = walk.known.keys.value()?;
    let count = dead_claims(log, keys.added);
    (count > 0)
        .then(|| format!("peers claimed {} of the old account since then", counted(count, "key")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn dead_keys_and_refused_ones_show_a_new_account() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-recreated--evict"),
            (Answer::Yes, Some(VerdictId::OtkRecreated))
        );
        assert_eq!(
            answer("ke1--otk-recreated--silent"),
            (Answer::Yes, Some(VerdictId::OtkRecreated))
        );
        assert_eq!(answer("ke1--otk-foreign-identity--foreign"), (Answer::No, None));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::Unknown, None));
    }
}
