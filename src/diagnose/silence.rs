//! KE-4 where the homeserver did nothing wrong that its log shows: restarts that never arrive, and clients
//! that report timeouts all the same.

use jiff::Timestamp;

use super::ke4::{delays, is_read};
use super::verdict::{Answer, Certainty, VerdictId};
use super::walk::{Ruling, Walk};
use crate::evidence::client::{Noted, Sign};
use crate::evidence::{Known, counted};

pub(super) fn restarts_missing(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let known = walk.known;
    let (pending, fired) = delays.never_restarted();
    let others = delays.log.and_then(|log| log.others);
    let reports = timeouts(walk).0 > 0;
    let made = delays.log.is_some_and(|log| log.made.iter().any(|made| made.status == 200));
    let silent = reports && made && delays.restarts().latency.count == 0 && others.is_some();
    if pending + fired == 0 && !(silent && delays.restarted_elsewhere() == 0) {
        walk.step(Answer::No, "none is seen to be left alone", &known.delays);
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

/// How many timeouts the user's clients report in the time asked about, and the evidence they stand in.
fn timeouts(walk: &Walk) -> (u64, Vec<String>) {
    let (user, window) =
        (walk.evidence.subject.user().map(|user| user.as_str()), walk.evidence.window);
    let inside = |span: Option<(Timestamp, Timestamp)>| {
        span.is_none_or(|(first, last)| first <= window.to && window.from <= last)
    };
    let theirs = walk
        .evidence
        .clients()
        .filter(|(_, facts)| facts.user.as_deref().is_none_or(|named| Some(named) == user));
    let (mut count, mut ids) = (0, Vec::new());
    for (id, facts) in theirs {
        if !inside(facts.span) {
            continue;
        }
        let seen = facts.delays.as_ref().map_or(0, |delays| delays.timed_out);
        let told = |noted: &&Noted| noted.sign == Sign::DelayTimedOut && inside(noted.span);
        let told = facts.signs.iter().filter(told).map(|noted| noted.count).sum();
        // A HAR file and a console of one client tell of the same requests.
        count += seen.max(told);
        ids.push(id.to_owned());
    }
    (count, ids)
}

pub(super) fn client_timeouts(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let restarts = delays.restarts();
    let (count, ids) = timeouts(walk);
    let known = walk.known;
    if restarts.answered == 0 {
        walk.step(Answer::Unknown, "no restart is known to be the user's", &known.delays);
        walk.missing(
            "a restart of the user's",
            "ask again during a call: a pending row, or a leave that was sent, ties restarts to the user"
                .into(),
        );
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
        super::figures::seconds(restarts.latency.max())
    )];
    if count > 0 {
        reasons.push(format!("the client reports {}", counted(count, "timeout")));
        walk.decided(Answer::Yes, reasons, &Known::Is((), ids));
        return Some((VerdictId::DelayClient, Certainty::Consistent));
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
