//! The minutes in which a user's clients report timeouts, held against what the server did in the same
//! minutes. The client's clock is set right by its HAR file; where nothing tells how far it is off, a minute on
//! either side is let in. The client waits for its own network too, so its word alone is never the server's
//! fault.

use jiff::{SignedDuration, Timestamp};

use super::delayed_events::Delays;
use super::restart_figures::seconds;
use crate::diagnose::tree_walk::Walk;
use crate::evidence::client::{DelayMinute, Noted, Sign, Skew};
use crate::evidence::delay::{DelayLog, Minute, Stall};
use crate::evidence::{ClientFacts, Window, counted};

/// What two clocks of ordinary machines may be apart, where no file tells.
const UNTOLD: SignedDuration = SignedDuration::from_secs(60);
/// A timeout is written some seconds after its request began.
const PATIENCE: SignedDuration = SignedDuration::from_secs(3);
/// A minute, as the facts are counted.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
/// A client's clock is worth a word from here on; milliseconds.
const AHEAD: i64 = 500;
/// Stretches that are told one by one.
const TOLD: usize = 3;

/// The timeouts of a user's clients.
#[derive(Default)]
pub(super) struct Timeouts {
    pub(super) count: u64,
    /// The evidence that has them; of reports without any too.
    pub(super) ids: Vec<String>,
    /// When they were, by the server's clock; empty where no file has times.
    stretches: Vec<Stretch>,
    skew: Option<Skew>,
}

/// A stretch of time with timeouts, and how far off it may be.
#[derive(Clone, Copy)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    slack: SignedDuration,
}

/// What the server did meanwhile.
pub(super) enum Meanwhile {
    /// No times of the client's, or none of the server's.
    Untold,
    /// Restarts that took too long, or a stall, in one of these minutes.
    Slow(String),
    /// Restarts came in each, and none took long.
    Fast(String),
    /// No restart came in some of them, though the log has these minutes.
    Silent(String),
    /// The log has not all of them.
    Unread(String),
}

impl Timeouts {
    /// What the user's clients report of the time asked about.
    pub(super) fn reported_by_clients(walk: &Walk) -> Self {
        let user = walk.evidence.subject.user();
        let window = walk.evidence.window;
        let mut all = Self::default();
        for (id, facts) in walk.evidence.clients() {
            let named = facts.user.as_deref();
            let own = named.is_none_or(|named| user.is_some_and(|user| user.as_str() == named));
            if own && inside(facts, facts.span, window) {
                all.add(id, facts, window);
            }
        }
        all.stretches.sort_by_key(|stretch| stretch.from);
        all
    }

    fn add(&mut self, id: &str, facts: &ClientFacts, window: Window) {
        let counts =
            |noted: &&Noted| noted.sign == Sign::DelayTimedOut && inside(facts, noted.span, window);
        let told: Vec<&Noted> = facts.signs.iter().filter(counts).collect();
        let seen = facts.delays.as_ref().map_or(0, |delays| delays.timed_out);
        // A HAR file and a console of one client report the same requests.
        self.count += seen.max(told.iter().map(|noted| noted.count).sum());
        self.ids.push(id.to_owned());
        self.skew = self.skew.or(facts.skew);
        let slack = facts.skew.map_or(UNTOLD, |skew| {
            SignedDuration::from_millis(skew.spread.clamp(0, 60_000) / 2 + 1000)
        });
        let stretch =
            |from, to| Stretch { from: facts.by_server(from), to: facts.by_server(to), slack };
        let late = |minute: &&DelayMinute| {
            minute.timed_out > 0 && inside(facts, Some((minute.at, minute.at)), window)
        };
        let minute = |minute: &DelayMinute| stretch(minute.at, later(minute.at, MINUTE));
        let from = self.stretches.len();
        self.stretches.extend(facts.minutes.iter().filter(late).map(minute));
        if self.stretches.len() == from {
            let spans = told.iter().filter_map(|noted| noted.span);
            let spans = spans.map(|(first, last)| stretch(later(first, -PATIENCE), last));
            self.stretches.extend(spans);
        }
    }

