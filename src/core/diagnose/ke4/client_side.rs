//! KE-4 asks the client last: it may report timeouts though the homeserver's log shows nothing wrong.

use super::delay_log::{delays, is_read};
use super::delayed_events::Delays;
use super::restart_figures::seconds;
use super::timeout_minutes::{Meanwhile, Timeouts};
use crate::diagnose::auth_outage::proxied;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::log_gaps::delays_unseen;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::{Known, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "client-timeouts",
    asked: "Does the client still report timeouts?",
    rules: &[VerdictId::DelayClient, VerdictId::DelayHealthy],
    ask: client_timeouts,
};

fn client_timeouts(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let restarts = delays.restarts();
    let timeouts = Timeouts::reported_by_clients(walk);
    let count = timeouts.count;
    let ids = timeouts.ids.clone();
    if stays_open(walk, &delays, &timeouts) {
        return None;
    }
    let mut reasons = vec![format!(
        "{} of {} of the user's restarts were answered with 200, the longest in {}",
        restarts.answered,
        restarts.latency.count,
        seconds(restarts.latency.max())
    )];
    if count > 0 {
        reasons.push(format!("the client reports {}", counted(count, "timeout")));
        reasons.extend(fast_meanwhile(walk, &timeouts, &delays)?);
        walk.decided(Answer::Yes, reasons, &Known::Is((), ids));
        return Some((VerdictId::DelayClient, Certainty::Consistent));
    }
    if delays_unseen(walk) {
        return None;
    }
    let why = if ids.is_empty() { "there is no client's report" } else { "its report shows none" };
    let known = walk.known;
    walk.step(Answer::No, why, &known.delays);
    walk.because.splice(0..0, reasons);
    if ids.is_empty() {
        walk.missing(
            "the client's report",
            "get its diagnostics report or a HAR file, which show whether it saw timeouts".into(),
        );
    }
    Some((VerdictId::DelayHealthy, Certainty::Consistent))
}

/// Whether something is in the way of an answer: it is named, and what would clear it.
fn stays_open(walk: &mut Walk, delays: &Delays, timeouts: &Timeouts) -> bool {
    let restarts = delays.restarts();
    let log = &walk.known.delays;
    if restarts.refused > 0 {
        // What is missing was said where they were counted.
        walk.step(Answer::Unknown, "some of the user's restarts were rejected", log);
        return true;
    }
    if restarts.answered == 0 {
        walk.step(Answer::Unknown, "no restart is known to belong to the user", log);
        let how = "run this command again during a call. A pending or a sent delayed event then shows which restarts belong to the user";
        walk.missing("a delayed-event restart that belongs to the user", how.into());
        return true;
    }
    let (proxied, told_by) = proxied(walk);
    if proxied > 0 {
        let why = "a proxy answered the client instead of Synapse";
        walk.step(Answer::Unknown, why, &told_by);
        let how = "check the proxy's log of these minutes, and whether Synapse was running";
        walk.missing("the client's HAR file and the proxy's log", how.into());
        return true;
    }
    let unexplained = delays.unexplained();
    if timeouts.count == 0 && unexplained > 0 {
        let why = format!(
            "404 was the answer to {}, and nothing explains why",
            counted(unexplained, "restart")
        );
        walk.step(Answer::Unknown, why, log);
        return true;
    }
    false
}

/// The client is blamed only where the server was fast when it timed out: why, as far as the minutes are
/// known, or `None` where they say otherwise or nobody saw them.
fn fast_meanwhile(walk: &mut Walk, timeouts: &Timeouts, delays: &Delays) -> Option<Vec<String>> {
    let (why, need, how) = match timeouts.meanwhile(delays.log?) {
        Meanwhile::Untold => return Some(Vec::new()),
        Meanwhile::Fast(why) => return Some(vec![why]),
        Meanwhile::Slow(why) if timeouts.overlap_restarts(delays) => {
            walk.findings
                .insert(0, format!("{why}, and none of them is known to belong to the user"));
            return Some(Vec::new());
        }
        Meanwhile::Slow(why) => {
            let how = "run this command again during a call. A pending or a sent delayed event then shows which restarts belong to \
                       the user";
            (why, "whose restarts were slow", how.to_owned())
        }
        Meanwhile::Silent(why) => {
            let how = "check in the proxy's log of these minutes whether the client's restarts reached it";
            (why, "the client's HAR file and the proxy's log", how.to_owned())
        }
        Meanwhile::Unread(why) => {
            let how = timeouts.wanted().unwrap_or_default();
            (why, "the minutes of the client's timeouts", how)
        }
    };
    walk.step(Answer::Unknown, why.clone(), &Known::Is((), timeouts.ids.clone()));
    walk.findings.insert(0, why);
    walk.missing(need, how);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn the_client_is_blamed_where_the_server_was_fast() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke4--delay-client--report"),
            (Answer::Yes, Some(VerdictId::DelayClient))
        );
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::No, Some(VerdictId::DelayHealthy)));
        assert_eq!(answer("ke4--inconclusive--untried"), (Answer::Unknown, None));
    }
}
