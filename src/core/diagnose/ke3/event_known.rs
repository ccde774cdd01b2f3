//! KE-3 asks first whether this server has the event.

use super::unread::unread;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::event::EventRow;
use crate::evidence::{Known, utc};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "event-known",
    asked: "Does this server have the event?",
    rules: &[VerdictId::EventUnknown],
    ask: event_known,
};

fn event_known(walk: &mut Walk) -> Option<Ruling> {
    let event = walk.evidence.event();
    match &event {
        Known::Is(row, _) => {
            walk.step(Answer::Yes, "it has a row in events", &event);
            describe(walk, row);
            None
        }
        Known::None(_) => {
            let why = "no row in events: a typo, another server's event that never came here, or history \
                       that was purged";
            walk.decided(Answer::No, vec![why.into()], &event);
            Some((VerdictId::EventUnknown, Certainty::Proven))
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &event);
            None
        }
    }
}

/// Who sent it, from where, and what does not fit what was asked.
fn describe(walk: &mut Walk, row: &EventRow) {
    let shape = walk.evidence.event_shape();
    let shape = shape.value();
    let device = shape.and_then(|shape| shape.device.as_deref());
    let from = match (device, row.local) {
        (Some(device), _) => format!("from this server's device {device}"),
        (None, Some(true)) => "from this server, which recorded no device".to_owned(),
        (None, Some(false)) => "from another server; only that server knows the device".to_owned(),
        (None, None) => {
            "from another server, or from an older Synapse that recorded no device".to_owned()
        }
    };
    let sent = row.sent.map_or("an unknown time".to_owned(), utc);
    let delayed = shape.is_some_and(|shape| shape.delayed);
    let how = if delayed { " as a delayed event" } else { "" };
    walk.because.push(format!("{} sent it{how} at {sent} {from}", row.sender));
    if let Some(why) = &row.rejected {
        walk.findings
            .push(format!("Synapse rejected the event ({why}), so its clients do not get it"));
    }
    let asked = walk.evidence.subject.event().and_then(|subject| subject.room.as_ref());
    if let Some(room) = asked.filter(|room| room.as_str() != row.room) {
        walk.findings.push(format!("the event is in {}, not in {room}", row.room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn an_event_without_a_row() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke3--event-unknown--nobody"),
            (Answer::No, Some(VerdictId::EventUnknown))
        );
        assert_eq!(answer("ke3--event-well-formed--sound"), (Answer::Yes, None));
        assert_eq!(answer("ke3--inconclusive--blind"), (Answer::Unknown, None));
    }
}
