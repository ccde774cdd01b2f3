//! KE-2 asks whether the device fetches what waits for it.

use super::undrained::undrained;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::database_lag;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, database_how};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::Known;
use crate::evidence::to_device::Inbox;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "inbox-drained",
    asked: "Does the device fetch its to-device messages?",
    rules: &[VerdictId::MediaNotDrained],
    ask: inbox_drained,
};

fn inbox_drained(walk: &mut Walk) -> Option<Ruling> {
    let inbox = walk.evidence.inbox();
    let mail = &walk.known.inbox;
    if mail.right.is_empty() {
        match inbox.unknown() {
            Some(why) => {
                let why = format!("the device's inbox could not be read: {why}");
                walk.step(Answer::Unknown, why, &inbox);
            }
            None => walk.step(Answer::Yes, "no message for its own identity is waiting", &inbox),
        }
        return None;
    }
    match walk.evidence.dehydrated() {
        Known::Is(false, _) => {}
        Known::Is(true, _) | Known::None(_) => {
            let why =
                "this is a dehydrated device, so messages to it wait until somebody rehydrates it";
            walk.step(Answer::Unknown, why, &inbox);
            walk.because.push(why.into());
            return None;
        }
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &inbox);
            walk.missing("the database", database_how(&why));
            return None;
        }
    }
    let fetched = |inbox: &Inbox| inbox.again.is_some_and(|again| !again.stands);
    if inbox.value().copied().is_some_and(fetched) {
        walk.step(Answer::Yes, "the waiting messages were fetched in the meantime", &inbox);
        return None;
    }
    if !database_lag::is_current(walk) {
        // A replica that stands still shows every message as waiting.
        let why =
            "the database is behind, so messages that it shows as waiting may already be fetched";
        walk.step(Answer::Unknown, why, &inbox);
        return None;
    }
    let Some(because) = undrained(walk) else {
        let why = "the backlog was not seen to grow while the device was away";
        walk.step(Answer::Unknown, why, &inbox);
        return None;
    };
    walk.decided(Answer::No, because, &inbox);
    Some((VerdictId::MediaNotDrained, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn what_waits_and_grows_is_not_fetched() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-not-drained--away"),
            (Answer::No, Some(VerdictId::MediaNotDrained))
        );
        assert_eq!(answer("ke2--inconclusive--live"), (Answer::Yes, None));
        assert_eq!(answer("ke2--inconclusive--dehydrated"), (Answer::Unknown, None));
    }
}
