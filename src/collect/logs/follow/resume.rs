//! The start of following: where a log was left, or a time → open files, and a reader that knows what stood
//! before. Reads that part and counts nothing of it.

use std::io::{self, Read};
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::super::file::{Left, Lines, Part};
use super::super::{LEAD_TEXT, NEARBY, NEARBY_VOTES, seek};
use super::position::Position;
use super::search::{self, Found, begins};
use super::tail::Tail;
use super::trail::{Trail, findable};
use kestrel_core::evidence::{Subject, Window};
use kestrel_core::synapse_log::attribution::Attribution;
use kestrel_core::synapse_log::readers::Aside;
use kestrel_core::synapse_log::record::Stamp;
use kestrel_core::synapse_log::zone::Clock;

/// More than this (bytes) is not read again, however long an upload is under way.
const LONGEST_LEAD: u64 = 256 << 20;

impl Trail {
    /// Opens what is to be read.
    pub(super) fn open(&mut self, now: i64) -> Result<(), String> {
        let shown = self.source.path.display().to_string();
        let failed = |error: io::Error| format!("{shown} cannot be read: {error}");
        match self.saved.clone() {
            Some(saved) if saved.began.is_some() => self.resume(&saved, now).map_err(failed),
            _ => self.begin().map_err(failed),
        }
    }

    /// From a time on.
    fn begin(&mut self) -> io::Result<()> {
        let current = Part::of(&self.source.path).map_err(io::Error::other)?;
        let clock = self.clock(&current, 0)?;
        let target = self.since.as_millisecond().saturating_sub(LEAD_TEXT);
        let mut first = current;
        if first.first.and_then(|first| clock.peek(first)).is_none_or(|at| at > target) {
            let older = match first.first {
                Some(_) => search::before(&self.source.path, Some(begins(&first))),
                None => search::before(&self.source.path, Some(i64::MAX)),
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
        self.reading = Some(reader(clock));
        // All that is there now is older than what comes, where the log is empty.
        self.began = first.first.map_or(Some(i64::MIN), |_| Some(begins(&first)));
        let tail = Tail::open(&first, at)?;
        self.push(tail, i64::MAX);
        Ok(())
    }

    /// From where it was left.
    fn resume(&mut self, saved: &Position, now: i64) -> io::Result<()> {
        let (mut open, mut lost, mut late) = (Vec::new(), false, false);
        let marks = findable(saved);
        for (number, mark) in marks.iter().enumerate() {
            match search::find(&self.source.path, mark) {
                Found::At(part, current) => {
                    open.push((Tail::open(&part, mark.offset)?, part, current))
                }
                Found::Ended => {}
                Found::Nowhere if number + 1 == marks.len() => lost = true,
                Found::Nowhere => late = true,
            }
        }
        if (lost || late) && self.misses < super::trail::MISSES {
            self.misses += 1;
            return Err(io::Error::other("the file that was read last is not there"));
        }
        let next = match open.is_empty() {
            true => search::next(&self.source.path, self.began, None)?,
            false => None,
        };
        let Some(lead) = open.first().map(|(_, part, _)| part).or(next.as_ref()) else {
            return Err(io::Error::other("it is not there"));
        };
        if self.reading.is_none() {
            let offset = open.first().map_or(0, |(tail, ..)| tail.offset());
            let mut reading = reader(self.clock(lead, offset)?);
            let bytes = saved.lead.max(self.lead).min(LONGEST_LEAD);
            self.warm(lead, offset, bytes, &mut reading)?;
            // Without a hole between them: behind one, a number that is used again after a restart would be
            // taken for the upload that had it before, whose end stands in the hole.
            for (tail, part, _) in open.iter().skip(1) {
                let from = tail.offset().saturating_sub(LONGEST_LEAD);
                feed(part, from, tail.offset(), &mut reading)?;
            }
            reading.sights();
            reading.hidden();
            self.reading = Some(reading);
        }
        self.misses = 0;
        if late {
            let name = &self.source.name;
            self.notes.push(format!("log {name}: late lines of a file that is gone were not read"));
        }
        let count = open.len();
        for (number, (mut tail, part, current)) in open.into_iter().enumerate() {
            tail.closed |= !current && part.gzip;
            let until = if number + 1 < count { now + super::trail::LATE } else { i64::MAX };
            self.push(tail, until);
        }
        self.gap = lost;
        if let Some(next) = next {
            self.push(Tail::open(&next, 0)?, i64::MAX);
        }
        self.saved = None;
        Ok(())
    }

    /// Reads so many bytes before a place, over the border into the file before, and counts nothing.
    fn warm(&self, part: &Part, at: u64, bytes: u64, into: &mut Attribution) -> io::Result<()> {
        let mut older = Vec::new();
        let mut wanted = bytes.saturating_sub(at);
        for before in search::before(&self.source.path, part.first.map(|_| begins(part))) {
            if wanted == 0 {
                break;
            }
            let length = if before.gzip { unpacked(&before)? } else { before.length };
            older.push((before, length.saturating_sub(wanted), length));
            wanted = wanted.saturating_sub(length);
        }
        for (before, from, to) in older.into_iter().rev() {
            // A file that cannot be read costs an upload that straddles the border, not the log.
            let _ = feed(&before, from, to, into);
        }
        feed(part, at.saturating_sub(bytes), at, into)
    }

    /// How the log's times are understood: by lines of all over the file, and rather by those near the place.
    fn clock(&self, part: &Part, at: u64) -> io::Result<Clock> {
        let mut clock = Clock::new(self.source.timezone.clone());
        if !matches!(part.first, Some(Stamp::Local(_)) | None) {
            return Ok(clock);
        }
        let stop = AtomicBool::new(false);
        seek::ask_zone(part, &mut clock, false, &stop)?;
        clock.settle();
        if !part.gzip {
            let mut near = Clock::new(self.source.timezone.clone());
            seek::votes(part, at.saturating_sub(NEARBY), NEARBY, &mut near, &stop)?;
            if near.voted() >= NEARBY_VOTES {
                near.settle();
                return Ok(near);
            }
        }
        Ok(clock)
    }
}

fn reader(clock: Clock) -> Attribution {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    Attribution::new(Subject::nobody(), window, clock).beside(Aside::watching(window))
}

/// Lets a reader see a stretch of a file.
fn feed(part: &Part, from: u64, to: u64, into: &mut Attribution) -> io::Result<()> {
    // The byte before tells whether a line begins here: what goes up to the next newline is passed over.
    let start = from.saturating_sub(1);
    let mut source = part.open(if part.gzip { 0 } else { start })?;
    if part.gzip {
        io::copy(&mut (&mut source).take(start), &mut io::sink())?;
    }
    into.next_file(matches!(part.first, Some(Stamp::Local(_))));
    let mut lines = Lines::new(source.take(to.saturating_sub(start)));
    let mut cut = from > 0;
    loop {
        let left = lines.chunk(|line| {
            if !std::mem::take(&mut cut) {
                into.line(line);
            }
        })?;
        if left != Left::More {
            return Ok(());
        }
    }
}

/// How long a compressed file is, as it says itself at its end.
fn unpacked(part: &Part) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let mut size = [0; 4];
    let file = std::fs::File::open(&part.path)?;
    file.read_exact_at(&mut size, part.length.saturating_sub(4))?;
    Ok(u32::from_le_bytes(size).into())
}
