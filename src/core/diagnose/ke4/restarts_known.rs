//! KE-4 asks first which restarts of delayed events are the user's.

use super::delay_log::delays;
use super::delayed_events::{Delays, TiedBy};
use super::restart_figures::{disagreement, endpoints, figures};
use super::timeout_minutes::Timeouts;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, database_how};
use crate::diagnose::verdict::Answer;
use crate::evidence::{counted, utc};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-known",
    asked: "Do any restarts of delayed events belong to the user?",
    rules: &[],
    ask: restarts_known,
};

fn restarts_known(walk: &mut Walk) -> Option<Ruling> {
    let delays = delays(walk);
    let metrics = walk.evidence.metrics();
    walk.figures.extend(figures(&delays, metrics.value().copied()));
    walk.more_figures.extend(delays.log.into_iter().flat_map(endpoints));
    if let Some((log, metrics)) = delays.log.zip(metrics.value()) {
        walk.findings.extend(disagreement(log, metrics));
    }
    let known = walk.known;
    if let Some(why) = known.delays.unknown() {
        walk.step(Answer::Unknown, why, &known.delays);
        let how = "give Kestrel the log of the process that serves /delayed_events";
        let timeouts = Timeouts::reported_by_clients(walk);
        let wanted = timeouts.wanted().map_or_else(String::new, |wanted| format!("{wanted}: "));
        if !wanted.is_empty() {
            let many = counted(timeouts.count, "timeout");
            walk.findings.push(format!(
                "the client reports {many}. Only the server's log of these minutes shows whether the client's network or the \
                 homeserver is the cause"
            ));
        }
        walk.missing("the log", format!("{wanted}{how} ({why})"));
        return None;
    }
    if let Some(why) = walk.evidence.delayed_events().unknown() {
        walk.missing("the database", database_how(why));
    }
    let ways = [TiedBy::Pending, TiedBy::Sent, TiedBy::Authenticated, TiedBy::Address];
    let told: Vec<_> = (ways.into_iter())
        .filter_map(|way| {
            let count = delays.own.iter().filter(|(_, how)| *how == way).count();
            (count > 0)
                .then(|| format!("{} {}", counted(count as u64, "delayed event"), way.words()))
        })
        .collect();
    let others = delays.log.map_or(0, |log| log.handled.len()) - delays.own.len();
    if !told.is_empty() {
        walk.step(Answer::Yes, told.join(", "), &known.delays);
    } else if others == 0 {
        walk.step(Answer::No, "the log has no request for any delayed event", &known.delays);
    } else {
        let others = counted(others as u64, "delayed event");
        let why = format!("{others} in the log, and none is known to belong to the user");
        walk.step(Answer::No, why, &known.delays);
    }
    note_outcomes(walk, &delays);
    None
}

/// What became of the user's leaves, and what is true of others.
fn note_outcomes(walk: &mut Walk, delays: &Delays) {
    let fired = delays.fired();
    if let Some(last) = fired.iter().filter_map(|sent| sent.sent).max() {
        walk.findings.push(format!(
            "the server sent {}, the last at {}, so everybody else saw the user leave the call",
            counted(fired.len() as u64, "delayed leave event"),
            utc(last)
        ));
    }
    if delays.restarted_elsewhere() > 0 {
        walk.missing(
            "another process's log",
            "the database shows a restart of a delayed event that no configured log shows. Give Kestrel the log of \
             every worker that serves /delayed_events"
                .into(),
        );
    }
    let Some(log) = delays.log else { return };
    let own = delays.restarts();
    let slow = log.restarts.slow.count();
    let limited = log.restarts.limited;
    for (all, own, what) in
        [(slow, own.slow.count(), "took 2 s or longer"), (limited, own.limited, "got 429")]
    {
        if all > own && delays.widened().is_none() {
            walk.findings.push(format!(
                "restarts of other or unknown users: {} {what}, of {} in total",
                all - own,
                log.restarts.latency.count
            ));
        }
    }
    if log.doubtful > 0 {
        walk.findings.push(format!(
            "{} not counted: each follows text from a client, so a client may have forged it",
            counted(log.doubtful, "line")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn restarts_are_tied_to_the_user_or_to_nobody() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::Yes, None));
        assert_eq!(answer("ke4--delay-off--off"), (Answer::No, None));
        assert_eq!(answer("ke4--delay-off--no-table"), (Answer::Unknown, None));
    }
}
