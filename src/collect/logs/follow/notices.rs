//! Notices about a followed log: that it cannot be read, that it is not a log, that lines are hidden. Each is
//! given once.

use std::io;
use std::mem;

use super::log_reader::LogReader;
use crate::collect::logs::log_file::LogFile;
use crate::collect::logs::summary;

/// A log that is missing for less than this (milliseconds) is just being rotated.
const ROTATING: i64 = 5_000;

/// A compressed file that fails this often in a row is damaged.
const FAILURES: u32 = 8;

/// Milliseconds.
const DAY: i64 = 24 * 3_600_000;

/// A file with this many lines and no record is not a log.
const ODD: u64 = 1000;

impl LogReader {
    /// Reports once that the log cannot be read, and once that it can be read again. An empty reason means
    /// that the log is missing, as in the middle of a rotation.
    pub(super) fn seen(&mut self, how: Result<(), String>, now: i64) {
        let name = &self.source.name;
        let Err(why) = how else {
            if mem::take(&mut self.told) {
                self.notes.push(format!("log {name} can be read again"));
            }
            self.absent = None;
            return;
        };
        let since = *self.absent.get_or_insert(now);
        let at_once = self.tails.is_empty() && self.saved.is_none();
        if self.told || !(at_once || now - since >= ROTATING) {
            return;
        }
        self.told = true;
        let why = if why.is_empty() {
            let gone = LogFile::inspect(&self.source.path).err();
            gone.unwrap_or_else(|| "the file is being replaced".into())
        } else {
            why
        };
        self.notes.push(format!("log {name} cannot be read: {why}"));
    }

    /// Reading failed: the file is searched for again, and a damaged compressed file is skipped.
    pub(super) fn lose(&mut self, error: &io::Error, now: i64) {
        self.failures += 1;
        if self.failures > FAILURES && self.tails.back().is_some_and(|(tail, _)| tail.closed) {
            let (mut tail, _) = self.tails.pop_back().expect("checked right before");
            self.began = tail.began().or(self.began);
            let name = &self.source.name;
            let path = tail.path.display();
            self.notes.push(format!("log {name}: the rest of {path} cannot be read: {error}"));
        }
        self.saved = self.place();
        self.tails.clear();
        self.seen(Err(error.to_string()), now);
    }

    /// Reports once a day that login names make lines untrustworthy.
    pub(super) fn tell_hidden(&mut self, now: i64) {
        let Some(reading) = self.reading.as_mut() else { return };
        if self.hidden.is_none_or(|told| now - told >= DAY)
            && let Some(why) = reading.hidden()
        {
            self.hidden = Some(now);
            self.notes.push(format!("log {}: {why}", self.source.name));
        }
    }

    /// Reports once that a file is not a log.
    pub(super) fn tell_odd(&mut self) {
        let Some(reading) = self.reading.as_ref().filter(|_| !self.odd) else { return };
        if reading.end().lines > ODD
            && let Some(why) = summary::unreadable(reading.end(), &self.source.path)
        {
            self.odd = true;
            self.notes.push(format!("log {} cannot be followed: {why}", self.source.name));
        }
    }
}
