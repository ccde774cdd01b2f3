//! KE-2 asks first whether the server knows the device, and whether senders still aim at one that it does not.

use super::dropped_messages::dropped;
use crate::diagnose::database_lag;
use crate::diagnose::device_removal::removal_reasons;
use crate::diagnose::known_device::unknown_device;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::{Answer, Figure};
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::{counted, utc};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "device-known",
    asked: "Does the server know this device?",
    rules: &[VerdictId::UnknownDevice, VerdictId::MediaStaleDevice],
    ask: device_known,
};

fn device_known(walk: &mut Walk) -> Option<Ruling> {
    note_inbox(walk);
    let others = unknown_device(walk)?;
    let log = walk.evidence.to_device_log();
    if let Some((dropped, certainty)) = log.value().and_then(dropped) {
        walk.decided(Answer::No, vec![dropped, others], &log);
        return Some((VerdictId::MediaStaleDevice, certainty));
    }
    walk.decided(Answer::No, vec![others], &walk.evidence.devices());
    walk.because.extend(removal_reasons(walk));
    if !log.value().is_some_and(|log| log.debug) {
        let why = "only the logger 9533_debug shows whether senders still send to it, and it is off in this log";
        walk.findings.push(why.into());
    }
    Some((VerdictId::UnknownDevice, database_lag::certainty_of_no_device(walk)))
}

/// What the answer shows whatever the verdict.
fn note_inbox(walk: &mut Walk) {
    let mail = &walk.known.inbox;
    if let Some((label, text)) = mail.figure() {
        walk.figures.push(Figure { label, text });
    }
    if mail.others > 0 {
        let others = counted(mail.others, "message");
        walk.findings.push(format!("{others} in the inbox from other senders are not counted"));
    }
    let log = walk.evidence.to_device_log();
    let Some(log) = log.value() else { return };
    if let Some(span) = log.too_large {
        walk.findings.push(format!(
            "Synapse rejected {} to it as too large (64 KiB), the last at {}",
            counted(span.count, "message"),
            utc(span.last)
        ));
    }
    if log.doubtful > 0 {
        let lines = counted(log.doubtful, "line");
        walk.findings.push(format!("{lines} not counted: the text may come from a client"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn senders_that_still_aim_at_it_say_more_than_an_unknown_device() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke2--unknown-device--logged-out"),
            (Answer::No, Some(VerdictId::UnknownDevice))
        );
        assert_eq!(
            answer("ke2--media-stale-device--text"),
            (Answer::No, Some(VerdictId::MediaStaleDevice))
        );
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::Yes, None));
    }
}
