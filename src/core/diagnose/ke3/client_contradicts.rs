//! KE-3 asks last whether the client's message contradicts the server.

use super::client_column::{compare_column, reported};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "client-contradicts",
    asked: "Does the client's message contradict the server?",
    rules: &[VerdictId::EventClient, VerdictId::EventWellFormed],
    ask: client_contradicts,
};

fn client_contradicts(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let known = walk.evidence.event_shape();
    let shape = *known.value()?;
    // Only a redaction that could not be looked up may still change the verdict.
    walk.evidence.redactions().unknown().is_none().then_some(())?;
    let how = "get the client's report or console log from around the event. Look for a missing session \
               (MissingRoomKey), an unknown index, or another error for this event";
    walk.missing("the client's report", how.into());
    if compare_column(walk, shape) {
        walk.step(Answer::Yes, "it read different content", &known);
        return Some((VerdictId::EventClient, Certainty::Consistent));
    }
    if reported(walk).is_some_and(|seen| seen.no_algorithm) {
        let why = "the client's report says that it read no known algorithm, but the server's copy has one";
        walk.decided(Answer::Yes, vec![why.into()], &known);
        return Some((VerdictId::EventClient, Certainty::Consistent));
    }
    let why = "the content names a known algorithm, so only the client can show what is missing";
    walk.decided(Answer::No, vec![why.into()], &known);
    Some((VerdictId::EventWellFormed, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_column_of_the_client_s_error_tells_what_it_read() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-client--column"),
            (Answer::Yes, Some(VerdictId::EventClient))
        );
        assert_eq!(
            answer("ke3--event-well-formed--same-column"),
            (Answer::No, Some(VerdictId::EventWellFormed))
        );
        assert_eq!(
            answer("ke3--event-well-formed--sound"),
            (Answer::No, Some(VerdictId::EventWellFormed))
        );
    }
}
