//! Slow restarts → where the time went: the database, a row that another transaction held, the pool of
//! connections, or the process itself.

use super::delayed_events::Delays;
use super::restart_figures::seconds;
use crate::evidence::counted;
use crate::evidence::delay::DelayLog;

/// Why the user's restarts, or for want of them anybody's, were too late; empty where none was.
pub(super) fn reasons(delays: &Delays) -> Vec<String> {
    let restarts = delays.restarts();
    let slow = restarts.slow;
    let stalls = delays.stalls();
    let mut reasons = Vec::new();
    let whose =
        if delays.are_anyones() { "restarts of all users" } else { "of the user's restarts" };
    if slow.count() > 0 {
        reasons.push(format!(
            "{} of {} {whose} took 2 s or longer, the longest {}",
            slow.count(),
            restarts.latency.count,
            seconds(restarts.latency.max())
        ));
    }
    for (count, what) in [
        (slow.database, database(delays.log, slow.contended)),
        (slow.pool, "waiting for a free database connection, because the pool was full".to_owned()),
        (slow.process, "in Synapse's process itself, not in the database".to_owned()),
    ] {
        if count > 0 {
            reasons.push(format!("{count} of them spent the time {what}"));
        }
    }
    if let Some(longest) = stalls.iter().max_by_key(|stall| stall.to.duration_since(stall.from)) {
        let length = longest.to.duration_since(longest.from).as_secs_f64();
        let starts = delays.log.map_or(&[][..], |log| &log.starts);
        let restarted = starts.iter().any(|at| longest.from <= *at && *at <= longest.to);
        let what = if restarted { "it was starting" } else { "it was stalled" };
        reasons.push(format!(
            "the Synapse process logged nothing for {}, because {what}. The log then shows {} that clients had closed and \
             {} that clients had retried",
            seconds(length),
            counted(longest.left, "request"),
            counted(longest.bunched, "restart")
        ));
    }
    if delays.are_anyones() && !reasons.is_empty() {
        let why = "none is known to belong to the user, who was online in that time";
        reasons.insert(1, why.into());
    }
    if restarts.overlapping > 0 && !reasons.is_empty() {
        reasons.push(format!(
            "{} began while an earlier one was still unanswered, so the client had given up on the earlier one",
            counted(restarts.overlapping, "restart")
        ));
    }
    reasons
}

/// What the time inside transactions was spent on, as far as the log tells.
fn database(log: Option<&DelayLog>, contended: u64) -> String {
    let elsewhere = log.map_or(0, |log| log.slow_elsewhere);
    let mut words = "in the database".to_owned();
    if contended > 0 {
        // The other may be somebody's lock, or the client's own repeated restart.
        words.push_str(&format!(
            ". {contended} met a row that another transaction had locked (could not serialize access)"
        ));
    }
    words.push_str(&match elsewhere {
        0 => {
            ". No other request was slow, so a lock on the row is more likely than a slow database"
                .into()
        }
        more => {
            format!(", which also delayed {} by 2 s or longer", counted(more, "other request"))
        }
    });
    words
}
