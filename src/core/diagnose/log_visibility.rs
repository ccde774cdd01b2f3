//! What the logs could not have shown → no verdict that rests on "none seen", and what is in `also`.
//!
//! What was seen stays seen: a refusal in a log that is blind to others is a refusal, and what the database proves
//! alone is proven.

use jiff::{SignedDuration, Timestamp};

use super::also::Also;
use crate::evidence::blind::{Blind, Why, blind_answers};
use crate::evidence::key_log::Coverage;
use crate::evidence::{Evidence, KeyLog, Known, Need};

/// A log's first lines may be by a clock a little off the database's.
const BORDER: SignedDuration = SignedDuration::from_secs(10);
/// An upload's line is this much behind its moment at most: Synapse takes the time as the upload begins, and
/// its log is written 5 s late.
const LATE: SignedDuration = SignedDuration::from_secs(60);
/// The database's milliseconds are the line's own; another process may round them.
const SAME: i64 = 2;

/// What the logs of each need could not have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Unseen {
    pub(super) keys: Option<Blind>,
    pub(super) delays: Option<Blind>,
}

impl Unseen {
    pub(super) fn in_logs(evidence: &Evidence, log: &Known<KeyLog>) -> Self {
        Self {
            keys: blind_to_keys(evidence, log.value()),
            delays: blind_to(evidence, Need::DelayLog),
        }
    }

    /// What is in the answer's `also`.
    pub(super) fn also(&self) -> Vec<Also> {
        self.keys.iter().chain(&self.delays).take(1).map(Also::of_blind_log).collect()
    }
}

/// What is said of a survey's logs.
pub(super) fn of_survey(evidence: &Evidence) -> Option<(Blind, Also)> {
    let blind = blind_to(evidence, Need::FleetLog)?;
    let also = Also::of_blind_log(&blind);
    Some((blind, also))
}

fn blind_to(evidence: &Evidence, need: Need) -> Option<Blind> {
    let answers: Vec<_> = evidence.answers(need).collect();
    blind_answers(&answers, need)
}

/// One device's keys: the database may date uploads that no log has.
fn blind_to_keys(evidence: &Evidence, log: Option<&KeyLog>) -> Option<Blind> {
    let found = blind_to(evidence, Need::KeyLog);
    found.or_else(|| unseen_upload(evidence, log.filter(|log| is_whole(log))?))
}

/// An upload that the database dates inside all logs' spans, and that none of them has (domain fact 54).
fn unseen_upload(evidence: &Evidence, log: &KeyLog) -> Option<Blind> {
    // A dehydrated device's keys come with another request, which writes no such line.
    if evidence.dehydrated().value() == Some(&true) {
        return None;
    }
    let read: Vec<_> = log.coverage.iter().filter(|part| part.span.is_some()).collect();
    let sure = |part: &&&Coverage| part.visible.as_ref().is_some_and(|of| of.zone_known);
    let spans: Vec<_> = read.iter().filter(sure).filter_map(|part| part.span).collect();
    let inside = |at: Timestamp| {
        let within = |(first, last): &(Timestamp, Timestamp)| {
            at.duration_since(*first) >= BORDER && last.duration_since(at) >= LATE
        };
        !spans.is_empty() && spans.iter().all(within)
    };
    let shown =
        |at: Timestamp| log.dated.iter().any(|dated| (dated - at.as_millisecond()).abs() <= SAME);
    let stored = evidence.one_time_keys();
    let stored = stored.value().map_or(&[][..], |stored| stored.keys.as_slice());
    let keys = evidence.device_keys();
    let identity = keys.value().map(|keys| keys.added);
    let dates = stored.iter().map(|key| key.added).chain(identity);
    let missed = dates.filter(|at| inside(*at) && !shown(*at)).max()?;
    let logs = read.iter().map(|part| part.source.clone()).collect();
    Some(Blind { logs, why: Why::Upload(missed) })
}

