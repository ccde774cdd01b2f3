//! What the database does not have → why that proves nothing yet, and what would: the database is a replica that
//! is behind, or the log shows the device for the first time a moment ago.

use jiff::{SignedDuration, Timestamp};

use super::certainty::Certainty;
use super::refusals::Group;
use super::tree_walk::Walk;
use super::verdict::{Answer, Missing};
use crate::evidence::key_log::Span;
use crate::evidence::removal::RemovedBy;
use crate::evidence::{Evidence, KeyLog, utc};

/// What a log shows for the first time so shortly before may not be in the database yet.
pub const YOUNG: SignedDuration = SignedDuration::from_mins(1);

/// What is needed where a replica is behind.
const CURRENT: &str = "a database that is up to date";
const AGAIN: &str = "a second check";

/// Why a database that is behind does not prove that the device is not there, and what would.
pub(super) fn why_behind(walk: &mut Walk) -> Option<String> {
    let why = walk.evidence.database_behind()?;
    walk.missing(CURRENT, current_how(&why));
    Some(why)
}

/// How sure it is that there is no such device where the database has none: a log that shows it for the first
/// time a moment ago contradicts that, and the contradiction has to last. A log that shows its removal as the
/// last of it agrees with the database.
pub(super) fn certainty_of_no_device(walk: &mut Walk) -> Certainty {
    let removed = removed_at(walk);
    let log = walk.known.log.value();
    let log = log.filter(|log| shows_removals(log) && !ends_with_removal(log, removed));
    match log.and_then(first_seen) {
        Some(first) if is_young(first, walk.evidence.now) => {
            let why = since("the device", first);
            walk.missing(AGAIN, format!("ask again in a minute, because {why}"));
            Certainty::Consistent
        }
        _ => Certainty::Proven,
    }
}

/// Why it proves nothing yet that the database lacks the device's identity, and what would.
pub(super) fn why_no_identity_yet(walk: &mut Walk) -> Option<String> {
    let log = walk.known.log.value().filter(|log| shows_removals(log))?;
    let first = first_identity(log)?;
    let removed = removed_at(walk).filter(|at| last_identity(log).is_none_or(|last| last <= *at));
    if !is_young(first, walk.evidence.now) || removed.is_some() {
        return None;
    }
    let why = since("its identity keys", first);
    walk.missing(AGAIN, format!("ask again in a minute, because {why}"));
    Some(why)
}

fn since(what: &str, first: Timestamp) -> String {
    format!(
        "the log shows {what} for the first time at {}, less than a minute before the question, and the database \
         may show that late",
        utc(first)
    )
}

/// Whether something was seen for the first time too shortly before `now` for the database to deny it. How long
/// it continues does not matter: what was there a minute ago has reached the database by now.
pub fn is_young(first: Timestamp, now: Timestamp) -> bool {
    now.duration_since(first) < YOUNG
}

/// Whether the logs were searched for removals. Evidence of earlier versions was not, so it cannot say that a
/// device is new and was not removed: the database alone decides, as it did then.
fn shows_removals(log: &KeyLog) -> bool {
    log.coverage.iter().all(|part| part.visible.is_some())
}

/// The first line that shows the device.
fn first_seen(log: &KeyLog) -> Option<Timestamp> {
    spans(log).map(|span| span.first).min()
}

/// The newest line that names a removal of the device.
fn removed_at(walk: &Walk) -> Option<Timestamp> {
    let uploads = walk.known.log.value().into_iter().flat_map(|log| &log.removed);
    let named = uploads.filter(|removal| removal.by != RemovedBy::Sync).map(|removal| removal.at);
    let requests = walk.known.auth.value().into_iter().flat_map(|log| &log.removed);
    named.chain(requests.map(|removal| removal.at)).max()
}

/// Whether nothing of the device comes after its removal.
fn ends_with_removal(log: &KeyLog, removed: Option<Timestamp>) -> bool {
    let last = spans(log).map(|span| span.last).max();
    removed.is_some_and(|at| last.is_none_or(|last| last <= at))
}

/// When uploads and claims of the device were seen.
fn spans(log: &KeyLog) -> impl Iterator<Item = Span> {
    let refused = log.refused.iter().chain(&log.doubtful).map(|group| group.span);
    let counted = [log.accepted.uploads, log.too_large, log.claims.all, log.refused_beyond];
    refused.chain(counted.into_iter().flatten())
}

/// The first upload of identity keys that was accepted.
fn first_identity(log: &KeyLog) -> Option<Timestamp> {
    identities(log).map(|span| span.first).min()
}

fn last_identity(log: &KeyLog) -> Option<Timestamp> {
    identities(log).map(|span| span.last).max()
}

/// When uploads of identity keys were accepted.
fn identities(log: &KeyLog) -> impl Iterator<Item = Span> {
    let batches = log.accepted.batches.iter().filter(|batch| batch.with_device_keys > 0);
    batches.map(|batch| batch.span)
}

/// Whether the identity in the database may be older than the refusals of a group, and what would tell.
pub(super) fn may_have_another_identity(walk: &mut Walk, group: &Group) -> bool {
    let Some(replica) = walk.evidence.replica() else { return false };
    let last = group.refused.span.last;
    if replica.to.is_some_and(|to| last <= to) {
        return false;
    }
    let why = "these rejections are newer than the replica's data, so the device may have another identity by now";
    walk.step(Answer::Unknown, why, &walk.known.keys);
    let behind = walk.evidence.database_behind().unwrap_or_else(|| why.to_owned());
    walk.missing(CURRENT, current_how(&behind));
    true
}

