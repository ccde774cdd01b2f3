//! The open files of one log: which file to read next after a rotation, a truncation or a copy. Each line is
//! still read once.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::path::PathBuf;

use kestrel_core::synapse_log::attribution::Attribution;
use kestrel_core::synapse_log::record::Stamp;

use super::find_file::{self, FoundFile};
use super::notices::Notices;
use super::position::FilePosition;
use super::tail::{More, Tail};
use crate::collect::logs::lines::CHUNK;

/// A rotated file can get late lines for this long (milliseconds): Synapse writes to it until it is told to
/// open the new one.
pub const LATE: i64 = 60_000;

/// The most files that are read at the same time. After more rotations within `LATE`, late lines of the
/// oldest file are not read.
const FILES: usize = 8;

/// A position is given up after this many failed searches: files are renamed while the folder is read.
pub const MISSES: u32 = 3;

/// The files that are open, oldest first.
#[derive(Debug)]
pub struct Tails {
    path: PathBuf,
    /// Rotated files that may still get late lines, with the time until then (milliseconds), and last the
    /// current file.
    open: VecDeque<(Tail, i64)>,
    /// When the newest file with a record begins, as written.
    pub began: Option<i64>,
    /// Searches for a position that failed in a row.
    pub misses: u32,
    /// A position was given up: the next line that is read ends the gap.
    pub gap: bool,
    /// A gap ended and was not reported yet: with the first stamp after it, if the file has one.
    gap_end: Option<Option<Stamp>>,
}

impl Tails {
    pub fn new(path: PathBuf, began: Option<i64>) -> Self {
        Self { path, open: VecDeque::new(), began, misses: 0, gap: false, gap_end: None }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes every file.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// The positions in the open files, oldest first.
    pub fn marks(&self) -> Vec<FilePosition> {
        self.open.iter().map(|(tail, _)| tail.mark()).collect()
    }

    /// The current file.
    pub fn current(&mut self) -> Option<&mut Tail> {
        self.open.back_mut().map(|(tail, _)| tail)
    }

    /// Closes the current file if it is one that nobody writes to.
    pub fn drop_finished(&mut self) -> Option<PathBuf> {
        let (mut tail, _) = self.open.pop_back_if(|(tail, _)| tail.closed)?;
        self.began = tail.began().or(self.began);
        Some(tail.path)
    }

    /// The gap that ended since the last call, by the first stamp after it, if that file has one.
    pub fn gap_end(&mut self) -> Option<Option<Stamp>> {
        self.gap_end.take()
    }

    /// Continues with a file. If a position was given up before, the gap ends here.
    pub fn push(&mut self, tail: Tail, until: i64) {
        if mem::take(&mut self.gap) {
            self.gap_end = Some(tail.first);
        }
        self.open.push_back((tail, until));
    }

    /// The current file was empty when it was opened. If it was filled, truncated and filled again since
    /// then, the copy comes first.
    pub fn skipped(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.open.back_mut() else { return Ok(false) };
        let Some(own) = tail.fill_head()? else { return Ok(false) };
        let Some(next) = find_file::between(&self.path, self.began, own) else {
            return Ok(false);
        };
        self.open.pop_back();
        self.push(Tail::open(&next, 0)?, i64::MAX);
        Ok(true)
    }

    /// Reads late lines of rotated files, and the last line of those that are too old for more.
    pub fn late(&mut self, reading: &mut Attribution, now: i64) {
        let current = self.open.len().saturating_sub(1);
        for (tail, _) in self.open.iter_mut().take(current) {
            while matches!(tail.more(CHUNK, reading), Ok(More::Lines)) {}
        }
        while self.open.len() > 1 {
            let old = &self.open[0];
            // The current file can only be found again once it has content.
            let known = self.open.back().is_some_and(|(tail, _)| tail.offset() > 0);
            if old.1 > now && self.open.len() <= FILES || !known {
                break;
            }
            self.open[0].0.finish(reading);
            self.open.pop_front();
        }
    }

    /// The current file was read to its end. If it was rotated, the next one is opened.
    pub fn follow(
        &mut self,
        reading: &mut Attribution,
        notices: &mut Notices,
        now: i64,
    ) -> io::Result<bool> {
        let Some((tail, _)) = self.open.back_mut() else { return Ok(false) };
        let same = (!tail.closed).then_some(tail.identity);
        let began = tail.began().or(self.began);
        self.began = self.newest();
        let found = find_file::next(&self.path, began, same);
        let is_there = same.is_some() && matches!(&found, Ok(None)) && self.path.exists();
        match &found {
            Err(why) => notices.unreadable(why.to_string(), false, now),
            Ok(None) if !is_there => notices.unreadable(String::new(), false, now),
            Ok(_) => notices.readable(),
        }
        let Some(next) = found.unwrap_or_default() else { return Ok(false) };
        let Some((tail, until)) = self.open.back_mut() else { return Ok(false) };
        // Lines that were written before the rotation.
        while matches!(tail.more(CHUNK, reading)?, More::Lines) {}
        if next.path == self.path && tail.is_in(&next) {
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
    pub fn cut(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.open.back_mut() else { return Ok(false) };
        let mark = tail.mark();
        // Nothing was read from a file without a complete line, so its copy is read from the start.
        self.began = self.newest();
        let found = if mark.head.length == 0 {
            FoundFile::Ended
        } else {
            find_file::find(&self.path, &mark)
        };
        match found {
            FoundFile::At(part, _) => {
                let mut copy = Tail::open(&part, mark.offset)?;
                copy.closed = true;
                self.open.pop_back();
                self.push(copy, i64::MAX);
            }
            FoundFile::Nowhere if self.misses < MISSES => {
                self.misses += 1;
                return Ok(false);
            }
            found => {
                self.gap |= matches!(found, FoundFile::Nowhere);
                let Some(next) =
                    find_file::next(&self.path, self.began, None).map_err(io::Error::other)?
                else {
                    return Ok(false);
                };
                self.open.pop_back();
                self.push(Tail::open(&next, 0)?, i64::MAX);
            }
        }
        self.misses = 0;
        Ok(true)
    }

    /// The start of the newest file from which a line was read.
    pub fn newest(&mut self) -> Option<i64> {
        let tail = self.open.back_mut().filter(|(tail, _)| tail.offset() > 0);
        tail.and_then(|(tail, _)| tail.began()).or(self.began)
    }
}
