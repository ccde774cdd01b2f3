//! Reads what is new in one log, each line once, through renaming, truncation, compression and restarts. It
//! never waits and never asks the clock, so that a test controls everything.

use std::collections::VecDeque;
use std::io;
use std::mem;

use jiff::Timestamp;

use super::position::Position;
use super::tail::{More, Tail};
use crate::collect::logs::lines::CHUNK;
use crate::config::LogSource;
use kestrel_core::evidence::log_event::LogEvent;
use kestrel_core::synapse_log::attribution::Attribution;

/// A piece ends after this many bytes, or after this much of the log's time (milliseconds), so that several
/// logs are read in step.
const PIECE: u64 = 4 << 20;
const STEP: i64 = 60_000;
/// If one read covers less time than this, the next one is larger.
const STEP_SHORT: i64 = STEP / 4;
/// The size of one read from a log with few lines an hour.
const SPARSE: usize = 4 << 10;

/// One log that is followed.
#[derive(Debug)]
pub struct LogReader {
    pub(super) source: LogSource,
    /// The least number of bytes before a position that are read again.
    pub(super) lead: u64,
    pub(super) reading: Option<Attribution>,
    /// Rotated files that may still get late lines, with the time until then, and last the current file.
    pub(super) tails: VecDeque<(Tail, i64)>,
    pub(super) saved: Option<Position>,
    pub(super) since: Timestamp,
    /// When the newest file with a record begins, as written.
    pub(super) began: Option<i64>,
    pub(super) last: Option<Timestamp>,
    pub(super) misses: u32,
    /// A position was given up: the next line that is read ends the gap.
    pub(super) gap: bool,
    pub(super) notes: Vec<String>,
    pub(super) absent: Option<i64>,
    pub(super) told: bool,
    pub(super) failures: u32,
    pub(super) chunk: usize,
    pub(super) odd: bool,
    /// When (milliseconds) people were last told about logins that hide lines.
    pub(super) hidden: Option<i64>,
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
            source,
            lead,
            reading: None,
            tails: VecDeque::new(),
            since: saved.as_ref().map_or(since, |saved| saved.since),
            began: saved.as_ref().and_then(|saved| saved.began),
            last: saved.as_ref().and_then(|saved| saved.last),
            saved,
            misses: 0,
            gap: false,
            notes: Vec::new(),
            absent: None,
            told: false,
            failures: 0,
            chunk: CHUNK,
            odd: false,
            hidden: None,
        }
    }

    /// Reads what is new, at most one piece; `now` is in milliseconds.
    pub fn look(&mut self, now: i64) -> LogPiece {
        if self.tails.is_empty() {
            let opened = self.open(now);
            if opened.is_err() || self.failures == 0 {
                self.seen(opened, now);
            }
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
        self.tell_odd();
        self.tell_hidden(now);
        self.began = self.newest();
        if let Some(reading) = &mut self.reading {
            let reached = reading.reached().and_then(|at| Timestamp::from_millisecond(at).ok());
            self.last = reached.or(self.last);
            piece.log_events = reading.log_events().sorted();
            piece.log_events.retain(|log_event| log_event.at >= self.since);
        }
        (piece.place, piece.read_to, piece.blind) = (self.place(), self.last, self.told);
        piece.notes = mem::take(&mut self.notes);
        piece
    }

    /// The current position.
    pub(super) fn place(&self) -> Option<Position> {
        let reading = self.reading.as_ref()?;
        Some(Position {
            files: self.tails.iter().map(|(tail, _)| tail.mark()).collect(),
            lead: reading.under_way(),
            last: self.last,
            began: self.began,
            since: self.since,
        })
        .filter(|place| !place.files.is_empty() || self.saved.is_none())
        .or_else(|| self.saved.clone())
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
        self.late(reading, now);
        let mut bytes = 0;
        let began = reading.reached();
        while let Some((tail, _)) = self.tails.back_mut() {
            if reading.is_zone_unknown()
                && tail.path == self.source.path
                && let Some((local, epoch)) = tail.written()?
            {
                reading.written(local, epoch);
            }
            if tail.was_empty() && !tail.closed && self.skipped()? {
                continue;
            }
            let Some((tail, _)) = self.tails.back_mut() else { break };
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
                More::End if !self.follow(reading, now)? => return Ok((false, bytes)),
                More::End => {}
                More::Other => {
                    if !self.cut()? {
                        return Ok((false, bytes));
                    }
                }
            }
        }
        Ok((false, bytes))
    }
}
