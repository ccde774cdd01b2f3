//! KE-4 asks whether the delayed events were gone.

use super::delay_log::{delays, is_read, proven_or_consistent};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, database_how};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-gone",
    asked: "Were the delayed events gone (404)?",
    rules: &[VerdictId::DelayGone],
    ask: restarts_gone,
};

fn restarts_gone(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let gone = delays.gone();
    let known = walk.known;
    if delays.unexplained() > 0 {
        let why = "only the database can show whether the event was sent or cancelled";
        walk.step(Answer::Unknown, why, &walk.evidence.sent_delays());
        walk.missing("the database", database_how("delayed events that were sent"));
        return None;
    }
    if gone.is_empty() {
        let all: u64 = delays.restarts().gone;
        let why = match all {
            0 => "none was answered with 404".to_owned(),
            1 => "1 restart was answered with 404, which is normal at the end of a call".to_owned(),
            all => format!(
                "{all} restarts were answered with 404, which is normal at the end of a call"
            ),
        };
        walk.step(Answer::No, why, &known.delays);
        return None;
    }
    let fired = delays.fired();
    let fired = gone.iter().filter(|(own, _)| fired.iter().any(|sent| sent.id == own.id)).count();
    let count: u64 = gone.iter().map(|(_, count)| count).sum();
    let mut reasons = vec![format!(
        "the answer to {} of {} was 404",
        counted(count, "restart"),
        counted(gone.len() as u64, "delayed event")
    )];
    reasons.push(match (fired, delays.sent.is_some()) {
        (0, true) => "none of them had been sent by its timeout: they were cancelled, sent manually, or never known here".into(),
        (0, false) => "the database could not show whether they were sent".into(),
        (fired, _) => format!("{fired} had already been sent: the leave event was sent before its restart arrived"),
    });
    walk.decided(Answer::Yes, reasons, &known.delays);
    let proven = delays.proves(|own| gone.iter().any(|(other, _)| other.id == own.id));
    Some((VerdictId::DelayGone, proven_or_consistent(proven)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_leave_that_fired_is_no_end_of_a_call() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke4--delay-gone--fired"), (Answer::Yes, Some(VerdictId::DelayGone)));
        assert_eq!(answer("ke4--delay-healthy--cancelled"), (Answer::No, None));
        assert_eq!(answer("ke4--inconclusive--fired-blind"), (Answer::Unknown, None));
    }
}