/// Whether every upload line of the logs is in the list of moments: evidence of earlier versions has none, and a
/// line that could not be read may be the one.
fn is_whole(log: &KeyLog) -> bool {
    let says = log.coverage.iter().all(|part| part.visible.is_some());
    says && !log.dated_beyond && log.distrusted.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::also::AlsoId;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::verdict_id::VerdictId;
    use crate::evidence::Fact;
    use crate::evidence::visibility::{Logger, Visibility};

    const HEALTHY: &str =
        include_str!("../../../tests/cases/ke1--otk-healthy--healthy/evidence.json");

    /// A healthy device whose log can say what it could have shown.
    fn healthy(change: impl Fn(&mut KeyLog, &mut Visibility)) -> Evidence {
        let mut evidence: Evidence = serde_json::from_str(HEALTHY).unwrap();
        let dates = dates(&evidence);
        for answer in &mut evidence.gathered {
            let Some(Fact::KeyLog(log)) = &mut answer.fact else { continue };
            log.dated = dates.iter().map(|at| at.as_millisecond()).collect();
            // The lab's log is some seconds long; one of hours holds the uploads well inside.
            let from = *dates.iter().min().unwrap();
            let to = *dates.iter().max().unwrap();
            let span = (from - SignedDuration::from_mins(5), to + SignedDuration::from_mins(5));
            let mut visible = Visibility {
                info: Some(span),
                wrote_info: true,
                loggers: Logger::ALL.to_vec(),
                since: Some(span.0),
                zone_known: true,
                ..Visibility::default()
            };
            change(log, &mut visible);
            let part = &mut log.coverage[0];
            (part.span, part.visible) = (Some(span), Some(visible));
        }
        evidence
    }

    fn dates(evidence: &Evidence) -> Vec<Timestamp> {
        let stored = evidence.one_time_keys();
        let mut dates: Vec<_> = stored.value().unwrap().keys.iter().map(|key| key.added).collect();
        dates.push(evidence.device_keys().value().unwrap().added);
        dates
    }

    fn judged(evidence: &Evidence) -> (VerdictId, Vec<AlsoId>) {
        let verdict = diagnose(evidence);
        (verdict.id, verdict.also.iter().map(|also| also.id).collect())
    }

    #[test]
    fn a_log_that_shows_the_database_s_uploads_is_healthy() {
        assert_eq!(judged(&healthy(|_, _| {})), (VerdictId::OtkHealthy, Vec::new()));
        // Evidence of an earlier version does not say what its log could have shown.
        let old: Evidence = serde_json::from_str(HEALTHY).unwrap();
        assert_eq!(judged(&old), (VerdictId::OtkHealthy, Vec::new()));
    }

    #[test]
    fn an_upload_that_the_database_dates_and_no_log_has_makes_it_blind() {
        let without = healthy(|log, _| log.dated.clear());
        let blind = (VerdictId::Inconclusive, vec![AlsoId::LogBlindTo]);
        assert_eq!(judged(&without), blind);
        let verdict = diagnose(&without);
        let how = &verdict.missing.iter().find(|missing| missing.how.contains("INFO")).unwrap().how;
        assert!(how.contains("every Synapse process"), "{how}");
        // Where the times are not sure nothing tells whether the upload lies in the log's span.
        let unsure = healthy(|log, visible| {
            log.dated.clear();
            visible.zone_known = false;
        });
        assert_eq!(judged(&unsure).0, VerdictId::OtkHealthy);
        // Not every line is in the list.
        let beyond = healthy(|log, _| {
            log.dated.clear();
            log.dated_beyond = true;
        });
        assert_eq!(judged(&beyond).0, VerdictId::OtkHealthy);
    }

    #[test]
    fn a_blind_log_is_not_healthy_and_what_was_seen_stays() {
        let off = |log: &mut KeyLog, visible: &mut Visibility| {
            let span = visible.info.take();
            (visible.wrote_info, visible.info_off) = (false, span.map(|(from, _)| from));
            log.refused.clear();
        };
        assert_eq!(judged(&healthy(off)), (VerdictId::Inconclusive, vec![AlsoId::LogInfoOff]));
        let lacks = |_: &mut KeyLog, visible: &mut Visibility| {
            visible.loggers.retain(|logger| *logger != Logger::HttpServer);
        };
        assert_eq!(judged(&healthy(lacks)), (VerdictId::Inconclusive, vec![AlsoId::LogBlindTo]));
        // Without the database's rows of the device nobody needs the log.
        let mut gone = healthy(off);
        for answer in &mut gone.gathered {
            if matches!(answer.need, Need::Devices | Need::DeviceKeys) {
                (answer.state, answer.fact) = (crate::evidence::State::Empty, None);
            }
        }
        assert_eq!(judged(&gone), (VerdictId::UnknownDevice, vec![AlsoId::LogInfoOff]));
    }
}
