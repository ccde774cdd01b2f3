//! Reads what is new in one log, each line once, through renaming, truncation, compression and restarts. It
//! never waits and never asks the clock, so that a test controls everything.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::notices::Notices;
use super::position::Position;
use super::resume;
use super::tail::More;
use super::tails::Tails;
use crate::collect::logs::lines::CHUNK;
use crate::config::LogSource;
use kestrel_core::evidence::log_event::LogEvent;
use kestrel_core::evidence::utc;
use kestrel_core::synapse_log::attribution::Attribution;

/// A piece ends after this many bytes, or after this much of the log's time (milliseconds), so that several
/// logs are read in step.
const PIECE: u64 = 4 << 20;
const STEP: i64 = 60_000;
/// If one read covers less time than this, the next one is larger.
const STEP_SHORT: i64 = STEP / 4;
/// The size of one read from a log with few lines an hour.
const SPARSE: usize = 4 << 10;
/// A compressed file that fails this often in a row is damaged.
const FAILURES: u32 = 8;

/// One log that is followed.
#[derive(Debug)]
pub struct LogReader {
    source: LogSource,
    /// The least number of bytes before a position that are read again.
    lead: u64,
    reading: Option<Attribution>,
    tails: Tails,
    notices: Notices,
    /// Where to resume as soon as a file can be opened.
    saved: Option<Position>,
    since: Timestamp,
    last: Option<Timestamp>,
    /// Reads that failed in a row.
    failures: u32,
    chunk: usize,
}

/// What one read returned.
#[derive(Debug, Default)]
pub struct LogPiece {
    /// Oldest first.
    pub log_events: Vec<LogEvent>,
    /// The position after them; `None` before anything was opened.
    pub place: Option<Position>,
    /// There is more to read.
    pub behind: bool,
    /// The log's time before and after this piece.
    pub from: Option<Timestamp>,
    pub read_to: Option<Timestamp>,
    pub bytes: u64,
    /// It has been unreadable for longer than a rotation takes.
    pub blind: bool,
    pub notes: Vec<String>,
}

impl LogReader {
    /// Follows a log from a position, or from a time. `lead` bytes before it are read again.
    pub fn new(source: LogSource, saved: Option<Position>, since: Timestamp, lead: u64) -> Self {
        Self {
            lead,
            reading: None,
            tails: Tails::new(source.path.clone(), saved.as_ref().and_then(|saved| saved.began)),
            notices: Notices::new(&source),
            since: saved.as_ref().map_or(since, |saved| saved.since),
            last: saved.as_ref().and_then(|saved| saved.last),
            saved,
            failures: 0,
            chunk: CHUNK,
            source,
        }
    }

    /// The log's path.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Reads what is new, at most one piece; `now` is in milliseconds.
    pub fn look(&mut self, now: i64) -> LogPiece {
        if self.tails.is_empty() {
            match self.open(now) {
                Err(why) => self.notices.unreadable(why, self.saved.is_none(), now),
                Ok(()) if self.failures == 0 => self.notices.readable(),
                Ok(()) => {}
            }
            self.note_gap();
        }
        let mut piece = LogPiece { from: self.last, ..LogPiece::default() };
        match self.read(now) {
            Ok((behind, bytes)) => {
                (piece.behind, piece.bytes) = (behind, bytes);
                self.failures = if bytes > 0 { 0 } else { self.failures };
            }
            // The file disappeared: it is searched for again.
            Err(error) => self.lose(&error, now),
        }
        self.note_gap();
        self.tails.began = self.tails.newest();
        if let Some(reading) = &mut self.reading {
            self.notices.odd(reading);
            self.notices.hidden(reading, now);
            let reached = reading.reached().and_then(|at| Timestamp::from_millisecond(at).ok());
            self.last = reached.or(self.last);
            piece.log_events = reading.log_events().sorted();
            piece.log_events.retain(|log_event| log_event.at >= self.since);
        }
        (piece.place, piece.read_to, piece.blind) =
            (self.place(), self.last, self.notices.is_blind());
        piece.notes = self.notices.take();
        piece
    }

