//! KE-4 asks whether restarts were answered later than a client waits.

use super::delay_log::{delays, is_read, proven_or_consistent};
use super::delayed_events::Delays;
use super::other_troubles::also_gone;
use super::restart_figures::seconds;
use super::slow_restarts;
use super::timeout_minutes::{Meanwhile, Timeouts};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-slow",
    asked: "Were restarts answered after the client's timeout (2 s)?",
    rules: &[VerdictId::DelayHomeserverSlow],
    ask: restarts_slow,
};

fn restarts_slow(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let delays = delays.widened().unwrap_or(delays);
    let known = walk.known;
    let mut reasons = slow_restarts::reasons(&delays);
    let meanwhile = delays.log.map(|log| Timeouts::reported_by_clients(walk).meanwhile(log));
    match meanwhile {
        Some(Meanwhile::Slow(why)) if !reasons.is_empty() => reasons.push(why),
        Some(Meanwhile::Slow(why)) if delays.own.is_empty() && was_there(&delays) => {
            // Two witnesses of one minute, though nothing ties the restarts to the user.
            let whose = "none is known to belong to the user, whose client timed out in that time";
            walk.decided(Answer::Yes, vec![why, whose.into()], &known.delays);
            return Some((VerdictId::DelayHomeserverSlow, Certainty::Consistent));
        }
        Some(Meanwhile::Fast(why)) if !reasons.is_empty() => {
            walk.findings.push(format!("but {why}"))
        }
        _ => {}
    }
    if reasons.is_empty() {
        let restarts = delays.restarts();
        let longest = seconds(restarts.latency.max());
        let why = match restarts.latency.count {
            0 => "none is known to belong to the user".to_owned(),
            _ if delays.are_anyones() => {
                format!("of all users' restarts, the longest took {longest}")
            }
            _ => format!("the longest took {longest}"),
        };
        walk.step(Answer::No, why, &known.delays);
        return None;
    }
    walk.decided(Answer::Yes, reasons, &known.delays);
    also_gone(walk, &delays);
    let felt = |id: &String| delays.stalls().iter().any(|stall| stall.felt.contains(id));
    let proven = delays.proves(|own| own.restarts.slow.count() > 0 || felt(&own.id));
    Some((VerdictId::DelayHomeserverSlow, proven_or_consistent(proven)))
}

/// Whether the log has any other request of the user's.
fn was_there(delays: &Delays) -> bool {
    delays.log.is_some_and(|log| log.others.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn an_answer_after_the_client_s_patience_is_slow() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke4--delay-homeserver-slow--database"),
            (Answer::Yes, Some(VerdictId::DelayHomeserverSlow))
        );
        assert_eq!(
            answer("ke4--delay-homeserver-slow--process"),
            (Answer::Yes, Some(VerdictId::DelayHomeserverSlow))
        );
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::No, None));
        assert_eq!(answer("ke4--delay-off--no-table"), (Answer::Unknown, None));
    }
}
