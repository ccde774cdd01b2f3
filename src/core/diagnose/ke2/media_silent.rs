//! KE-2 asks whether the client decrypted the media keys and is still silent.

use super::client_signs::Signs;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::client::Sign;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "media-silent",
    asked: "Is the call silent although the client decrypted the media keys?",
    rules: &[VerdictId::MediaSfu],
    ask: silent_sfu,
};

/// Keys were decrypted, and nothing that the client says is about keys.
fn silent_sfu(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let decrypted = signs.count(Sign::MediaKeyDecrypted);
    let failed = signs.fails().len() as u64 + signs.count(Sign::NoCiphertextForUs);
    if decrypted == 0 || failed > 0 {
        let what = match decrypted {
            0 => "its client does not report that it decrypted media keys",
            _ => "it decrypted some media keys, but others are missing",
        };
        signs.answer_none(walk, what);
        return None;
    }
    let many = counted(decrypted, "media key");
    let why = format!("its client decrypted {many} and reports none as missing");
    walk.decided(Answer::Yes, vec![why], &signs.known);
    Some((VerdictId::MediaSfu, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn keys_that_were_decrypted_leave_the_sfu() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke2--media-sfu--silent"), (Answer::Yes, Some(VerdictId::MediaSfu)));
        assert_eq!(answer("ke2--inconclusive--dead-by-console"), (Answer::No, None));
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Unknown, None));
    }
}
