//! Nothing decided KE-2: what to capture, so that it can be. A source that could not be read comes first,
//! because reading it costs nothing.

use super::needs::NEEDS;
use crate::diagnose::log_gaps::keys_unseen;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, database_how, log_how};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::quoted_device::quoted_device;
use crate::evidence::{Need, State, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "captured",
    asked: "Was a call watched, with the log and the client's report to compare?",
    rules: &[],
    ask: captured,
};

/// Names what to capture: nothing seen so far decides, and silence never does.
fn captured(walk: &mut Walk) -> Option<Ruling> {
    let verdict = &walk.known.ke1;
    let name = verdict.id.name();
    let finding = match verdict.id {
        VerdictId::Inconclusive => "KE-1 could not be decided either".to_owned(),
        VerdictId::OtkHealthy => "KE-1 shows no problem with its keys".to_owned(),
        _ => format!("KE-1 found {name} ({}), so fix that first", verdict.certainty.words()),
    };
    walk.findings.insert(0, finding);
    unread(walk);
    let inbox = walk.evidence.inbox();
    if inbox.value().is_some_and(|inbox| inbox.live.is_some()) {
        watched(walk);
    } else if walk.evidence.dehydrated().value() == Some(&true) {
        let how =
            "ask about the device that is in the call. This one is dehydrated: nobody uses it";
        walk.missing("the ID of the device that is in the call", how.into());
    } else {
        walk.missing("a live watch", live_how(walk));
    }
    if walk.evidence.clients().next().is_none() {
        let how = "get the diagnostics report of the receiving client and of the sending client";
        walk.missing("the client's report", how.into());
    }
    let log = walk.evidence.to_device_log();
    if !log.value().is_some_and(|log| log.debug) {
        walk.missing("the logger 9533_debug", DEBUG_HOW.into());
    }
    let because = walk.missing.iter().map(|missing| missing.need.clone()).collect::<Vec<_>>();
    let because = format!("missing: {}", because.join(", "));
    walk.step(Answer::No, because, &log);
    None
}

/// What a watch without a verdict comes to. It says nothing of what the client made of it.
fn watched(walk: &mut Walk) {
    let right = walk.known.inbox.right.len() as u64;
    let inbox = walk.evidence.inbox();
    let why = match inbox.value() {
        Some(inbox) if right > 0 && inbox.pending == 0 => format!(
            "the device fetched {} for its own identity. Only the client can show what happened to them",
            counted(right, "message")
        ),
        Some(inbox) if inbox.rows.is_empty() => {
            "nothing arrived while it was watched, which means nothing if there was no call"
                .to_owned()
        }
        _ => return,
    };
    walk.because.push(why);
}

/// The sources that were asked and could not answer.
fn unread(walk: &mut Walk) {
    keys_unseen(walk);
    // Of the whole chain other branches' sources are there too.
    for answer in walk.evidence.gathered.iter().filter(|answer| NEEDS.contains(&answer.need)) {
        let (State::Failed(why) | State::NotAsked(why)) = &answer.state else { continue };
        match answer.need {
            Need::KeyLog | Need::ToDeviceLog => walk.missing("the Synapse log", log_how(why)),
            Need::Client => {}
            _ => walk.missing("the database", database_how(why)),
        }
    }
}

/// Domain fact 28. In the file that `log_config` of homeserver.yaml names; one line of YAML.
const DEBUG_HOW: &str = "add the line `synapse.9533_debug: {level: DEBUG}` under `loggers:` in Synapse's log config, \
                         run `systemctl reload matrix-synapse`, and make the call. Then remove the line and \
                         reload again";

fn live_how(walk: &Walk) -> String {
    let ids = walk.evidence.subject.ids();
    let device = ids.1.map_or("DEVICE".to_owned(), |device| quoted_device(device.as_str()));
    let user = ids.0.map_or("@user:server", |user| user.as_str());
    format!(
        "send `!ke2 {user} {device} live 60s` during a call, because an online device fetches its messages within milliseconds"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn silence_decides_nothing() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke2--inconclusive--online"), (Answer::No, None));
        assert_eq!(answer("ke2--inconclusive--still"), (Answer::No, None));
    }
}