    /// Opens the files to read.
    fn open(&mut self, now: i64) -> Result<(), String> {
        let opened = match &self.saved {
            Some(saved) if saved.began.is_some() => {
                let saved = Position { lead: saved.lead.max(self.lead), ..saved.clone() };
                resume::resume(&self.source, &saved, &mut self.tails, &mut self.reading, now)
            }
            _ => resume::begin(&self.source, self.since, &mut self.tails).map(|reading| {
                self.reading = Some(reading);
                false
            }),
        };
        let shown = self.source.path.display();
        let is_late_lost = opened.map_err(|error| format!("{shown} cannot be read: {error}"))?;
        self.saved.take_if(|saved| saved.began.is_some());
        if is_late_lost {
            self.notices.push(": late lines of a deleted file were not read");
        }
        Ok(())
    }

    /// The current position.
    fn place(&self) -> Option<Position> {
        let reading = self.reading.as_ref()?;
        Some(Position {
            files: self.tails.marks(),
            lead: reading.under_way(),
            last: self.last,
            began: self.tails.began,
            since: self.since,
        })
        .filter(|place| !place.files.is_empty() || self.saved.is_none())
        .or_else(|| self.saved.clone())
    }

    /// Reading failed: the file is searched for again, and a damaged compressed file is skipped.
    fn lose(&mut self, error: &io::Error, now: i64) {
        self.failures += 1;
        if self.failures > FAILURES
            && let Some(path) = self.tails.drop_finished()
        {
            let path = path.display();
            self.notices.push(&format!(": the rest of {path} cannot be read: {error}"));
        }
        self.saved = self.place();
        self.tails.clear();
        self.notices.unreadable(error.to_string(), self.saved.is_none(), now);
    }

    /// Reports that nothing was read for a while, when the first file after that is opened.
    fn note_gap(&mut self) {
        let Some(first) = self.tails.gap_end() else { return };
        let first = first.zip(self.reading.as_ref());
        let to = first.and_then(|(first, reading)| reading.moment(first));
        let from = self.last.map_or_else(|| "its beginning".into(), utc);
        let to = to.map_or_else(|| "now".into(), utc);
        self.notices
            .push(&format!(": nothing was read between {from} and {to}: the file was missing"));
    }

    /// Reads late lines first, then the current file and its successors. Returns whether there is more, and
    /// how many bytes were read.
    fn read(&mut self, now: i64) -> io::Result<(bool, u64)> {
        let Some(mut reading) = self.reading.take() else { return Ok((false, 0)) };
        let read = self.read_into(&mut reading, now);
        self.reading = Some(reading);
        read
    }

    fn read_into(&mut self, reading: &mut Attribution, now: i64) -> io::Result<(bool, u64)> {
        self.tails.late(reading, now);
        let mut bytes = 0;
        let began = reading.reached();
        while let Some(tail) = self.tails.current() {
            if reading.is_zone_unknown()
                && tail.path == self.source.path
                && let Some((local, epoch)) = tail.written()?
            {
                reading.written(local, epoch);
            }
            if tail.was_empty() && !tail.closed && self.tails.skipped()? {
                continue;
            }
            let Some(tail) = self.tails.current() else { break };
            let before = (tail.read(), reading.reached());
            match tail.more(self.chunk, reading)? {
                More::Lines => {
                    bytes += tail.read() - before.0;
                    let after = reading.reached();
                    let passed =
                        |from: Option<i64>| after.zip(from).map_or(0, |(to, from)| to - from);
                    self.chunk = match passed(before.1) {
                        ..STEP_SHORT => (self.chunk * 2).min(CHUNK),
                        STEP.. => (self.chunk / 2).max(SPARSE),
                        _ => self.chunk,
                    };
                    if bytes >= PIECE || passed(began) >= STEP {
                        return Ok((true, bytes));
                    }
                }
                More::End if !self.tails.follow(reading, &mut self.notices, now)? => {
                    return Ok((false, bytes));
                }
                More::End => {}
                More::Other => {
                    if !self.tails.cut()? {
                        return Ok((false, bytes));
                    }
                }
            }
        }
        Ok((false, bytes))
    }
}
