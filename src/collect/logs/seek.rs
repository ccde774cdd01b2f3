//! Finds the byte where a window begins in a log, by bisecting on time. Reads a few hundred kilobytes of a file
//! of any size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use kestrel_core::evidence::log_line::stamp;
use kestrel_core::evidence::log_time::Clock;

use super::lines::{Lines, Remaining};
use super::log_file::{FURTHEST, LogFile};

/// Bisecting stops at a stretch of this size.
const NEAR: u64 = 64 << 10;
/// Records looked at in one place: the middle one's time counts, so that a forged one cannot mislead.
const RECORDS: usize = 9;

/// The first record that begins behind a byte; the byte itself where none is found near.
pub fn record_behind(part: &LogFile, at: u64, clock: &Clock) -> io::Result<u64> {
    let mut file = File::open(&part.path)?;
    let found = probe(&mut file, at, part.length, clock)?;
    Ok(found.map_or(at, |(start, _)| start))
}

/// Where to begin reading to have every record from `target` (milliseconds UTC) on; always a line's
/// start.
pub fn start_of(part: &LogFile, target: i64, clock: &Clock) -> io::Result<u64> {
    if part.gzip {
        return Ok(0);
    }
    let mut file = File::open(&part.path)?;
    let mut low = 0;
    let mut high = part.length;
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match probe(&mut file, middle, part.length, clock)? {
            Some((start, at)) if at < target => {
                // The line that the middle fell into may end behind `high`.
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

/// The first line's start at or behind a byte, and the time of the records there.
fn probe(file: &mut File, at: u64, length: u64, clock: &Clock) -> io::Result<Option<(u64, i64)>> {
    file.seek(SeekFrom::Start(at))?;
    let mut lines = Lines::new(file.take(FURTHEST.min(length.saturating_sub(at))));
    let mut position = at;
    let mut start = None;
    let mut times = Vec::new();
    // The first line was cut by the jump, unless the jump hit a line's start: it is passed over.
    let mut first = true;
    while times.len() < RECORDS {
        let left = lines.chunk(|line| {
            let here = position;
            position += line.len() as u64 + 1;
            if std::mem::take(&mut first) || times.len() >= RECORDS {
                return;
            }
            let Some(at) = stamp(line).and_then(|stamp| clock.peek(stamp)) else {
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