    /// What the server did in these minutes, by a log that was read.
    pub(super) fn meanwhile(&self, log: &DelayLog) -> Meanwhile {
        if self.count == 0 || self.stretches.is_empty() || log.minutes.is_empty() {
            return Meanwhile::Untold;
        }
        let told = format!("({}{})", self.when(), self.clock());
        let met: Vec<&Minute> = (log.minutes.iter())
            .filter(|minute| self.stretches.iter().any(|stretch| stretch.meets(minute)))
            .collect();
        let longest = met.iter().map(|minute| minute.longest).max().unwrap_or_default();
        let longest = seconds(f64::from(longest) / 1000.0);
        let slow = met.iter().fold(0u64, |sum, minute| sum.saturating_add(minute.slow));
        let felt = |stall: &&Stall| self.stretches.iter().any(|stretch| stretch.holds(stall));
        let stalls = log.stalls.iter().filter(felt).count() as u64;
        if slow > 0 || stalls > 0 {
            let what = match slow {
                0 => format!("Synapse's process stalled {}", counted(stalls, "time")),
                _ => format!(
                    "{}, counting all users, took 2 s or longer, the longest {longest}",
                    counted(slow, "restart")
                ),
            };
            return Meanwhile::Slow(format!(
                "in the minutes of the client's timeouts {told}, {what}"
            ));
        }
        if self.stretches.iter().any(|stretch| !stretch.is_read(log)) {
            let why = "the log does not cover all the minutes of the client's timeouts";
            return Meanwhile::Unread(format!("{why} {told}"));
        }
        let silent = |stretch: &Stretch| !log.minutes.iter().any(|minute| stretch.meets(minute));
        if self.stretches.iter().any(silent) {
            let why = "the log has no restart of any user in a minute of the client's timeouts";
            return Meanwhile::Silent(format!("{why} {told}"));
        }
        Meanwhile::Fast(format!(
            "in the minutes of the client's timeouts {told}, the server's longest restart took {longest}"
        ))
    }

    /// Whether the user's own restarts were there when the client timed out.
    pub(super) fn overlap_restarts(&self, delays: &Delays) -> bool {
        let span = delays.restarts().span;
        let there =
            |stretch: &Stretch| span.is_some_and(|span| stretch.reaches(span.first, span.last));
        self.stretches.iter().all(there)
    }

    /// The minutes of the log that would tell, where the client has times.
    pub(super) fn wanted(&self) -> Option<String> {
        let known = self.count > 0 && !self.stretches.is_empty();
        known.then(|| format!("Synapse's log of {}{}", self.when(), self.clock()))
    }

    /// When they were, in whole minutes.
    fn when(&self) -> String {
        let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
        for stretch in &self.stretches {
            let from = floor(stretch.from);
            let to = ceil(stretch.to);
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        let more = joined.len().saturating_sub(TOLD);
        let one = |(from, to): &(Timestamp, Timestamp)| {
            format!("{} to {}", from.strftime("%Y-%m-%d %H:%M"), to.strftime("%H:%M"))
        };
        let told: Vec<_> = joined.iter().take(TOLD).map(one).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{} UTC{more}", told.join(", "))
    }

    /// How far the client's clock is off, where that is worth a word.
    fn clock(&self) -> String {
        match self.skew {
            None => ", by the client's own clock".into(),
            Some(skew) if skew.millis.unsigned_abs() < AHEAD.unsigned_abs() => String::new(),
            Some(skew) => {
                let way = if skew.millis > 0 { "ahead" } else { "behind" };
                let off = skew.millis.unsigned_abs() as f64 / 1000.0;
                format!("; the client's clock is {off:.1} s {way}")
            }
        }
    }
}

impl Stretch {
    fn reaches(&self, first: Timestamp, last: Timestamp) -> bool {
        later(self.from, -self.slack) <= last && first <= later(self.to, self.slack)
    }

    fn meets(&self, minute: &Minute) -> bool {
        self.reaches(minute.at, later(minute.at, MINUTE))
    }

    /// Whether clients felt the process stall in it.
    fn holds(&self, stall: &Stall) -> bool {
        (stall.left > 0 || stall.bunched > 0) && self.reaches(stall.from, stall.to)
    }

    /// Whether one log reaches over it; the rest of a begun minute does not count.
    fn is_read(&self, log: &DelayLog) -> bool {
        let mut spans = log.coverage.iter().filter_map(|coverage| coverage.span);
        spans.any(|(first, last)| {
            later(first, -MINUTE) <= self.from && self.to <= later(last, MINUTE)
        })
    }
}

fn inside(facts: &ClientFacts, span: Option<(Timestamp, Timestamp)>, window: Window) -> bool {
    span.is_none_or(|(first, last)| {
        let minute_later = later(facts.by_server(last), MINUTE);
        facts.by_server(first) <= window.to && window.from <= minute_later
    })
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

/// The whole minute before a moment.
fn floor(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at)
}

/// The whole minute behind a moment.
fn ceil(at: Timestamp) -> Timestamp {
    let floor = floor(at);
    if floor < at { later(floor, MINUTE) } else { floor }
}
