//! A log's local times → UTC. Synapse writes wall-clock time without an offset; the lines that carry
//! milliseconds since 1970 beside it tell the offset. Where the config names another zone than these
//! lines, the log is right.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, civil};

use crate::synapse_log::record::Stamp;

/// Offsets of zones are multiples of a quarter of an hour.
const QUARTER: i64 = 15 * 60 * 1000;
/// How far a line's own milliseconds may be from its written time: Synapse writes them within
/// milliseconds, and its log handler up to 5 s later.
pub const TOLERANCE: i64 = 10_000;
/// How much later than its own milliseconds a line may be: Synapse takes them as the upload begins,
/// and stores device keys before it writes the line. A stalled database makes that long.
const LATE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
/// So many lines are told apart; more are taken for new ones.
const VOTERS: usize = 1 << 14;
/// Offsets beyond this are no zone's.
const FURTHEST: i64 = 15 * HOUR;

/// How one log's times are understood.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: Option<TimeZone>,
    /// Offset in milliseconds → (how often, one moment of it).
    votes: BTreeMap<i64, (u64, i64)>,
    offset: Option<i64>,
    /// Epoch-carrying lines in a row that contradict the zone or offset in use.
    against: u32,
    contradicted: bool,
    shifted: bool,
    /// The last moment that was understood: it decides a repeated hour.
    last: Option<i64>,
    /// The log of another process that told the zone.
    sibling: Option<String>,
    /// The log writes UTC itself, or no time at all.
    own: Option<&'static str>,
    /// A second that was understood, and its offset, which holds for the whole of it.
    second: Option<(i64, i64)>,
    /// Nothing changes the offset near what is read.
    steady: bool,
    /// The lines that have voted: places are sampled, and then read.
    voters: HashSet<(i64, i64)>,
}

impl Clock {
    /// With the zone of the config, where there is one.
    pub fn new(zone: Option<TimeZone>) -> Self {
        Self {
            zone,
            votes: BTreeMap::new(),
            offset: None,
            against: 0,
            contradicted: false,
            shifted: false,
            last: None,
            sibling: None,
            own: None,
            second: None,
            steady: false,
            voters: HashSet::new(),
        }
    }

    /// A line that says both times: the written one and the epoch.
    pub fn vote(&mut self, local: i64, epoch: i64) {
        if self.voters.len() < VOTERS && !self.voters.insert((local, epoch)) {
            return;
        }
        if let Some(offset) = offset(local, epoch) {
            let vote = self.votes.entry(offset).or_insert((0, epoch));
            *vote = (vote.0 + 1, vote.1.max(epoch));
        }
    }

    /// The votes are of another process's log on the same host.
    pub fn is_of(&mut self, sibling: String) {
        self.sibling = Some(sibling);
    }

    /// How many lines have voted.
    pub fn voted(&self) -> u64 {
        self.votes.values().map(|(count, _)| count).sum()
    }

    /// Lets the majority decide: a forged line may carry any number. Offsets an hour apart are one zone
    /// in summer and winter; the newest of the true ones is taken and corrected while reading.
    pub fn settle(&mut self) {
        let Some((&offset, &(_, at))) = self.votes.iter().max_by_key(|(_, vote)| **vote) else {
            return;
        };
        let configured = self.zone.as_ref().and_then(|zone| {
            let at = Timestamp::from_millisecond(at).ok()?;
            Some(i64::from(zone.to_offset(at).seconds()) * 1000)
        });
        self.offset = Some(offset);
        self.contradicted = configured.is_some_and(|configured| configured != offset);
    }

    /// Whether times are understood by a fixed offset, which a change to summer time may break.
    pub fn is_fixed(&self) -> bool {
        self.own.is_none() && (self.zone.is_none() || self.contradicted)
    }

    /// Lines at both ends of what is read have this one offset.
    pub fn is_steady_here(&mut self) {
        self.steady = true;
    }

    /// How many offsets the votes name.
    pub fn offsets(&self) -> usize {
        self.votes.len()
    }

    /// Whether all lines that voted here and there have one offset.
    pub fn agrees(&self, other: &Self) -> bool {
        self.offsets() == 1 && self.votes.keys().eq(other.votes.keys())
    }

