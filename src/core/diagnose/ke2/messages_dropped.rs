//! KE-2 asks whether the server dropped messages to the device, as to one that it does not know.

use super::dropped_messages::dropped;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::known_device::device_row;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::{Known, utc};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "messages-dropped",
    asked: "Did the server drop messages to the device because it does not know the device?",
    rules: &[VerdictId::MediaStaleDevice],
    ask: messages_dropped,
};

/// Of a device that is known, drops are past: it was logged out and came back under its id. They explain
/// what failed then, as long as nothing has been stored or waits since.
fn messages_dropped(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.evidence.to_device_log();
    let log = match &known {
        Known::Is(log, _) if log.debug => log,
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &known);
            return None;
        }
        _ => {
            walk.step(Answer::Unknown, "the logger 9533_debug is off in this log", &known);
            return None;
        }
    };
    let (Some((why, certainty)), Some(span)) = (dropped(log), log.dropped) else {
        walk.step(Answer::No, "the logger 9533_debug shows no dropped message", &known);
        return None;
    };
    let stored = log.stored.is_some_and(|stored| stored.last > span.last);
    let Some(keys) = walk.known.keys.value() else {
        let uploads = walk.known.log.value().and_then(|log| log.accepted.uploads);
        if stored || uploads.is_some_and(|uploads| uploads.last > span.last) {
            walk.step(Answer::No, "not any more", &known);
            walk.findings.push(format!("{why}; the log shows that the device came back since"));
            return None;
        }
        // Nobody could say whether the device is there: the log alone speaks.
        walk.decided(Answer::Yes, vec![why], &known);
        return Some((VerdictId::MediaStaleDevice, certainty));
    };
    let read = walk.evidence.devices().value().is_some();
    if read && walk.evidence.database_behind().is_none() && device_row(walk).is_none() {
        // Keys without a row in devices, as no Synapse leaves them: it drops what is sent there.
        walk.decided(Answer::Yes, vec![why, "it has no row in devices".into()], &known);
        return Some((VerdictId::MediaStaleDevice, certainty));
    }
    let waits = walk.evidence.inbox().value().is_some_and(|inbox| !inbox.rows.is_empty());
    let since = format!("the device came back at {}", utc(keys.added));
    if keys.added <= span.last || stored || waits {
        walk.step(Answer::No, "not any more", &known);
        walk.findings.push(format!("{why}; {since}"));
        return None;
    }
    walk.decided(Answer::Yes, vec![why, since], &known);
    Some((VerdictId::MediaStaleDevice, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn drops_explain_what_failed_before_the_device_came_back() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--media-stale-device--back"),
            (Answer::Yes, Some(VerdictId::MediaStaleDevice))
        );
        assert_eq!(
            answer("ke2--media-stale-device--json-blind"),
            (Answer::Yes, Some(VerdictId::MediaStaleDevice))
        );
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Unknown, None));
    }
}
