//! Many durations → p50, p99 and the longest, in bounded room.
//!
//! A histogram of milliseconds: exact below 64 ms, above it 64 buckets an octave, so that a percentile is
//! at most 1.6 % too high and never above the longest, which is exact. Histograms of several logs add up,
//! which percentiles do not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets an octave, as a power of two.
const FINE: u32 = 6;

/// How long a kind of request took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    /// Milliseconds.
    pub longest: u32,
    /// Bucket → how many; at most some 1 700 of them, and in truth a few dozen.
    buckets: BTreeMap<u16, u64>,
}

impl Latency {
    /// Counts one duration; what is no time at all counts as zero.
    pub fn note(&mut self, seconds: f64) {
        let milliseconds = (seconds.clamp(0.0, 4_000_000.0) * 1000.0).round() as u32;
        self.count += 1;
        self.longest = self.longest.max(milliseconds);
        *self.buckets.entry(bucket(milliseconds)).or_default() += 1;
    }

    /// Counts another's in.
    pub fn add(&mut self, other: &Self) {
        // A saved case may hold any numbers.
        self.count = self.count.saturating_add(other.count);
        self.longest = self.longest.max(other.longest);
        for (bucket, count) in &other.buckets {
            let own = self.buckets.entry(*bucket).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// The duration that so much of all stays within, in seconds; `None` of nothing.
    pub fn within(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = u64::saturating_add(seen, **count);
            seen >= rank
        });
        found.map(|(bucket, _)| f64::from(highest(*bucket).min(self.longest)) / 1000.0)
    }

    /// The longest, in seconds.
    pub fn max(&self) -> f64 {
        f64::from(self.longest) / 1000.0
    }
}

/// Which bucket a number of milliseconds falls into.
fn bucket(milliseconds: u32) -> u16 {
    let octave = (u32::BITS - milliseconds.leading_zeros()).saturating_sub(FINE + 1);
    ((octave << FINE) + (milliseconds >> octave)) as u16
}

/// The highest number of milliseconds in a bucket.
fn highest(bucket: u16) -> u32 {
    let bucket = u32::from(bucket);
    if bucket < 2 << FINE {
        return bucket;
    }
    let octave = ((bucket >> FINE) - 1).min(u32::BITS - FINE - 1);
    let base = u64::from(bucket - (octave << FINE));
    u32::try_from(((base + 1) << octave) - 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_little_too_high() {
        let mut latency = Latency::default();
        let mut all: Vec<u32> =
            (0u32..5000).map(|n| n.wrapping_mul(2_654_435_761) % 9000).collect();
        all.iter().for_each(|ms| latency.note(f64::from(*ms) / 1000.0));
        all.sort_unstable();
        for share in [0.01f64, 0.5, 0.9, 0.99, 1.0] {
            let exact = all[((5000.0 * share).ceil() as usize).max(1) - 1];
            let told = latency.within(share).unwrap() * 1000.0;
            let exact = f64::from(exact);
            assert!(told + 1e-6 >= exact && told <= exact * 1.016 + 1.0, "{share}: {told} {exact}");
        }
        assert_eq!(latency.max(), f64::from(all[4999]) / 1000.0);
        assert_eq!(Latency::default().within(0.5), None);
    }

    #[test]
    fn two_add_up_and_nothing_overflows() {
        let mut one = Latency::default();
        let mut two = Latency::default();
        one.note(f64::NAN);
        one.note(-3.0);
        two.note(f64::INFINITY);
        one.add(&two);
        assert_eq!((one.count, one.max()), (3, 4_000_000.0));
        assert_eq!(one.within(1.0), Some(4_000_000.0));
        assert_eq!(highest(u16::MAX), u32::MAX);
        for ms in 0..200_000 {
            assert!(
                highest(bucket(ms)) >= ms && (ms == 0 || highest(bucket(ms)) <= ms + ms / 64 + 1)
            );
        }
    }
}