    /// Whether an hour may be repeated or left out behind what is read.
    pub(crate) fn is_unsteady(&self) -> bool {
        self.is_fixed() && !self.steady
    }

    /// Whether the written times may go back or ahead by an hour between two moments (milliseconds UTC): where the zone
    /// changes its offset there, or where nothing tells.
    pub fn may_jump(&self, from: i64, to: i64) -> bool {
        if self.own.is_some() {
            return false;
        }
        match &self.zone {
            Some(zone) if !self.contradicted => {
                let offset =
                    |at: i64| Timestamp::from_millisecond(at).map(|at| zone.to_offset(at)).ok();
                let Some(start) = Timestamp::from_millisecond(from).ok() else { return true };
                let change = zone.following(start).next();
                change.is_some_and(|change| change.timestamp().as_millisecond() <= to)
                    || offset(from) != offset(to)
            }
            _ => !self.steady,
        }
    }

    /// Whether nothing tells the zone so far.
    pub fn is_unknown(&self) -> bool {
        self.own.is_none() && self.zone.is_none() && self.offset.is_none()
    }

    /// The moment of a record. Where the line has no time of its own, the last known moment.
    pub fn utc(&mut self, stamp: Stamp) -> Option<i64> {
        let at = match stamp {
            Stamp::Utc(at) => {
                self.own = Some("the log has UTC times");
                self.second = None;
                at
            }
            Stamp::Local(local) => self.next(local),
            Stamp::Unknown => {
                self.own =
                    Some("the log has no times: each time is that of the nearest upload before it");
                self.last?
            }
        };
        self.last = Some(at);
        Some(at)
    }

    /// The moment of a time read out of order, as by a search; in a repeated hour the first.
    pub fn peek(&self, stamp: Stamp) -> Option<i64> {
        match stamp {
            Stamp::Utc(at) => Some(at),
            Stamp::Local(local) => {
                let fixed = local - self.offset.unwrap_or(0);
                let zone = self.zone.as_ref().filter(|_| !self.contradicted);
                Some(zone.and_then(|zone| in_zone(zone, local, None)).unwrap_or(fixed))
            }
            Stamp::Unknown => None,
        }
    }

    fn local(&self, local: i64) -> i64 {
        let fixed = local - self.offset.unwrap_or(0);
        match &self.zone {
            Some(zone) if !self.contradicted => in_zone(zone, local, self.last).unwrap_or(fixed),
            _ => fixed,
        }
    }

    /// The same, quickly: many lines are of one second. In a repeated hour the last moment decides anew.
    fn next(&mut self, local: i64) -> i64 {
        if self.zone.is_none() || self.contradicted {
            return self.local(local);
        }
        let second = local.div_euclid(1000);
        match self.second {
            Some((known, offset)) if known == second => local - offset,
            _ => {
                let at = self.local(local);
                self.second = Some((second, local - at));
                at
            }
        }
    }

    /// Reads a line that carries both times while the log is read in order; `sure` where a client
    /// cannot have written it. Gives whether the two agree.
    pub fn epoch(&mut self, stamp: Stamp, epoch: i64, sure: bool) -> bool {
        let Stamp::Local(local) = stamp else {
            if stamp == Stamp::Unknown {
                (self.last, self.second) = (Some(epoch), None);
            }
            return true;
        };
        if self.voted() > 0 || self.zone.is_some() {
            let late = self.local(local) - epoch;
            let agrees = (-TOLERANCE..=LATE).contains(&late);
            if agrees && sure {
                self.vote(local, epoch);
            }
            if agrees || !sure {
                self.against = if agrees { 0 } else { self.against };
                return agrees;
            }
        }
        if !sure {
            return true;
        }
        let Some(offset) = offset(local, epoch) else {
            return false;
        };
        self.learn(offset, epoch)
    }

    /// A sure line with another offset. An hour more or less is summer time and taken at once; anything
    /// else has to be said three times in a row.
    fn learn(&mut self, offset: i64, epoch: i64) -> bool {
        self.against += 1;
        let summer = self.offset.is_some_and(|known| (known - offset).abs() <= HOUR);
        let first = self.votes.is_empty() && self.zone.is_none();
        let at_once = first || summer && self.is_fixed();
        if !at_once && self.against < 3 {
            return false;
        }
        self.shifted |= self.offset.is_some_and(|known| known != offset);
        self.contradicted = self.zone.is_some();
        self.votes.entry(offset).or_insert((0, epoch)).0 += 1;
        (self.offset, self.against, self.last) = (Some(offset), 0, Some(epoch));
        true
    }

