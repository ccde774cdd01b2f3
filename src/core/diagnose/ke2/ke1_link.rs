//! KE-2 asks for both ends of the chain: KE-1 on the server, and a client that cannot open what it is sent.

use super::client_signs::Signs;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "ke1-link",
    asked: "Are its keys in conflict (KE-1), and does its client fail to decrypt messages?",
    rules: &[VerdictId::MediaLinkKe1],
    ask: media_link,
};

/// Both ends of the chain: KE-1 on the server, and a client that cannot open what it is sent.
fn media_link(walk: &mut Walk) -> Option<Ruling> {
    let verdict = &walk.known.ke1;
    let diverged = matches!(
        verdict.id,
        VerdictId::OtkRecreated
            | VerdictId::OtkConcurrent
            | VerdictId::OtkRolledBack
            | VerdictId::OtkSameAccount
            | VerdictId::OtkForeignIdentity
            | VerdictId::OtkDiverged
    );
    let signs = Signs::own(walk);
    let fails = signs.fails();
    if !diverged {
        let answer =
            if verdict.id == VerdictId::Inconclusive { Answer::Unknown } else { Answer::No };
        walk.step(answer, format!("KE-1's verdict is {}", verdict.id.name()), &walk.known.log);
        return None;
    }
    if fails.is_empty() {
        signs.answer_none(walk, "its client does not report that it fails to decrypt messages");
        return None;
    }
    let name = verdict.id.name();
    let sure = verdict.certainty.words();
    let mut because = [vec![format!("KE-1: {name} ({sure})")], fails].concat();
    because.extend(signs.lacks_the_key(&walk.refusals));
    walk.decided(Answer::Yes, because, &signs.known);
    Some((VerdictId::MediaLinkKe1, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_conflict_counts_where_the_client_fails_too() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-link-ke1--wedged"),
            (Answer::Yes, Some(VerdictId::MediaLinkKe1))
        );
        assert_eq!(answer("ke2--media-validation--healthy"), (Answer::No, None));
        assert_eq!(answer("ke2--media-not-drained--away"), (Answer::Unknown, None));
    }
}
