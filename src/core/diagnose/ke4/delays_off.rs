//! KE-4 asks whether delayed events are off on this homeserver.

use super::delay_log::{delays, proven_or_consistent};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::database_lag;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::delay::Made;
use crate::evidence::key_log::Format;
use crate::evidence::{counted, utc};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "delays-off",
    asked: "Are delayed events turned off on this homeserver?",
    rules: &[VerdictId::DelayOff],
    ask: delays_off,
};

fn delays_off(walk: &mut Walk) -> Option<Ruling> {
    let delays = delays(walk);
    let rows = walk.evidence.delayed_events();
    let made = delays.log.map_or(&[][..], |log| &log.made);
    let any_made = made.iter().any(|made| made.status == 200);
    if delays.absent && any_made {
        let why = "the database has no table delayed_events, and the log shows delayed events made: is it this \
                   server's database?";
        walk.findings.push(why.into());
    } else if delays.absent && database_lag::is_current(walk) {
        let why =
            "this Synapse is older than delayed events: its database has no table delayed_events";
        walk.decided(Answer::Yes, vec![why.into()], &rows);
        return Some((VerdictId::DelayOff, Certainty::Proven));
    }
    let known = walk.known;
    let refused: Vec<&Made> = made.iter().filter(|made| made.unsupported).collect();
    let last_good = made.iter().filter(|made| made.status == 200).map(|made| made.at).max();
    // A server that took one later has them by now.
    let Some(last) = refused.last().filter(|last| last_good.is_none_or(|good| good < last.at))
    else {
        let answer = match (last_good, delays.rows.is_empty(), known.delays.unknown()) {
            (None, true, Some(why)) => (Answer::Unknown, why),
            (None, true, None) => (Answer::Unknown, "the log shows no attempt to create one"),
            _ => (Answer::No, "the user created one"),
        };
        walk.step(answer.0, answer.1, &known.delays);
        return None;
    };
    let why = format!(
        "Synapse answered {} to create one with 400 \"Delayed events are not supported on this server\", the last \
         {}: max_event_delay_duration is not set",
        counted(refused.len() as u64, "attempt"),
        utc(last.at)
    );
    walk.decided(Answer::Yes, vec![why], &known.delays);
    // Anyone can write such a line into a text log.
    Some((
        VerdictId::DelayOff,
        proven_or_consistent(refused.iter().any(|made| made.format == Format::Json)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_server_without_delayed_events() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke4--delay-off--off"), (Answer::Yes, Some(VerdictId::DelayOff)));
        assert_eq!(answer("ke4--delay-off--no-table"), (Answer::Yes, Some(VerdictId::DelayOff)));
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::No, None));
        assert_eq!(answer("ke4--inconclusive--untried"), (Answer::Unknown, None));
    }
}
