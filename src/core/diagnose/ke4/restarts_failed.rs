//! KE-4 asks whether restarts were refused with another status than 404 and 429.

use super::delay_log::{delays, is_read};
use crate::diagnose::auth_outage::{is_asked, outage, outage_certainty, outage_reasons};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::counted;
use crate::evidence::delay::Requests;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "restarts-failed",
    asked: "Were restarts rejected with another status, such as 401 or 503?",
    rules: &[VerdictId::AuthUnreachable],
    ask: restarts_failed,
};

/// Whether restarts of the user's were refused with another status than 404 and 429.
fn restarts_failed(walk: &mut Walk) -> Option<Ruling> {
    // Evidence of an older version keeps the path that it had.
    let asked = is_asked(walk);
    if walk.known.delays.unknown().is_some() && !asked || !is_read(walk) {
        return None;
    }
    let known = walk.known;
    let restarts = delays(walk).restarts();
    if restarts.refused == 0 {
        if asked {
            walk.step(Answer::No, "none was", &known.delays);
        }
        return None;
    }
    let why = refused(&restarts);
    let unchecked = restarts.statuses.iter().any(|(status, _)| *status == 503);
    if let Some(outage) = outage(walk).filter(|_| unchecked) {
        let mut all = vec![why];
        all.extend(outage_reasons(walk, &outage));
        walk.decided(Answer::Yes, all, &known.auth);
        return Some((VerdictId::AuthUnreachable, outage_certainty(&outage)));
    }
    walk.step(Answer::Yes, why.clone(), &known.delays);
    walk.findings.push(format!("{why}, which did not restart the event"));
    let how = "get Synapse's log at INFO from the process that answered, with the lines of `synapse.http.server` and \
               `synapse.api.auth.mas` for these requests; and check in the client's log whether it refreshed its token \
               after the 401 and then restarted the delayed event in time";
    walk.missing("the reason for the rejected restarts", how.into());
    None
}

/// `4 of 6 of the user's restarts were refused: 3 with 401, 1 with 503`
fn refused(restarts: &Requests) -> String {
    let mut statuses = restarts.statuses.clone();
    statuses.sort_unstable();
    let told: Vec<_> =
        statuses.iter().map(|(status, count)| format!("{count} with {status}")).collect();
    let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
    let all = counted(restarts.latency.count, "restart");
    let were = if restarts.refused == 1 { "was" } else { "were" };
    format!("{} of the user's {all} {were} rejected{told}", restarts.refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_503_is_the_authentication_service_and_a_401_is_open() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke4--auth-unreachable--mas-down"),
            (Answer::Yes, Some(VerdictId::AuthUnreachable))
        );
        assert_eq!(answer("ke4--inconclusive--mas-token-ended"), (Answer::Yes, None));
        assert_eq!(answer("ke4--delay-healthy--mas-up"), (Answer::No, None));
    }
}
