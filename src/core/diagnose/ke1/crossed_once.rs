//! KE-1 asks whether the refusals were single ones that never came again.

use super::crossed_uploads::crossed;
use crate::diagnose::auth_outage::hides_quiet;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "crossed-once",
    asked: "Was each rejection a single one, not repeated?",
    rules: &[VerdictId::OtkRace],
    ask: crossed_once,
};

fn crossed_once(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.known;
    let log = known.log.value();
    if !log.is_some_and(|log| crossed(walk, log)) {
        let answer = if log.is_some() { Answer::No } else { Answer::Unknown };
        walk.step(answer, "there was no one-off rejection", &walk.known.log);
        return None;
    }
    if hides_quiet(walk) {
        return None;
    }
    let because = "no key ID was rejected twice, so two uploads of one device overlapped";
    walk.decided(Answer::Yes, vec![because.into()], &walk.known.log);
    Some((VerdictId::OtkRace, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn two_uploads_that_crossed_are_no_storm() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke1--otk-race--race"), (Answer::Yes, Some(VerdictId::OtkRace)));
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
    }
}
