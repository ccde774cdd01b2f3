//! KE-1 asks whether the device has run out of one-time keys.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "keys-exhausted",
    asked: "Has the device run out of one-time keys?",
    rules: &[VerdictId::OtkExhausted],
    ask: keys_exhausted,
};

fn keys_exhausted(walk: &mut Walk) -> Option<Ruling> {
    if let Known::Unknown(why, _) = &walk.known.stored {
        walk.step(Answer::Unknown, why.clone(), &walk.known.stored);
        return None;
    }
    let fallback = walk.evidence.fallback_keys();
    if walk.known.stored_keys().is_some_and(|stored| stored.total > 0) {
        walk.step(Answer::No, "keys are left to claim", &fallback);
        return None;
    }
    let because = match &fallback {
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &fallback);
            let finding = "no one-time key is stored, and the fallback key could not be read";
            walk.findings.push(finding.into());
            return None;
        }
        Known::Is(rows, _) if rows.iter().any(|row| !row.used) => {
            if walk.known.keys.value().is_some() {
                let finding = "no one-time key is stored, but the fallback key is still unused";
                walk.findings.push(finding.into());
            }
            walk.step(Answer::No, "keys are left to claim", &fallback);
            return None;
        }
        Known::Is(..) => "no one-time key is left, and the fallback key was already used",
        Known::None(_) => {
            "no one-time key and no fallback key is left, so nobody can start a session with the device"
        }
    };
    walk.decided(Answer::Yes, vec![because.into()], &fallback);
    walk.known.keys.value()?;
    Some((VerdictId::OtkExhausted, Certainty::Proven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn no_key_and_a_used_fallback_key() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-exhausted--exhaust"),
            (Answer::Yes, Some(VerdictId::OtkExhausted))
        );
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::Unknown, None));
    }
}