    /// The written times went back or ahead for good: an hour back is the end of summer time.
    pub fn jumped(&mut self, by: i64) {
        let quarters = (by + by.signum() * QUARTER / 2) / QUARTER * QUARTER;
        if quarters < 0
            && -quarters <= HOUR
            && (by - quarters).abs() <= TOLERANCE
            && self.is_fixed()
        {
            self.offset = Some(self.offset.unwrap_or(0) + quarters);
            self.shifted = true;
        }
    }

    /// For a person: the zone, and how it is known.
    pub fn describe(&self) -> String {
        if let Some(own) = self.own {
            return own.to_owned();
        }
        let lines = self.voted();
        match (&self.zone, self.offset) {
            (Some(zone), _) if !self.contradicted => {
                let name = zone.iana_name().map_or_else(|| format!("{zone:?}"), str::to_owned);
                match lines {
                    0 => format!("time zone {name} from the config"),
                    _ => format!(
                        "time zone {name} from the config, confirmed by {lines} of the log's lines"
                    ),
                }
            }
            (_, Some(offset)) => {
                let of = self.sibling.as_ref();
                let of = of.map_or(String::new(), |name| format!(" of {name}, in the same folder"));
                format!("UTC{}, derived from {}{of}", signed(offset), many(lines))
            }
            _ => "UTC, assumed".to_owned(),
        }
    }

    /// What a person should know about the times.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.own.is_some() {
            return notes;
        }
        if self.contradicted {
            notes.push(format!(
                "the configured time zone does not match the log: its own lines show UTC{}, which was used instead",
                signed(self.offset.unwrap_or(0))
            ));
        }
        if self.offset.is_none() && self.zone.is_none() {
            notes.push(
                "the time zone is unknown, so times may be wrong by hours; set it with --timezone or in the config"
                    .to_owned(),
            );
        }
        if self.shifted {
            notes.push("the log has a daylight saving time change in it".to_owned());
        }
        notes
    }
}

fn offset(local: i64, epoch: i64) -> Option<i64> {
    let apart = local - epoch;
    let offset = (apart + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
    (offset.abs() <= FURTHEST && (apart - offset).abs() <= TOLERANCE).then_some(offset)
}

/// The moment of a local time; in a repeated hour the one that follows the last moment.
fn in_zone(zone: &TimeZone, local: i64, last: Option<i64>) -> Option<i64> {
    let wall = Timestamp::from_millisecond(local).ok()?;
    let wall: civil::DateTime = TimeZone::UTC.to_datetime(wall);
    let earlier = |offset: jiff::tz::Offset| local - i64::from(offset.seconds()) * 1000;
    Some(match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => earlier(offset),
        AmbiguousOffset::Gap { before, .. } => earlier(before),
        AmbiguousOffset::Fold { before, after } => {
            let first = earlier(before);
            match last {
                Some(last) if first < last - TOLERANCE => earlier(after),
                _ => first,
            }
        }
    })
}

fn many(lines: u64) -> String {
    match lines {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    }
}

