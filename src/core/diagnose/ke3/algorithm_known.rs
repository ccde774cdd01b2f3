//! KE-3 asks whether clients know the algorithm.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::event::Algorithm;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "algorithm-known",
    asked: "Do clients know the algorithm?",
    rules: &[VerdictId::EventUnsupported],
    ask: algorithm_known,
};

/// The algorithm of a message in a room that clients know (spec "m.room.encrypted"; Olm is for to-device
/// messages, and no client decrypts it in a room).
const KNOWN: &str = "m.megolm.v1.aes-sha2";

fn algorithm_known(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.evidence.event_shape();
    let Algorithm::Named(name) = &known.value()?.algorithm else { return None };
    if name == KNOWN {
        walk.step(Answer::Yes, name.clone(), &known);
        return None;
    }
    let near = if name.trim_matches(|c: char| c.is_whitespace() || c.is_control()) == KNOWN {
        " (with an extra character at its start or end)"
    } else {
        ""
    };
    let why = format!("the algorithm is {name:?}{near}, which no client decrypts in a room");
    walk.decided(Answer::No, vec![why], &known);
    Some((VerdictId::EventUnsupported, Certainty::Proven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn clients_know_one_algorithm() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-unsupported--rot13"),
            (Answer::No, Some(VerdictId::EventUnsupported))
        );
        assert_eq!(answer("ke3--event-well-formed--sound"), (Answer::Yes, None));
    }
}
