//! What the logs could not have shown → no verdict that rests on "none seen", and what stands in `also`.
//!
//! What was seen stays seen: a refusal in a log that is blind to others is a refusal, and what the database proves
//! alone is proven.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::findings;
use super::verdict::{Answer, Certainty};
use super::walk::{Walk, log_how};
use crate::evidence::blind::{Blind, Why, all_lines_at_info, blind_answers};
use crate::evidence::key_log::Coverage;
use crate::evidence::{Evidence, KeyLog, Known, Need};

/// A log's first lines may be by a clock a little off the database's.
const BORDER: SignedDuration = SignedDuration::from_secs(10);
/// An upload's line stands this much behind its moment at most: Synapse takes the time as the upload begins, and
/// its log is written 5 s late.
const LATE: SignedDuration = SignedDuration::from_secs(60);
/// The database's milliseconds are the line's own; another process may round them.
const SAME: i64 = 2;

/// What holds besides a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Also {
    pub id: AlsoId,
    pub certainty: Certainty,
    /// A sentence for people.
    pub text: String,
}

/// The ids of what holds besides a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlsoId {
    LogInfoOff,
    LogBlindTo,
}

impl AlsoId {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LogInfoOff, Self::LogBlindTo];

    /// As answers and scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogInfoOff => "log-info-off",
            Self::LogBlindTo => "log-blind-to",
        }
    }

    /// One sentence for a phone.
    pub fn headline(self) -> &'static str {
        match self {
            Self::LogInfoOff => {
                "Synapse writes no INFO lines into this log: it cannot show uploads, refusals or claims"
            }
            Self::LogBlindTo => {
                "the logs that Kestrel reads may not show what was asked: a logger is silent, or another process's \
                 log is missing"
            }
        }
    }

    /// What to do about it.
    pub fn how(self) -> String {
        all_lines_at_info()
    }
}

impl Also {
    fn of(blind: &Blind) -> Self {
        let (id, certainty) = match blind.is_proven() {
            true => (AlsoId::LogInfoOff, Certainty::Proven),
            false => (AlsoId::LogBlindTo, Certainty::Consistent),
        };
        Self { id, certainty, text: blind.text() }
    }
}

/// What the logs of each need could not have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Unseen {
    pub(super) keys: Option<Blind>,
    pub(super) delays: Option<Blind>,
}

impl Unseen {
    pub(super) fn of(evidence: &Evidence, log: &Known<KeyLog>) -> Self {
        Self { keys: of_keys(evidence, log.value()), delays: of_need(evidence, Need::DelayLog) }
    }

    /// What stands in the answer's `also`.
    pub(super) fn also(&self) -> Vec<Also> {
        self.keys.iter().chain(&self.delays).take(1).map(Also::of).collect()
    }
}

/// What is said of a survey's logs.
pub(super) fn of_fleet(evidence: &Evidence) -> Option<(Blind, Also)> {
    let blind = of_need(evidence, Need::FleetLog)?;
    let also = Also::of(&blind);
    Some((blind, also))
}

fn of_need(evidence: &Evidence, need: Need) -> Option<Blind> {
    let answers: Vec<_> = evidence.answers(need).collect();
    blind_answers(&answers, need)
}

/// One device's keys: the database may date uploads that no log has.
fn of_keys(evidence: &Evidence, log: Option<&KeyLog>) -> Option<Blind> {
    let found = of_need(evidence, Need::KeyLog);
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

/// Notes what the key logs could not have shown; whether there is any.
pub(super) fn keys_unseen(walk: &mut Walk) -> bool {
    let known = walk.known;
    wanted(walk, known.unseen.keys.as_ref())
}

/// The same of delayed events, as the answer to the question that is asked.
pub(super) fn delays_unseen(walk: &mut Walk) -> bool {
    let known = walk.known;
    let Some(blind) = &known.unseen.delays else { return false };
    walk.step(Answer::Unknown, blind.text(), &known.delays);
    wanted(walk, Some(blind))
}

fn wanted(walk: &mut Walk, blind: Option<&Blind>) -> bool {
    let Some(blind) = blind else { return false };
    // Said first: what to do about a log that could not be read says less.
    walk.missing("the Synapse log", blind.how());
    true
}

/// Why "no refusal in the log" says nothing there.
pub(super) fn no_refusal(walk: &Walk) -> String {
    walk.known.unseen.keys.as_ref().map(Blind::text).unwrap_or_default()
}

/// Notes that no log goes on to the end asked about; whether that is so.
pub(super) fn stopped(walk: &mut Walk) -> bool {
    let log = walk.known.log.value();
    let Some(why) = log.and_then(|log| findings::stopped(log, walk.evidence)) else { return false };
    walk.missing("the Synapse log", log_how(&why));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{VerdictId, diagnose};
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
            let (from, to) = (*dates.iter().min().unwrap(), *dates.iter().max().unwrap());
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
