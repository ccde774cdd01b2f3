//! What the logs could not have shown → no verdict that rests on "none seen", and what stands in `also`.
//!
//! What was seen stays seen: a refusal in a log that is blind to others is a refusal, and what the database proves
//! alone is proven.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::findings;
use super::verdict::{Answer, Certainty};
use super::walk::{Walk, log_how};
use crate::evidence::key_log::Coverage;
use crate::evidence::visibility::{Blind, Logger, Visibility, Why, all_lines_at_info, blind};
use crate::evidence::{Evidence, Fact, Gathered, KeyLog, Known, Need};

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
        Self {
            keys: of_keys(evidence, log.value()),
            delays: of_need(evidence, Need::DelayLog),
        }
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
    let logs: Vec<_> = evidence.answers(need).flat_map(coverage).collect();
    blind(&logs, Logger::of(need))
}

/// One device's keys: its own uploads tell more than what others write.
fn of_keys(evidence: &Evidence, log: Option<&KeyLog>) -> Option<Blind> {
    let found = of_need(evidence, Need::KeyLog);
    let served = evidence.answers(Need::KeyLog).any(shows_own);
    match found {
        // Another log, which sees, has the device's uploads: what this one would show is of others.
        Some(Blind { why: Why::InfoOff(_) | Why::NoInfo, .. }) if served => None,
        Some(found) => Some(found),
        None => unseen_upload(evidence, log.filter(|log| is_whole(log))?),
    }
}

/// Whether a log that sees has an upload of the device.
fn shows_own(answer: &Gathered) -> bool {
    let Some(Fact::KeyLog(log)) = &answer.fact else { return false };
    let sees = |of: &Visibility| of.wrote_info && of.info.is_some();
    let sees = log.coverage.iter().all(|part| part.visible.as_ref().is_some_and(sees));
    let uploads = log.accepted.uploads.is_some() || log.refusals() > 0 || log.too_large.is_some();
    sees && uploads
}

fn coverage(answer: &Gathered) -> &[Coverage] {
    match &answer.fact {
        Some(Fact::KeyLog(log)) => &log.coverage,
        Some(Fact::ToDeviceLog(log)) => &log.coverage,
        Some(Fact::DelayLog(log)) => &log.coverage,
        Some(Fact::FleetLog(log)) => &log.coverage,
        _ => &[],
    }
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
    let shown = |at: Timestamp| {
        log.dated.iter().any(|dated| (dated - at.as_millisecond()).abs() <= SAME)
    };
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
    walk.missing("the Synapse log at level INFO", blind.how());
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