fn signed(offset: i64) -> String {
    let minutes = offset.abs() / 60_000;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn wall(text: &str) -> Stamp {
        Stamp::Local(at(&format!("{text}Z")))
    }

    fn new_york() -> Option<TimeZone> {
        Some(TimeZone::get("America/New_York").unwrap())
    }

    #[test]
    fn a_line_votes_once() {
        let mut clock = Clock::new(None);
        let now = at("2026-11-22T11:57:35Z");
        for _ in 0..3 {
            clock.vote(now, now);
        }
        clock.settle();
        assert!(clock.epoch(Stamp::Local(now), now, true));
        assert_eq!(clock.describe(), "UTC+00:00, derived from 1 line");
    }

    #[test]
    fn the_majority_tells_the_offset() {
        let mut clock = Clock::new(None);
        let now = at("2026-11-22T11:57:35Z");
        for number in 0..3 {
            clock.vote(now - 5 * HOUR + number, now);
        }
        clock.vote(now + 3 * HOUR, now);
        clock.vote(now + 7 * HOUR + 200_000, now);
        clock.settle();
        assert_eq!(clock.utc(wall("2026-11-22T06:57:35")), Some(now));
        assert_eq!(clock.describe(), "UTC-05:00, derived from 4 lines");
        assert!(clock.notes().is_empty());
    }

    #[test]
    fn a_zone_that_contradicts_the_log_loses() {
        let mut clock = Clock::new(new_york());
        let now = at("2026-11-22T11:57:35Z");
        clock.vote(now, now);
        clock.settle();
        assert_eq!(clock.utc(wall("2026-11-22T11:57:35")), Some(now));
        assert!(clock.notes()[0].contains("does not match"));
    }

    #[test]
    fn without_anything_it_says_so() {
        let mut clock = Clock::new(None);
        assert_eq!(clock.utc(wall("2026-11-22T11:57:35")), Some(at("2026-11-22T11:57:35Z")));
        assert!(clock.notes()[0].contains("the time zone is unknown"));
    }

    #[test]
    fn a_repeated_hour_follows_the_order() {
        let mut clock = Clock::new(new_york());
        let cases = [
            ("2026-11-01T01:50:00", "2026-11-01T05:50:00Z"),
            ("2026-11-01T01:10:00", "2026-11-01T06:10:00Z"),
            ("2026-11-01T01:55:00", "2026-11-01T06:55:00Z"),
            ("2026-11-01T02:10:00", "2026-11-01T07:10:00Z"),
        ];
        for (local, expected) in cases {
            assert_eq!(clock.utc(wall(local)), Some(at(expected)), "{local}");
        }
    }

    #[test]
    fn a_second_s_memory_changes_nothing() {
        let mut state = 9u64;
        let mut shake = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as i64 % below
        };
        let ends = ["2026-11-01T04:30:00Z", "2026-03-08T06:30:00Z", "1969-12-31T23:59:50Z"];
        for round in 0..600 {
            let mut quick = Clock::new(new_york());
            let mut plain = Clock::new(new_york());
            let mut now = at(ends[round % ends.len()]);
            for _ in 0..300 {
                // Lines of one second, late ones, pauses; now and then one that says its time, or a lie.
                now += [0, 1, 300, 900, 60_000, 1_800_000][shake(6) as usize];
                let late = [0, 0, 0, 700, 5_000, 12_000][shake(6) as usize];
                let offset = if now - late < at("2026-11-01T06:00:00Z") { 4 } else { 5 };
                let local = now - late - offset * HOUR;
                match shake(20) {
                    0 => {
                        let told = (Stamp::Local(local), now - late + HOUR * shake(2));
                        let sure = shake(2) == 0;
                        assert_eq!(
                            quick.epoch(told.0, told.1, sure),
                            plain.epoch(told.0, told.1, sure)
                        );
                    }
                    1 => assert_eq!(quick.utc(Stamp::Utc(now)), plain.utc(Stamp::Utc(now))),
                    _ => {
                        plain.second = None;
                        let read = plain.utc(Stamp::Local(local));
                        assert_eq!(quick.utc(Stamp::Local(local)), read, "{local}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_may_be_late_and_never_early() {
        let mut clock = Clock::new(None);
        let now = at("2026-11-22T12:00:00Z");
        assert!(clock.epoch(Stamp::Local(now), now, true));
        assert!(clock.epoch(Stamp::Local(now + 45_000), now, true));
        assert!(!clock.epoch(Stamp::Local(now - 45_000), now, true));
        assert!(!clock.epoch(Stamp::Local(now + 90_000), now, true));
        assert_eq!(clock.utc(Stamp::Local(now)), Some(now));
    }

    #[test]
    fn summer_time_is_learnt_from_a_sure_line() {
        let mut clock = Clock::new(None);
        let before = at("2026-03-29T00:59:00Z");
        clock.vote(before + HOUR, before);
        clock.settle();
        let after = at("2026-03-29T01:05:00Z");
        let line = Stamp::Local(after + 2 * HOUR);
        assert!(!clock.epoch(line, after, false));
        assert!(clock.epoch(line, after, true));
        assert_eq!(clock.utc(line), Some(after));
        clock.jumped(-HOUR);
        assert_eq!(clock.describe(), "UTC+01:00, derived from 2 lines");
    }
}
