//! Finds the time zone of a text log from lines that contain a time both in local time and in milliseconds
//! since 1970.

use std::io::{self, Read};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;

use super::lines::{Lines, Remaining};
use super::log_file::LogFile;
use kestrel_core::synapse_log::message::epoch_of;
use kestrel_core::synapse_log::record::{self, Record, Stamp};
use kestrel_core::synapse_log::synapse_lines::SynapseLines;
use kestrel_core::synapse_log::zone::Clock;

/// The number of positions that are checked for the zone, and the size of each.
const PLACES: u64 = 16;

const PLACE: u64 = 256 << 10;

/// This many lines decide the zone.
const ENOUGH: u64 = 3;

/// Lines near the window that override those of the whole file: a log may contain summer and winter time.
pub(super) const NEARBY: u64 = 8 << 20;

pub(super) const NEARBY_VOTES: u64 = 3;

/// Where nothing else tells the zone, this much of the end is searched before the whole file: questions are about the
/// newest part of a log.
const NEWEST: u64 = 1 << 30;

/// The two records that contain milliseconds since 1970 and whose texts are escaped.
static EPOCHS: LazyLock<[Finder; 2]> = LazyLock::new(|| {
    [Finder::new("Adding one_time_keys "), Finder::new("Updating device_keys for device ")]
});

/// Collects the offset from lines all over the file. If there are none and no zone is configured, the whole
/// file is searched.
pub fn ask_zone(
    part: &LogFile,
    clock: &mut Clock,
    whole: bool,
    stop: &AtomicBool,
) -> io::Result<()> {
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
    for at in [part.length.saturating_sub(NEWEST), 0] {
        if whole && clock.voted() == 0 {
            votes(part, at, u64::MAX, clock, stop)?;
        }
    }
    Ok(())
}

/// The offsets in one range; in an unlimited one, until there are enough.
pub fn votes(
    part: &LogFile,
    at: u64,
    bytes: u64,
    clock: &mut Clock,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut lines = Lines::new(part.open(at)?.take(bytes));
    let mut synapse = SynapseLines::new(part.wrappings.clone());
    while !stop.load(Ordering::Relaxed) {
        let left = if synapse.is_plain() {
            lines.block(|block| each_epoch(block, |line| vote(line, clock)))?
        } else {
            // A carrier may have cut a line into pieces, of which only the first has the words.
            lines.chunk(|line| synapse.line(line, |line| vote(line, clock)))?
        };
        let enough = bytes == u64::MAX && clock.voted() >= ENOUGH;
        if left != Remaining::More || enough {
            break;
        }
    }
    Ok(())
}

/// The lines of a block that contain both times.
fn each_epoch(block: &[u8], mut each: impl FnMut(&[u8])) {
    for words in EPOCHS.iter() {
        for at in words.find_iter(block) {
            let start = memchr::memrchr(b'\n', &block[..at]).map_or(0, |newline| newline + 1);
            let end = memchr::memchr(b'\n', &block[at..]).map_or(block.len(), |length| at + length);
            each(&block[start..end]);
        }
    }
}

fn vote(line: &[u8], clock: &mut Clock) {
    if !EPOCHS.iter().any(|words| words.find(line).is_some()) {
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
