//! Finds the byte where a window starts in a log, by bisecting on time. It reads a few hundred kilobytes of a
//! file of any size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use kestrel_core::synapse_log::zone::Clock;

use super::lines::{Lines, Remaining};
use super::log_file::{FURTHEST, LogFile};

/// Bisection stops at a range of this size.
const NEAR: u64 = 64 << 10;
/// Records that are checked at one position: the median time counts, so that a forged one cannot mislead.
const RECORDS: usize = 9;

/// The first record after a byte; the byte itself if none is near.
pub fn record_behind(part: &LogFile, at: u64, clock: &Clock) -> io::Result<u64> {
    let mut file = File::open(&part.path)?;
    let found = probe(part, &mut file, at, clock)?;
    Ok(found.map_or(at, |(start, _)| start))
}

/// Where to start reading to get every record from `target` (milliseconds UTC) on; always the start of a
/// line.
pub fn start_of(part: &LogFile, target: i64, clock: &Clock) -> io::Result<u64> {
    if part.gzip {
        return Ok(0);
    }
    let mut file = File::open(&part.path)?;
    let mut low = 0;
    let mut high = part.length;
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match probe(part, &mut file, middle, clock)? {
            Some((start, at)) if at < target => {
                // The line at the middle may end after `high`.
                if start >= high {
                    break;
                }
                low = start;
            }
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The start of the first line at or after a byte, and the time of the records there.
fn probe(
    part: &LogFile,
    file: &mut File,
    at: u64,
    clock: &Clock,
) -> io::Result<Option<(u64, i64)>> {
    file.seek(SeekFrom::Start(at))?;
    let mut lines = Lines::new(file.take(FURTHEST.min(part.length.saturating_sub(at))));
    let mut position = at;
    let mut start = None;
    let mut times = Vec::new();
    // The jump cuts the first line, unless it hits the start of a line: skip it.
    let mut first = true;
    while times.len() < RECORDS {
        let left = lines.chunk(|line| {
            let here = position;
            position += line.len() as u64 + 1;
            if std::mem::take(&mut first) || times.len() >= RECORDS {
                return;
            }
            let Some(at) = part.stamp(line).and_then(|stamp| clock.peek(stamp)) else {
                return;
            };
            start.get_or_insert(here);
            times.push(at);
        })?;
        if left != Remaining::More {
            break;
        }
    }
    times.sort_unstable();
    Ok(start.zip(times.get(times.len() / 2).copied()))
}
