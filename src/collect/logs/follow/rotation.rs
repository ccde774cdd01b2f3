//! Decides which file to read next after a log was rotated, truncated or copied. Each line is still read
//! once.

use std::io;
use std::mem;

use jiff::Timestamp;
use kestrel_core::evidence::utc;
use kestrel_core::synapse_log::attribution::Attribution;

use super::find_file::{self, FoundFile};
use super::log_reader::LogReader;
use super::tail::{More, Tail};
use crate::collect::logs::lines::CHUNK;

/// A rotated file can get late lines for this long (milliseconds): Synapse writes to it until it is told to
/// open the new one.
pub(super) const LATE: i64 = 60_000;

/// The most files that are read at the same time. After more rotations within `LATE`, late lines of the
/// oldest file are not read.
const FILES: usize = 8;

/// A position is given up after this many failed searches: files are renamed while the folder is read.
pub(super) const MISSES: u32 = 3;

impl LogReader {
    /// The current file was empty when it was opened. If it was filled, truncated and filled again since
    /// then, the copy comes first.
    pub(super) fn skipped(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let Some(own) = tail.fill_head()? else { return Ok(false) };
        let Some(next) = find_file::between(&self.source.path, self.began, own) else {
            return Ok(false);
        };
        self.tails.pop_back();
        self.push(Tail::open(&next, 0)?, i64::MAX);
        Ok(true)
    }

    /// Reads late lines of rotated files, and the last line of those that are too old for more.
    pub(super) fn late(&mut self, reading: &mut Attribution, now: i64) {
        let current = self.tails.len().saturating_sub(1);
        for (tail, _) in self.tails.iter_mut().take(current) {
            while matches!(tail.more(CHUNK, reading), Ok(More::Lines)) {}
        }
        while self.tails.len() > 1 {
            let old = &self.tails[0];
            // The current file can only be found again once it has content.
            let known = self.tails.back().is_some_and(|(tail, _)| tail.offset() > 0);
            if old.1 > now && self.tails.len() <= FILES || !known {
                break;
            }
            self.tails[0].0.finish(reading);
            self.tails.pop_front();
        }
    }

    /// The current file was read to its end. If it was rotated, the next one is opened.
    pub(super) fn follow(&mut self, reading: &mut Attribution, now: i64) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let same = (!tail.closed).then_some(tail.identity);
        let began = tail.began().or(self.began);
        self.began = self.newest();
        let found = find_file::next(&self.source.path, began, same);
        let there = found.as_ref().map(|_| ()).map_err(ToString::to_string);
        let is_there = same.is_some() && matches!(&found, Ok(None)) && self.source.path.exists();
        let next = found.unwrap_or_default();
        self.seen(
            there.and(if next.is_some() || is_there { Ok(()) } else { Err(String::new()) }),
            now,
        );
        let Some(next) = next else { return Ok(false) };
        let Some((tail, until)) = self.tails.back_mut() else { return Ok(false) };
        // Lines that were written before the rotation.
        while matches!(tail.more(CHUNK, reading)?, More::Lines) {}
        if next.path == self.source.path && tail.is_in(&next) {
            // The same log under another name: the folder was mounted again.
            *tail = Tail::open(&next, tail.offset())?;
            return Ok(true);
        }
        *until = now + LATE;
        if tail.closed {
            tail.finish(reading);
            *until = now;
            self.began = began;
        }
        self.push(Tail::open(&next, 0)?, i64::MAX);
        Ok(true)
    }

    /// The current file was replaced or truncated: the rest of its lines is in a copy, or lost.
    pub(super) fn cut(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let mark = tail.mark();
        // Nothing was read from a file without a complete line, so its copy is read from the start.
        self.began = self.newest();
        let found = if mark.head.length == 0 {
            FoundFile::Ended
        } else {
            find_file::find(&self.source.path, &mark)
        };
        match found {
            FoundFile::At(part, _) => {
                let mut copy = Tail::open(&part, mark.offset)?;
                copy.closed = true;
                self.tails.pop_back();
                self.push(copy, i64::MAX);
            }
            FoundFile::Nowhere if self.misses < MISSES => {
                self.misses += 1;
                return Ok(false);
            }
            found => {
                self.gap |= matches!(found, FoundFile::Nowhere);
                let Some(next) = find_file::next(&self.source.path, self.began, None)
                    .map_err(io::Error::other)?
                else {
                    return Ok(false);
                };
                self.tails.pop_back();
                self.push(Tail::open(&next, 0)?, i64::MAX);
            }
        }
        self.misses = 0;
        Ok(true)
    }

    /// The start of the newest file from which a line was read.
    pub(super) fn newest(&mut self) -> Option<i64> {
        let tail = self.tails.back_mut().filter(|(tail, _)| tail.offset() > 0);
        tail.and_then(|(tail, _)| tail.began()).or(self.began)
    }

    /// Continues with a file.
    pub(super) fn push(&mut self, tail: Tail, until: i64) {
        if mem::take(&mut self.gap) {
            let shown = |at: Option<Timestamp>| at.map_or_else(|| "its beginning".into(), utc);
            let first = tail.first.zip(self.reading.as_ref());
            let first = first.and_then(|(first, reading)| reading.moment(first));
            let to = first.map_or_else(|| "now".into(), utc);
            self.notes.push(format!(
                "log {}: nothing was read between {} and {to}: the file was missing",
                self.source.name,
                shown(self.last),
            ));
        }
        self.tails.push_back((tail, until));
    }
}
