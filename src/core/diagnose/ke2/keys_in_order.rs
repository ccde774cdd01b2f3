//! KE-2 asks whether the device has run out of one-time keys, or has far too many.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "keys-in-order",
    asked: "Does the device have no one-time keys left, or far too many?",
    rules: &[VerdictId::MediaOtkExhausted],
    ask: keys_in_order,
};

fn keys_in_order(walk: &mut Walk) -> Option<Ruling> {
    let verdict = &walk.known.ke1;
    let stored = &walk.known.stored;
    if !matches!(verdict.id, VerdictId::OtkExhausted | VerdictId::OtkFlood) {
        let answer =
            if verdict.id == VerdictId::Inconclusive { Answer::Unknown } else { Answer::No };
        walk.step(answer, format!("KE-1's verdict is {}", verdict.id.name()), stored);
        return None;
    }
    let name = verdict.id.name();
    let sure = verdict.certainty.words();
    let mut because = vec![format!("KE-1: {name} ({sure})")];
    because.extend(verdict.because.iter().cloned());
    walk.decided(Answer::Yes, because, stored);
    Some((VerdictId::MediaOtkExhausted, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_device_without_keys_opens_nothing_new() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-otk-exhausted--spent"),
            (Answer::Yes, Some(VerdictId::MediaOtkExhausted))
        );
        assert_eq!(answer("ke2--media-validation--healthy"), (Answer::No, None));
        assert_eq!(answer("ke2--media-not-drained--away"), (Answer::Unknown, None));
    }
}
