//! KE-4 asks whether a delayed event is left without any restart, while the client is there.

use super::delay_log::{delays, is_read};
use super::timeout_minutes::Timeouts;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::log_gaps::delays_unseen;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-missing",
    asked: "Is a delayed event never restarted, although the client is online?",
    rules: &[VerdictId::DelayNotArriving],
    ask: restarts_missing,
};

fn restarts_missing(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let known = walk.known;
    let (pending, fired) = delays.never_restarted();
    let others = delays.log.and_then(|log| log.others);
    let reports = Timeouts::reported_by_clients(walk).count > 0;
    let made = delays.log.is_some_and(|log| log.made.iter().any(|made| made.status == 200));
    let silent = reports && made && delays.restarts().latency.count == 0 && others.is_some();
    if pending + fired == 0 && !(silent && delays.restarted_elsewhere() == 0) {
        walk.step(Answer::No, "none was seen", &known.delays);
        return None;
    }
    if delays_unseen(walk) {
        return None;
    }
    let mut reasons = Vec::new();
    for (count, what) in [(pending, "is pending"), (fired, "was sent at its first timeout")] {
        if count > 0 {
            reasons.push(format!(
                "{} {what}, and the log has no restart of it",
                counted(count as u64, "delayed leave event")
            ));
        }
    }
    if reasons.is_empty() {
        reasons.push("the client reports restarts that time out, but the log has none".into());
    }
    if let Some(others) = others {
        reasons.push(format!(
            "in the same period {} of the user arrived",
            counted(others.count, "other request")
        ));
    }
    walk.decided(Answer::Yes, reasons, &known.delays);
    Some((VerdictId::DelayNotArriving, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_leave_that_nobody_restarts() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke4--delay-not-arriving--lost"),
            (Answer::Yes, Some(VerdictId::DelayNotArriving))
        );
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::No, None));
        assert_eq!(answer("ke4--inconclusive--har-alone"), (Answer::Unknown, None));
    }
}
