//! Restarts → how many began in each minute, and the longest of them: what a client's timeouts are held
//! against. The newest minutes are kept, whatever the log holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::evidence::delay::facts::{MINUTES, Minute, PATIENCE};

/// The restarts so far, by the minute.
#[derive(Debug, Default)]
pub(crate) struct Minutes(BTreeMap<Timestamp, Minute>);

impl Minutes {
    /// A restart that began then and took so many seconds.
    pub(crate) fn note(&mut self, began: Timestamp, took: f64) {
        let minute = began.as_second().div_euclid(60) * 60;
        let Ok(at) = Timestamp::from_second(minute) else { return };
        let longest = (took.clamp(0.0, 4_000_000.0) * 1000.0).round() as u32;
        self.add(Minute { at, count: 1, slow: u64::from(took >= PATIENCE), longest });
    }

    fn add(&mut self, other: Minute) {
        let empty = Minute { at: other.at, count: 0, slow: 0, longest: 0 };
        let minute = self.0.entry(other.at).or_insert(empty);
        // A saved case may hold any numbers.
        minute.count = minute.count.saturating_add(other.count);
        minute.slow = minute.slow.saturating_add(other.slow);
        minute.longest = minute.longest.max(other.longest);
        if self.0.len() > MINUTES {
            self.0.pop_first();
        }
    }

    pub(crate) fn finish(self) -> Vec<Minute> {
        self.0.into_values().collect()
    }
}

/// Two logs' minutes put together.
pub(crate) fn joined(one: &[Minute], other: &[Minute]) -> Vec<Minute> {
    let mut sum = Minutes::default();
    one.iter().chain(other).for_each(|minute| sum.add(*minute));
    sum.finish()
}
