//! Starts following a log, from a saved position or from a time. It reads some bytes before that point to
//! prepare the reader, and counts nothing of them.

use std::io::{self, Read};
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::find_file::{self, FoundFile, begins};
use super::position::Position;
use super::tail::Tail;
use super::tails::{LATE, MISSES, Tails};
use crate::collect::logs::lines::{Lines, Remaining};
use crate::collect::logs::log_file::LogFile;
use crate::collect::logs::reading::LEAD_TEXT;
use crate::collect::logs::seek;
use crate::collect::logs::zone::{self, NEARBY, NEARBY_VOTES};
use crate::config::LogSource;
use kestrel_core::evidence::{Subject, Window};
use kestrel_core::synapse_log::attribution::Attribution;
use kestrel_core::synapse_log::readers::Readers;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

/// At most this many bytes are read again, however long an upload takes.
const LONGEST_LEAD: u64 = 256 << 20;

/// Starts at a time.
pub fn begin(source: &LogSource, since: Timestamp, tails: &mut Tails) -> io::Result<Attribution> {
    let current = LogFile::inspect(&source.path).map_err(io::Error::other)?;
    let clock = settled_clock(source, &current, 0)?;
    let target = since.as_millisecond().saturating_sub(LEAD_TEXT);
    let mut first = current;
    if first.first.and_then(|first| clock.peek(first)).is_none_or(|at| at > target) {
        let older = match first.first {
            Some(_) => find_file::before(&source.path, Some(begins(&first))),
            None => find_file::before(&source.path, Some(i64::MAX)),
        };
        for part in older {
            let at = part.first.and_then(|first| clock.peek(first));
            first = part;
            if at.is_some_and(|at| at <= target) {
                break;
            }
        }
    }
    let at = seek::start_of(&first, target, &clock)?;
    // If the log is empty, every other file is older than its next line.
    tails.began = first.first.map_or(Some(i64::MIN), |_| Some(begins(&first)));
    tails.push(Tail::open(&first, at)?, i64::MAX);
    Ok(reader(clock))
}

/// Resumes at a saved position. Returns whether late lines of a deleted file were lost.
pub fn resume(
    source: &LogSource,
    saved: &Position,
    tails: &mut Tails,
    reading: &mut Option<Attribution>,
    now: i64,
) -> io::Result<bool> {
    let mut open = Vec::new();
    let mut lost = false;
    let mut late = false;
    let marks = saved.findable();
    for (number, mark) in marks.iter().enumerate() {
        match find_file::find(&source.path, mark) {
            FoundFile::At(part, current) => {
                open.push((Tail::open(&part, mark.offset)?, part, current))
            }
            FoundFile::Ended => {}
            FoundFile::Nowhere if number + 1 == marks.len() => lost = true,
            FoundFile::Nowhere => late = true,
        }
    }
    if (lost || late) && tails.misses < MISSES {
        tails.misses += 1;
        return Err(io::Error::other("the file that was read last is missing"));
    }
    let mut next = None;
    if open.is_empty() {
        next = find_file::next(&source.path, tails.began, None)?;
    }
    let Some(lead) = open.first().map(|(_, part, _)| part).or(next.as_ref()) else {
        return Err(io::Error::other("the file is missing"));
    };
    if reading.is_none() {
        let offset = open.first().map_or(0, |(tail, ..)| tail.offset());
        let mut prepared = reader(settled_clock(source, lead, offset)?);
        warm(source, (lead, offset), saved.lead.min(LONGEST_LEAD), &mut prepared)?;
        // There must be no gap between them: after a gap, a request number that is reused after a restart
        // would be taken for the earlier upload, whose end is in the gap.
        for (tail, part, _) in open.iter().skip(1) {
            let from = tail.offset().saturating_sub(LONGEST_LEAD);
            feed(part, from, tail.offset(), &mut prepared)?;
        }
        prepared.log_events();
        prepared.hidden();
        *reading = Some(prepared);
    }
    tails.misses = 0;
    let count = open.len();
    for (number, (mut tail, part, current)) in open.into_iter().enumerate() {
        tail.closed |= !current && part.gzip;
        let until = if number + 1 < count { now + LATE } else { i64::MAX };
        tails.push(tail, until);
    }
    tails.gap = lost;
    if let Some(next) = next {
        tails.push(Tail::open(&next, 0)?, i64::MAX);
    }
    Ok(late)
}

/// Reads this many bytes before a position, across the boundary into the previous file, and counts
/// nothing.
fn warm(
    source: &LogSource,
    (part, at): (&LogFile, u64),
    bytes: u64,
    into: &mut Attribution,
) -> io::Result<()> {
    let mut older = Vec::new();
    let mut wanted = bytes.saturating_sub(at);
    for before in find_file::before(&source.path, part.first.map(|_| begins(part))) {
        if wanted == 0 {
            break;
        }
        let length = if before.gzip { unpacked(&before)? } else { before.length };
        older.push((before, length.saturating_sub(wanted), length));
        wanted = wanted.saturating_sub(length);
    }
    for (before, from, to) in older.into_iter().rev() {
        // An unreadable file only costs an upload that crosses the boundary.
        let _ = feed(&before, from, to, into);
    }
    feed(part, at.saturating_sub(bytes), at, into)
}

/// Determines the log's time zone from lines of the whole file, preferring those near the position.
fn settled_clock(source: &LogSource, part: &LogFile, at: u64) -> io::Result<Clock> {
    let mut clock = Clock::new(source.timezone.clone());
    if !matches!(part.first, Some(Stamp::Local(_)) | None) {
        return Ok(clock);
    }
    let stop = AtomicBool::new(false);
    zone::ask_zone(part, &mut clock, false, &stop)?;
    clock.settle();
    if !part.gzip {
        let mut near = Clock::new(source.timezone.clone());
        zone::votes(part, at.saturating_sub(NEARBY), NEARBY, &mut near, &stop)?;
        if near.voted() >= NEARBY_VOTES {
            near.settle();
            return Ok(near);
        }
    }
    Ok(clock)
}

fn reader(clock: Clock) -> Attribution {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    Attribution::new(Subject::nobody(), window, clock).with_readers(Readers::watching(window))
}

/// Passes part of a file to a reader.
fn feed(part: &LogFile, from: u64, to: u64, into: &mut Attribution) -> io::Result<()> {
    // The byte before shows whether a line begins here; the rest of a partial line is skipped.
    let start = from.saturating_sub(1);
    let mut source = part.open(if part.gzip { 0 } else { start })?;
    if part.gzip {
        io::copy(&mut (&mut source).take(start), &mut io::sink())?;
    }
    into.next_file(matches!(part.first, Some(Stamp::Local(_))), part.wrappings.clone());
    let mut lines = Lines::new(source.take(to.saturating_sub(start)));
    let mut cut = from > 0;
    loop {
        let left = lines.chunk(|line| {
            if !std::mem::take(&mut cut) {
                into.line(line);
            }
        })?;
        if left != Remaining::More {
            return Ok(());
        }
    }
}

/// The uncompressed size of a file, from its last bytes.
fn unpacked(part: &LogFile) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let mut size = [0; 4];
    let file = std::fs::File::open(&part.path)?;
    file.read_exact_at(&mut size, part.length.saturating_sub(4))?;
    Ok(u32::from_le_bytes(size).into())
}
