//! KE-4 asks whether restarts were rejected as too many.

use super::delay_log::{delays, is_read, proven_or_consistent};
use super::delayed_events::Delays;
use super::other_troubles::{also_gone, also_slow};
use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::counted;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-limited",
    asked: "Were restarts rate-limited (429)?",
    rules: &[VerdictId::DelayRateLimited],
    ask: restarts_limited,
};

fn restarts_limited(walk: &mut Walk) -> Option<Ruling> {
    if !is_read(walk) {
        return None;
    }
    let delays = delays(walk);
    let restarts = delays.restarts();
    let known = walk.known;
    if let Some((address, limited)) = delays.limited_address().and_then(|a| Some((a, a.limited?))) {
        let why = format!(
            "{} for delayed events from the user's address {} answered with 429 (rc_delayed_event_mgmt)",
            counted(limited.count, "request"),
            if limited.count == 1 { "was" } else { "were" },
        );
        let shared = format!(
            "none is known to belong to the user, but the limit applies to the address, and {} share it",
            counted(address.delays.len() as u64, "delayed event")
        );
        walk.decided(Answer::Yes, vec![why, shared], &known.delays);
        return Some((VerdictId::DelayRateLimited, Certainty::Consistent));
    }
    if restarts.limited == 0 {
        walk.step(Answer::No, "none was answered with 429", &known.delays);
        return None;
    }
    let mut reasons = vec![format!(
        "{} of {} of the user's restarts were answered with 429 (rc_delayed_event_mgmt)",
        restarts.limited, restarts.latency.count
    )];
    reasons.extend(sharing(&delays));
    walk.decided(Answer::Yes, reasons, &known.delays);
    also_slow(walk, &delays);
    also_gone(walk, &delays);
    Some((
        VerdictId::DelayRateLimited,
        proven_or_consistent(delays.proves(|handled| handled.restarts.limited > 0)),
    ))
}

/// Who else restarts from the same address: before Synapse 1.156 they share one allowance.
fn sharing(delays: &Delays) -> Option<String> {
    let log = delays.log?;
    let from = |address: &String| delays.own.iter().any(|(own, _)| own.addresses.contains(address));
    let shared = (log.addresses.iter())
        .filter(|known| known.limited.is_some() && from(&known.address))
        .max_by_key(|known| known.delays.len())?;
    let own = delays.own.iter().filter(|(own, _)| shared.delays.contains(&own.id)).count();
    let more = shared.delays.len().saturating_sub(own);
    let authenticated = delays.own.iter().any(|(own, _)| !own.users.is_empty());
    Some(match (authenticated, more) {
        (true, _) => {
            "the requests are authenticated, so the limit applies to this user alone".into()
        }
        (false, 0) => {
            "no other user restarts from that address, so the client itself sends too many requests"
                .into()
        }
        (false, more) => format!(
            "the limit applies to the address, and {} share it",
            counted(more as u64, "more delayed event")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_429_is_the_limit() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke4--delay-rate-limited--crowd"),
            (Answer::Yes, Some(VerdictId::DelayRateLimited))
        );
        assert_eq!(answer("ke4--delay-healthy--calm"), (Answer::No, None));
        assert_eq!(answer("ke4--delay-off--no-table"), (Answer::Unknown, None));
    }
}
