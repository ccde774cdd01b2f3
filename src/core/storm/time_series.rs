//! Counts over time in bounded memory: when it is full, the steps double in length.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::StormKind;
use super::timeline::{Curve, Timeline};
use super::trigger::Trigger;

/// The most steps.
const STEPS: usize = 96;
/// The first step's length, in seconds.
const STEP: i64 = 10;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Rejected uploads; 429 answers; devices that started.
    Trouble = 0,
    /// Accepted keys; restarts of two seconds and more.
    Second = 1,
    /// Claimed keys; 404 answers.
    Third = 2,
}

/// Three counts, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TimeSeries {
    /// The start of the first step, in seconds since 1970, and the length of a step.
    from: i64,
    step: i64,
    counts: Vec<[u32; 3]>,
    /// The first value is a level, not a count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    level: bool,
}

impl TimeSeries {
    /// Adds a count at a time; before the first step it counts into that step.
    pub(super) fn add(&mut self, at: Timestamp, part: Measure, count: u64) {
        let slot = &mut self.step_of(at)[part as usize];
        *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Records a level at a time; each step keeps its highest.
    pub(super) fn level(&mut self, at: Timestamp, count: u64) {
        self.level = true;
        let slot = &mut self.step_of(at)[0];
        *slot = u32::try_from(count).unwrap_or(u32::MAX).max(*slot);
    }

    fn step_of(&mut self, at: Timestamp) -> &mut [u32; 3] {
        if self.counts.is_empty() {
            (self.from, self.step) = (at.as_second() / STEP * STEP, STEP);
        }
        let behind = (at.as_second() - self.from).max(0);
        let join = if self.level { most } else { sum };
        while behind / self.step >= STEPS as i64 {
            let halves = self.counts.chunks(2);
            self.counts = halves.map(|two| two.iter().fold([0; 3], join)).collect();
            self.step *= 2;
        }
        let place = usize::try_from(behind / self.step).unwrap_or(0);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, [0; 3]);
        }
        &mut self.counts[place]
    }

    /// The levels; a step without a value repeats the one before.
    fn levels(&self) -> Vec<u32> {
        let mut last = 0;
        let held = |counts: &[u32; 3]| {
            last = if counts[0] > 0 { counts[0] } else { last };
            last
        };
        self.counts.iter().map(held).collect()
    }

    /// The timeline for a picture; `None` if nothing was counted. For delayed events the `trigger` comes
    /// first.
    pub(super) fn timeline(&self, kind: StormKind, trigger: &Trigger) -> Option<Timeline> {
        if self.counts.is_empty() {
            return None;
        }
        let curves: &[(&'static str, Measure)] = match (kind, trigger) {
            (StormKind::OtkConflict, _) => &[
                ("rejected uploads", Measure::Trouble),
                ("accepted keys", Measure::Second),
                ("claimed keys", Measure::Third),
            ],
            (StormKind::OtkFlood, _) => &[
                ("accepted keys", Measure::Second),
                ("claimed keys", Measure::Third),
                ("rejected uploads", Measure::Trouble),
            ],
            (StormKind::Delay, Trigger::Slow) => {
                &[("slow restarts", Measure::Second), ("answers 429", Measure::Trouble)]
            }
            (StormKind::Delay, Trigger::NotFound) => {
                &[("answers 404", Measure::Third), ("answers 429", Measure::Trouble)]
            }
            (StormKind::Delay, _) => {
                &[("answers 429", Measure::Trouble), ("slow restarts", Measure::Second)]
            }
            (StormKind::Auth, _) => &[("requests not checked", Measure::Trouble)],
            (StormKind::Backlog, _) => &[("messages undelivered", Measure::Trouble)],
            (StormKind::Fleet | StormKind::DeadIdentity, _) => {
                &[("devices affected", Measure::Trouble)]
            }
        };
        let curve = |(name, part): &(&'static str, Measure)| {
            let counts = self.counts.iter().map(|counts| counts[*part as usize]);
            Curve { name, counts: if self.level { self.levels() } else { counts.collect() } }
        };
        Some(Timeline {
            from: Timestamp::from_second(self.from).ok()?,
            step: SignedDuration::from_secs(self.step),
            curves: curves.iter().map(curve).collect(),
        })
    }
}

fn most(all: [u32; 3], one: &[u32; 3]) -> [u32; 3] {
    std::array::from_fn(|part| all[part].max(one[part]))
}

fn sum(all: [u32; 3], one: &[u32; 3]) -> [u32; 3] {
    std::array::from_fn(|part| all[part].saturating_add(one[part]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_fits_and_nothing_is_lost() {
        let mut series = TimeSeries::default();
        let from = 1_795_348_000;
        for minute in 0..7 * 24 * 60 {
            let at = Timestamp::from_second(from + minute * 60).unwrap();
            series.add(at, Measure::Trouble, 2);
            series.add(at, Measure::Third, 1);
        }
        assert!(series.counts.len() <= STEPS);
        let timeline = series.timeline(StormKind::OtkConflict, &Trigger::Unnamed).unwrap();
        let totals: Vec<u32> =
            timeline.curves.iter().map(|curve| curve.counts.iter().sum()).collect();
        assert_eq!(totals, [20_160, 0, 10_080]);
        assert_eq!(timeline.from.as_second(), from);
        let whole = timeline.step.as_secs() * timeline.curves[0].counts.len() as i64;
        assert!((7 * 86_400..8 * 86_400).contains(&whole), "{whole}");
    }

    #[test]
    fn a_level_is_held_and_never_added_up() {
        let mut series = TimeSeries::default();
        let from = 1_795_348_000;
        for poll in 0..200 {
            let at = Timestamp::from_second(from + poll * 900).unwrap();
            series.level(at, 100 + poll as u64);
        }
        assert!(series.counts.len() <= STEPS);
        let drawn =
            series.timeline(StormKind::Backlog, &Trigger::Unnamed).unwrap().curves.remove(0);
        assert_eq!((drawn.name, drawn.counts.last()), ("messages undelivered", Some(&299)));
        assert!(drawn.counts.is_sorted() && drawn.counts[0] >= 100, "{:?}", drawn.counts);
    }
}