/// What a verdict on a database that is behind says about that: in place of the advice for a database that cannot be
/// read, or beside the verdict.
pub(super) fn note_lag(
    evidence: &Evidence,
    missing: &mut Vec<Missing>,
    findings: &mut Vec<String>,
) {
    let Some(why) = evidence.database_behind() else { return };
    let of_lag = |one: &Missing| one.need == "the database" && one.how.contains(&why);
    if missing.iter().any(|one| one.need == CURRENT) {
        missing.retain(|one| !of_lag(one));
        return;
    }
    match missing.iter_mut().find(|one| of_lag(one)) {
        Some(one) => *one = Missing { need: CURRENT.into(), how: current_how(&why) },
        None => findings.insert(0, why),
    }
}

/// What a verdict that needs the whole database lacks.
pub(super) fn is_current(walk: &mut Walk) -> bool {
    let Some(why) = walk.evidence.database_behind() else { return true };
    walk.missing(CURRENT, current_how(&why));
    false
}

fn current_how(why: &str) -> String {
    format!(
        "set `url` in [database] to the primary, or wait until the replica has caught up ({why})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::scene::{self, Rows};
    use crate::evidence::key_log::Format;
    use crate::evidence::visibility::Visibility;
    use crate::evidence::{Fact, Gathered, Need, Replay, Replica, Shown, State};

    const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");

    /// A recorded case as a replica would have answered it whose data ends at the start of the window.
    fn on_a_replica(case: &str) -> Evidence {
        let path = format!("{CASES}/{case}/evidence.json");
        let text = std::fs::read_to_string(path).unwrap();
        let mut evidence: Evidence = serde_json::from_str(&text).unwrap();
        let replica = Replica { to: Some(evidence.window.from), replay: Replay::Paused };
        let why = replica.behind(evidence.now).unwrap();
        for answer in evidence.gathered.iter_mut().filter(|one| one.need.is_of_database()) {
            if answer.state == State::Empty {
                answer.state = State::Failed(why.clone());
            }
        }
        let state = State::Failed(why.clone());
        let fact = Some(Fact::Replica(replica));
        let told = Gathered::answered(
            Need::Replica,
            "database",
            state,
            Shown { what: why, query: String::new() },
            fact,
        );
        evidence.gathered.push(told);
        evidence
    }

    #[test]
    fn a_replica_that_is_behind_proves_what_it_has_and_no_absence() {
        for (case, verdict, certainty) in [
            ("ke1--unknown-device--nobody", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke1--keyless-device--keyless", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke1--otk-exhausted--exhaust", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke1--otk-healthy--healthy", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke3--event-unknown--nobody", "inconclusive", Certainty::NotEnoughEvidence),
            // The device may have another identity since.
            ("ke1--otk-foreign-identity--foreign", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke1--otk-diverged--unsigned", "inconclusive", Certainty::NotEnoughEvidence),
            ("ke1--otk-recreated--silent", "otk-recreated", Certainty::Proven),
            ("ke1--otk-flood--flood", "otk-flood", Certainty::Proven),
        ] {
            let evidence = on_a_replica(case);
            let judged = diagnose(&evidence);
            assert_eq!((judged.id.name(), judged.certainty), (verdict, certainty), "{case}");
            let lag = evidence.database_behind().unwrap();
            let how = |one: &Missing| one.need == CURRENT && one.how.contains(&lag);
            let told = judged.missing.iter().any(how) || judged.findings.contains(&lag);
            assert!(told, "{case}: {:?} {:?}", judged.missing, judged.findings);
            let advice = judged.missing.iter().any(|one| one.how.contains("kestrel grants"));
            assert!(!advice, "{case}: {:?}", judged.missing);
            assert!(judged.storm.is_none_or(|storm| storm.row_stands.is_none()), "{case}");
        }
    }

    /// Asked less than a minute after the log shows the device for the first time.
    fn asked_at_once(with_removals: bool) -> [(&'static str, Certainty); 2] {
        let judged = |keyless: bool| {
            let mut log = scene::log(Format::Json, 300);
            scene::accepted(&mut log, 290, (0, 49), true);
            if with_removals {
                log.coverage[0].visible = Some(Visibility::default());
            }
            let mut evidence =
                scene::evidence(log, Some(Rows { identity: 1, stored: Vec::new() }), 300);
            let gone = |need| need == Need::DeviceKeys || need == Need::Devices && !keyless;
            for answer in evidence.gathered.iter_mut().filter(|answer| gone(answer.need)) {
                (answer.state, answer.fact) = (State::Empty, None);
            }
            let verdict = diagnose(&evidence);
            (verdict.id.name(), verdict.certainty)
        };
        [judged(false), judged(true)]
    }

    #[test]
    fn a_log_that_was_not_searched_for_removals_does_not_contradict_the_database() {
        let proven = [("unknown-device", Certainty::Proven), ("keyless-device", Certainty::Proven)];
        assert_eq!(asked_at_once(false), proven);
        let young = asked_at_once(true);
        assert_eq!(young[0], ("unknown-device", Certainty::Consistent));
        assert_eq!(young[1], ("inconclusive", Certainty::NotEnoughEvidence));
    }

    #[test]
    fn a_removal_that_nothing_follows_agrees_with_the_database() {
        let mut log = scene::log(Format::Json, 300);
        scene::accepted(&mut log, 290, (0, 49), true);
        assert!(!ends_with_removal(&log, None));
        assert!(ends_with_removal(&log, Some(scene::at(295))));
        scene::accepted(&mut log, 297, (0, 49), true);
        assert!(!ends_with_removal(&log, Some(scene::at(295))), "it is back");
    }
}
