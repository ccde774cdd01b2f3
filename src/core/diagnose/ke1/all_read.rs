//! KE-1 asks last whether the log and the database were both read: only then "none seen" means healthy.

use super::needs::NEEDS;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::database_lag;
use crate::diagnose::findings;
use crate::diagnose::log_gaps::{keys_unseen, stopped};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk, database_how, log_how};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::key_log::Format;
use crate::evidence::{KeyLog, Need, State};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "all-read",
    asked: "Could the log and the database both be read?",
    rules: &[VerdictId::OtkHealthy],
    ask: all_read,
};

fn all_read(walk: &mut Walk) -> Option<Ruling> {
    let failed: Vec<_> = (walk.evidence.gathered.iter())
        .filter(|answer| NEEDS.contains(&answer.need))
        .filter_map(|answer| match &answer.state {
            State::Failed(why) | State::NotAsked(why) => {
                Some((answer.need, format!("{}: {why}", answer.source)))
            }
            _ => None,
        })
        .collect();
    for (need, why) in &failed {
        match need {
            Need::KeyLog => walk.missing("the Synapse log", log_how(why)),
            _ => walk.missing("the database", database_how(why)),
        }
    }
    let log = walk.known.log.value();
    let log_read = log.is_some_and(findings::read_anything);
    // Nobody can forge such a line in JSON: somebody's upload was refused, and it may be this device's.
    let json = |log: &KeyLog| log.coverage.iter().any(|part| part.format == Format::Json);
    let untied = log.is_some_and(|log| json(log) && log.unattributed > walk.refusals.tied);
    if untied {
        let how = "use Synapse's text or Terse JSON log format, which write request IDs";
        walk.missing("the device whose upload was rejected", how.into());
    }
    let untested = findings::untested(walk.evidence);
    if let Some(how) = untested {
        walk.missing("the signature test", how.into());
    }
    let silent = stopped(walk) | keys_unseen(walk);
    let current = database_lag::is_current(walk);
    let whole = failed.is_empty() && current && !untied && untested.is_none() && !silent;
    if whole && log_read && walk.known.keys.value().is_some() {
        walk.step(Answer::Yes, "both could be read", &walk.known.log);
        walk.because.extend(findings::health(walk.evidence, &walk.known.log, walk.refusals.past));
        return Some((VerdictId::OtkHealthy, Certainty::Consistent));
    }
    let because = walk.missing.iter().map(|missing| missing.need.clone()).collect::<Vec<_>>();
    let because = format!("missing: {}", because.join(", "));
    walk.step(Answer::No, because, &walk.known.log);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn only_what_was_read_is_healthy() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::Yes, Some(VerdictId::OtkHealthy)));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::No, None));
        assert_eq!(answer("ke1--inconclusive--warning"), (Answer::No, None));
    }
}
