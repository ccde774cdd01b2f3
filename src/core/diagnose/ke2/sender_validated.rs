//! KE-2 asks whether the client refuses what reaches the right identity.

use super::client_signs::Signs;
use super::undrained::undrained;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::client::Sign;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "sender-validated",
    asked: "Does its client reject messages that are for the right identity?",
    rules: &[VerdictId::MediaValidation],
    ask: validation,
};

/// The validation of crypto-wasm 18.3: by the client's own words, or because nothing else is left.
fn validation(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let refused = signs.count(Sign::SenderKeysRefused);
    if refused > 0 {
        let many = counted(refused, "message");
        let why =
            format!("its client rejected {many} because the sender's device keys are incorrect");
        walk.decided(Answer::Yes, vec![why], &signs.known);
        return Some((VerdictId::MediaValidation, Certainty::Consistent));
    }
    let missing = signs.count(Sign::MissingMediaKey);
    let right = walk.known.inbox.right.len() as u64;
    let healthy = walk.known.ke1.id == VerdictId::OtkHealthy;
    // What waits and is not fetched is missing for another reason.
    if missing == 0 || right == 0 || !healthy || undrained(walk).is_some() {
        signs.answer_none(walk, "its client does not report that it rejects messages");
        return None;
    }
    let because = vec![
        format!("its client is missing {}", counted(missing, "media key")),
        format!("Kestrel saw {} for the right identity", counted(right, "message")),
        "KE-1 found no problem".to_owned(),
    ];
    walk.decided(Answer::Yes, because, &signs.known);
    Some((VerdictId::MediaValidation, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_client_refuses_by_its_words_or_because_nothing_else_is_left() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-validation--refused"),
            (Answer::Yes, Some(VerdictId::MediaValidation))
        );
        assert_eq!(
            answer("ke2--media-validation--healthy"),
            (Answer::Yes, Some(VerdictId::MediaValidation))
        );
        assert_eq!(answer("ke2--media-sfu--silent"), (Answer::No, None));
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Unknown, None));
    }
}
