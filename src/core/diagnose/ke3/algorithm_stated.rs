//! KE-3 asks whether the event's content states an algorithm.

use super::client_column::{EMPTY, compare_column};
use super::unread::unread;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;
use crate::evidence::event::Algorithm;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "algorithm-stated",
    asked: "Does its content name an algorithm?",
    rules: &[VerdictId::EventMalformed],
    ask: algorithm_stated,
};

fn algorithm_stated(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let known = walk.evidence.event_shape();
    let shape = match &known {
        Known::Is(shape, _) => *shape,
        Known::None(_) => {
            unread(walk, "its content could not be read", &known);
            return None;
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &known);
            return None;
        }
    };
    let (what, client) = match &shape.algorithm {
        Algorithm::Absent if shape.content_bytes == EMPTY => {
            ("the content is {}", "missing field `algorithm`")
        }
        Algorithm::Absent => ("the algorithm is missing", "missing field `algorithm`"),
        Algorithm::Null => ("the algorithm is null", "invalid type: null"),
        Algorithm::Other(_) => ("the algorithm is not a string", "invalid type"),
        Algorithm::Named(name) if name.is_empty() => {
            ("the algorithm is empty", "unsupported algorithm")
        }
        Algorithm::Named(_) => {
            walk.step(Answer::Yes, "a string", &known);
            return None;
        }
    };
    let why = format!(
        "{what} in this server's copy ({} bytes); clients say \"{client}\"",
        shape.content_bytes
    );
    walk.decided(Answer::No, vec![why], &known);
    compare_column(walk, shape);
    Some((VerdictId::EventMalformed, Certainty::Proven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_content_without_an_algorithm_is_broken() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-malformed--empty"),
            (Answer::No, Some(VerdictId::EventMalformed))
        );
        assert_eq!(
            answer("ke3--event-malformed--null"),
            (Answer::No, Some(VerdictId::EventMalformed))
        );
        assert_eq!(
            answer("ke3--event-malformed--number"),
            (Answer::No, Some(VerdictId::EventMalformed))
        );
        assert_eq!(answer("ke3--event-well-formed--sound"), (Answer::Yes, None));
    }
}
