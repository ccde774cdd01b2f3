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
    let why = format!("the algorithm is {name:?}, which no client decrypts in a room");
    walk.decided(Answer::No, vec![why], &known);
    Some((VerdictId::EventUnsupported, Certainty::Proven))
}
