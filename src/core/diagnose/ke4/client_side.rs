//! KE-4 where the homeserver did nothing wrong that its log shows: restarts that never arrive, and clients
//! that report timeouts all the same.

use super::delayed_events::Delays;
use super::questions::{delays, is_read};
use super::timeout_minutes::{Meanwhile, Timeouts};
use crate::diagnose::auth_outage::proxied;
use crate::diagnose::log_visibility::delays_unseen;
use crate::diagnose::tree_walk::{Ruling, Walk};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::{Known, counted};

pub(super) fn restarts_missing(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let known = walk.known;
    let (pending, fired) = delays.never_restarted();
    let others = delays.log.and_then(|log| log.others);
    let reports = Timeouts::of(walk).count > 0;
    let made = delays.log.is_some_and(|log| log.made.iter().any(|made| made.status == 200));
    let silent = reports && made && delays.restarts().latency.count == 0 && others.is_some();
    if pending + fired == 0 && !(silent && delays.restarted_elsewhere() == 0) {
        walk.step(Answer::No, "none is seen to be left alone", &known.delays);
        return None;
    }
    if delays_unseen(walk) {
        return None;
    }
    let mut reasons = Vec::new();
    for (count, what) in [(pending, "is pending"), (fired, "fired as soon as it could")] {
        if count > 0 {
            reasons.push(format!(
                "{} {what}, and the log has no restart of it",
                counted(count as u64, "delayed leave")
            ));
        }
    }
    if reasons.is_empty() {
        reasons.push("the client reports restarts that time out, and the log has none".into());
    }
    if let Some(others) = others {
        reasons.push(format!(
            "meanwhile {} of the user arrive",
            counted(others.count, "other request")
        ));
    }
    walk.decided(Answer::Yes, reasons, &known.delays);
    Some((VerdictId::DelayNotArriving, Certainty::Consistent))
}

pub(super) fn client_timeouts(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let restarts = delays.restarts();
    let timeouts = Timeouts::of(walk);
    let (count, ids) = (timeouts.count, timeouts.ids.clone());
    let known = walk.known;
    if restarts.refused > 0 {
        // What is missing was said where they were counted.
        walk.step(Answer::Unknown, "some of the user's restarts were refused", &known.delays);
        return None;
    }
    if restarts.answered == 0 {
        walk.step(Answer::Unknown, "no restart is known to be the user's", &known.delays);
        walk.missing(
            "a restart of the user's",
            "ask again during a call: a pending row, or a leave that was sent, ties restarts to the user"
                .into(),
        );
        return None;
    }
    let (proxied, told_by) = proxied(walk);
    if proxied > 0 {
        let why = "a proxy answered the client in place of Synapse";
        walk.step(Answer::Unknown, why, &told_by);
        let how = "the proxy's log of these minutes, and whether Synapse was up";
        walk.missing("the way to the server", how.into());
        return None;
    }
    if count == 0 && delays.unexplained() > 0 {
        let why = format!("{} that nothing explains", counted(delays.unexplained(), "404"));
        walk.step(Answer::Unknown, why, &known.delays);
        return None;
    }
    let mut reasons = vec![format!(
        "{} of {} of the user's restarts were answered with 200, the longest in {}",
        restarts.answered,
        restarts.latency.count,
        super::restart_figures::seconds(restarts.latency.max())
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
    let why = if ids.is_empty() { "no client's report was given" } else { "its report names none" };
    walk.step(Answer::No, why, &known.delays);
    walk.because.splice(0..0, reasons);
    if ids.is_empty() {
        walk.missing(
            "the client's side",
            "its diagnostics report or a HAR file: whether it saw timeouts".into(),
        );
    }
    Some((VerdictId::DelayHealthy, Certainty::Consistent))
}

/// The client is blamed only where the server was fast when it timed out: why, as far as the minutes are
/// known, or `None` where they say otherwise or nobody saw them.
fn fast_meanwhile(walk: &mut Walk, timeouts: &Timeouts, delays: &Delays) -> Option<Vec<String>> {
    let (why, need, how) = match timeouts.meanwhile(delays.log?) {
        Meanwhile::Untold => return Some(Vec::new()),
        Meanwhile::Fast(why) => return Some(vec![why]),
        Meanwhile::Slow(why) if timeouts.beside(delays) => {
            walk.findings.insert(0, format!("{why}; none of them is known to be the user's"));
            return Some(Vec::new());
        }
        Meanwhile::Slow(why) => {
            let how = "ask again during a call: a pending row, or a leave that was sent, ties restarts to \
                       the user";
            (why, "whose the slow restarts are", how.to_owned())
        }
        Meanwhile::Silent(why) => {
            let how = "the proxy's log of these minutes: whether the client's restarts reached it";
            (why, "the way to the server", how.to_owned())
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
