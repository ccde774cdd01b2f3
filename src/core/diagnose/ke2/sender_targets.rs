//! KE-2 asks whether the sender's client sends its keys to nobody.

use super::client_signs::Signs;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::client::Sign;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "sender-targets",
    asked: "Does the sender's client have nobody to send its keys to?",
    rules: &[VerdictId::MediaSender],
    ask: no_targets,
};

/// The sender's own client says that it has nobody to send to.
fn no_targets(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::senders(walk);
    let count = signs.count(Sign::NoTargets);
    if count == 0 {
        signs.answer_none(walk, "the sender's client does not report that");
        return None;
    }
    let why = format!(
        "the sender's client reported {} that it had nobody to send to",
        counted(count, "time")
    );
    walk.decided(Answer::Yes, vec![why], &signs.known);
    Some((VerdictId::MediaSender, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_sender_without_targets_says_so_itself() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-sender--no-targets"),
            (Answer::Yes, Some(VerdictId::MediaSender))
        );
        assert_eq!(answer("ke2--inconclusive--dead-by-console"), (Answer::No, None));
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Unknown, None));
    }
}
