//! KE-3 asks whether the event is an encrypted message.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "event-encrypted",
    asked: "Is it an encrypted message?",
    rules: &[VerdictId::EventNotEncrypted],
    ask: event_encrypted,
};

fn event_encrypted(walk: &mut Walk) -> Option<Ruling> {
    let event = walk.evidence.event();
    let row = event.value()?;
    if row.kind == "m.room.encrypted" && !row.state {
        walk.step(Answer::Yes, "type m.room.encrypted, no state key", &event);
        return None;
    }
    let why = if row.state {
        format!("it is a state event of type {}, and no client decrypts state events", row.kind)
    } else {
        format!("its type is {}", row.kind)
    };
    walk.decided(Answer::No, vec![why], &event);
    Some((VerdictId::EventNotEncrypted, Certainty::Proven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn state_and_plain_events_have_nothing_to_decrypt() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-not-encrypted--plain"),
            (Answer::No, Some(VerdictId::EventNotEncrypted))
        );
        assert_eq!(
            answer("ke3--event-not-encrypted--state"),
            (Answer::No, Some(VerdictId::EventNotEncrypted))
        );
        assert_eq!(answer("ke3--event-well-formed--sound"), (Answer::Yes, None));
    }
}
