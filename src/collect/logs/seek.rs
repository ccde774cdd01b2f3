//! Finds the byte where a window begins in a log, by bisecting on time, and the lines that tell the
//! log's zone. Reads a few hundred kilobytes of a file of any size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use regex::bytes::Regex;

use super::file::{Left, Lines, Part};
use kestrel_core::synapse_log::message::epoch_of;
use kestrel_core::synapse_log::record::{self, Record, Stamp, stamp};
use kestrel_core::synapse_log::zone::Clock;

/// A stretch without any record's start is given up after this much.
const FURTHEST: u64 = 4 << 20;
/// Bisecting stops at a stretch of this size.
const NEAR: u64 = 64 << 10;
/// Records looked at in one place: the middle one's time counts, so that a forged one cannot mislead.
const RECORDS: usize = 9;
/// Places looked at for the zone, and how much of each.
const PLACES: u64 = 16;
const PLACE: u64 = 256 << 10;
/// Lines that settle the zone.
const ENOUGH: u64 = 3;

/// The two records that write milliseconds since 1970 and whose texts are escaped.
static EPOCHS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("Adding one_time_keys |Updating device_keys for device ").expect("a constant")
});

/// The time of the first record.
pub fn first_stamp(source: &mut impl Read) -> io::Result<Option<Stamp>> {
    let mut lines = Lines::new(source.take(FURTHEST));
    let mut first = None;
    while first.is_none() {
        let left = lines.chunk(|line| first = first.or_else(|| stamp(line)))?;
        if left != Left::More {
            break;
        }
    }
    Ok(first)
}

/// The first record that begins behind a byte; the byte itself where none is found near.
pub fn record_behind(part: &Part, at: u64, clock: &Clock) -> io::Result<u64> {
    let mut file = File::open(&part.path)?;
    let found = probe(&mut file, at, part.length, clock)?;
    Ok(found.map_or(at, |(start, _)| start))
}

/// Where to begin reading to have every record from `target` (milliseconds UTC) on; always a line's
/// start.
pub fn start_of(part: &Part, target: i64, clock: &Clock) -> io::Result<u64> {
    if part.gzip {
        return Ok(0);
    }
    let mut file = File::open(&part.path)?;
    let (mut low, mut high) = (0, part.length);
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
    let (mut position, mut start, mut times) = (at, None, Vec::new());
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
        if left != Left::More {
            break;
        }
    }
    times.sort_unstable();
    Ok(start.zip(times.get(times.len() / 2).copied()))
}

/// Lets lines from all over the file vote on the offset; where none is found there and the zone is not
/// configured, the whole file is searched for some.
pub fn ask_zone(part: &Part, clock: &mut Clock, whole: bool, stop: &AtomicBool) -> io::Result<()> {
    if part.gzip {
        return if whole { votes(part, 0, u64::MAX, clock, stop) } else { Ok(()) };
    }
    let step = (part.length / PLACES).max(PLACE);
    let mut at = 0;
    while at < part.length {
        votes(part, at, PLACE, clock, stop)?;
        at += step;
    }
    votes(part, part.length.saturating_sub(PLACE), PLACE, clock, stop)?;
    if whole && clock.voted() == 0 {
        votes(part, 0, u64::MAX, clock, stop)?;
    }
    Ok(())
}

/// The votes of one stretch; of an endless one until there are enough.
pub fn votes(
    part: &Part,
    at: u64,
    bytes: u64,
    clock: &mut Clock,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut lines = Lines::new(part.open(at)?.take(bytes));
    while !stop.load(Ordering::Relaxed) {
        let left = lines.chunk(|line| vote(line, clock))?;
        let enough = bytes == u64::MAX && clock.voted() >= ENOUGH;
        if left != Left::More || enough {
            break;
        }
    }
    Ok(())
}

fn vote(line: &[u8], clock: &mut Clock) {
    if !EPOCHS.is_match(line) {
        return;
    }
    let text = record::text(line);
    let Some(record) = Record::parse(&text) else {
        return;
    };
    let Stamp::Local(local) = record.stamp else {
        return;
    };
    if record.logger == "synapse.handlers.e2e_keys"
        && let Some(epoch) = epoch_of(&record.message)
    {
        clock.vote(local, epoch);
    }
}
