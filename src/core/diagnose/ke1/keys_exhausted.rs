//! KE-1 asks whether the device has run out of one-time keys.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "keys-exhausted",
    asked: "Has it run out of one-time keys?",
    rules: &[VerdictId::OtkExhausted],
    ask: keys_exhausted,
};

fn keys_exhausted(walk: &mut Walk) -> Option<Ruling> {
    let fallback = walk.evidence.fallback_keys();
    let empty = match &walk.known.stored {
        Known::Is(stored, _) => stored.total == 0,
        Known::None(_) => true,
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &walk.known.stored);
            return None;
        }
    };
    let because = match &fallback {
        _ if !empty => None,
        Known::Is(rows, _) if rows.iter().any(|row| !row.used) => None,
        Known::Is(..) => Some("no one-time key is left and the fallback key was handed out"),
        Known::None(_) => {
            Some("no one-time key is left and there is no fallback key: nobody can reach it")
        }
        Known::Unknown(..) => None,
    };
    if let (true, Known::Unknown(why, _)) = (empty, &fallback) {
        walk.step(Answer::Unknown, why.clone(), &fallback);
        walk.findings.push("no one-time key is stored; the fallback key could not be read".into());
        return None;
    }
    let Some(because) = because else {
        if empty && walk.known.keys.value().is_some() {
            walk.findings
                .push("no one-time key is stored; the fallback key is still unused".into());
        }
        walk.step(Answer::No, "keys are left to hand out", &fallback);
        return None;
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
