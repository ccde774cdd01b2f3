//! One log, look by look → what came to it since, each line once: through renaming, cutting, compressing and
//! restarts. Never waits and never asks the clock, so that a test can lead it anywhere.

use std::collections::VecDeque;
use std::io;
use std::mem;

use jiff::Timestamp;

use super::super::file::{CHUNK, Part};
use super::position::{Mark, Position};
use super::search::{self, Found};
use super::tail::{More, Tail};
use crate::config::LogSource;
use kestrel_core::evidence::log_event::Sight;
use kestrel_core::evidence::utc;
use kestrel_core::synapse_log::attribution::Attribution;

/// A file that was rotated away may get late lines for so long (milliseconds): Synapse writes to it until
/// it is told to open the new one.
pub(super) const LATE: i64 = 60_000;
/// Files read at once; of more rotations within `LATE` the oldest file's late lines are not waited for.
const FILES: usize = 8;
/// A piece ends after so many bytes, or after this much of the log's time (milliseconds): several logs are
/// read in step.
const PIECE: u64 = 4 << 20;
const STEP: i64 = 60_000;
/// Bytes read at once from a log with few lines an hour.
const SPARSE: usize = 4 << 10;
/// A log that is not there for less than this (milliseconds) is just being rotated.
const ROTATING: i64 = 5_000;
/// A place has to be missed so often before it is given up: files are renamed while the folder is read.
pub(super) const MISSES: u32 = 3;

/// A compressed file that cannot be read so often in a row is broken.
const FAILURES: u32 = 8;

/// One log that is followed.
#[derive(Debug)]
pub struct Trail {
    pub(super) source: LogSource,
    /// Bytes before a place that are read again, at least.
    pub(super) lead: u64,
    pub(super) reading: Option<Attribution>,
    /// Rotated files that may get late lines and until when, then the one that is read.
    pub(super) tails: VecDeque<(Tail, i64)>,
    pub(super) saved: Option<Position>,
    pub(super) since: Timestamp,
    /// When the newest file with a record begins, as written.
    pub(super) began: Option<i64>,
    pub(super) last: Option<Timestamp>,
    pub(super) misses: u32,
    /// A place was given up: what is read next ends the gap.
    pub(super) gap: bool,
    pub(super) notes: Vec<String>,
    absent: Option<i64>,
    told: bool,
    failures: u32,
    chunk: usize,
    odd: bool,
    /// When (milliseconds) people were last told of logins that hide lines.
    hidden: Option<i64>,
}

/// What one look came to.
#[derive(Debug, Default)]
pub struct Piece {
    /// Oldest first.
    pub sights: Vec<Sight>,
    /// Where the log stands after them; none before anything was opened.
    pub place: Option<Position>,
    /// More is there to read.
    pub behind: bool,
    /// How far the log's time had got before, and got.
    pub from: Option<Timestamp>,
    pub read_to: Option<Timestamp>,
    pub bytes: u64,
    /// It cannot be read for longer than a rotation takes.
    pub blind: bool,
    pub notes: Vec<String>,
}

impl Trail {
    /// Follows a log from a place, or from a time on. `lead` bytes before are read again.
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

    /// Reads what came, at most a piece; `now` in milliseconds.
    pub fn look(&mut self, now: i64) -> Piece {
        if self.tails.is_empty() {
            let opened = self.open(now);
            if opened.is_err() || self.failures == 0 {
                self.seen(opened, now);
            }
        }
        let mut piece = Piece { from: self.last, ..Piece::default() };
        match self.read(now) {
            Ok((behind, bytes)) => {
                (piece.behind, piece.bytes) = (behind, bytes);
                self.failures = if bytes > 0 { 0 } else { self.failures };
            }
            // Gone in the middle: it is looked for again.
            Err(error) => self.lose(&error, now),
        }
        self.tell_odd();
        self.tell_hidden(now);
        self.began = self.newest();
        if let Some(reading) = &mut self.reading {
            let reached = reading.reached().and_then(|at| Timestamp::from_millisecond(at).ok());
            self.last = reached.or(self.last);
            piece.sights = reading.sights().sorted();
            piece.sights.retain(|sight| sight.at >= self.since);
        }
        (piece.place, piece.read_to, piece.blind) = (self.place(), self.last, self.told);
        piece.notes = mem::take(&mut self.notes);
        piece
    }

    /// Where the log stands.
    fn place(&self) -> Option<Position> {
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

    /// Late lines first, then those of the current file and of those behind it. Whether more is there, and
    /// how much was read.
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

    /// The current file was empty when it was opened. If it was filled, cut and filled again since, the copy
    /// goes first.
    fn skipped(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let Some(own) = tail.fill_head()? else { return Ok(false) };
        let Some(next) = search::between(&self.source.path, self.began, own) else {
            return Ok(false);
        };
        self.tails.pop_back();
        self.push(Tail::open(&next, 0)?, i64::MAX);
        Ok(true)
    }

    /// Lines that came to rotated files, and the last of those that are too old for more.
    fn late(&mut self, reading: &mut Attribution, now: i64) {
        let current = self.tails.len().saturating_sub(1);
        for (tail, _) in self.tails.iter_mut().take(current) {
            while matches!(tail.more(CHUNK, reading), Ok(More::Lines)) {}
        }
        while self.tails.len() > 1 {
            let old = &self.tails[0];
            // The current file cannot be found again by its content before it has some.
            let known = self.tails.back().is_some_and(|(tail, _)| tail.offset() > 0);
            if old.1 > now && self.tails.len() <= FILES || !known {
                break;
            }
            self.tails[0].0.finish(reading);
            self.tails.pop_front();
        }
    }

    /// The current file was read to its end: if it was rotated away, the next one is opened.
    fn follow(&mut self, reading: &mut Attribution, now: i64) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let same = (!tail.closed).then_some(tail.identity);
        let began = tail.began().or(self.began);
        self.began = self.newest();
        let found = search::next(&self.source.path, began, same);
        let there = found.as_ref().map(|_| ()).map_err(ToString::to_string);
        let is_there = same.is_some() && matches!(&found, Ok(None)) && self.source.path.exists();
        let next = found.unwrap_or_default();
        self.seen(
            there.and(if next.is_some() || is_there { Ok(()) } else { Err(String::new()) }),
            now,
        );
        let Some(next) = next else { return Ok(false) };
        let Some((tail, until)) = self.tails.back_mut() else { return Ok(false) };
        // What was written before the next one came.
        while matches!(tail.more(CHUNK, reading)?, More::Lines) {}
        if next.path == self.source.path && tail.is_in(&next) {
            // The same log by another name: a folder that was mounted anew.
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

    /// The current file is no longer what it was: the rest of it is in a copy, or nowhere.
    fn cut(&mut self) -> io::Result<bool> {
        let Some((tail, _)) = self.tails.back_mut() else { return Ok(false) };
        let mark = tail.mark();
        // Of a file without a whole line nothing was taken: a copy of it is read from its beginning.
        self.began = self.newest();
        let found = if mark.head.length == 0 {
            Found::Ended
        } else {
            search::find(&self.source.path, &mark)
        };
        match found {
            Found::At(part, _) => {
                let mut copy = Tail::open(&part, mark.offset)?;
                copy.closed = true;
                self.tails.pop_back();
                self.push(copy, i64::MAX);
            }
            Found::Nowhere if self.misses < MISSES => {
                self.misses += 1;
                return Ok(false);
            }
            found => {
                self.gap |= matches!(found, Found::Nowhere);
                let Some(next) =
                    search::next(&self.source.path, self.began, None).map_err(io::Error::other)?
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

    /// When the newest file begins of which a line was read.
    fn newest(&mut self) -> Option<i64> {
        let tail = self.tails.back_mut().filter(|(tail, _)| tail.offset() > 0);
        tail.and_then(|(tail, _)| tail.began()).or(self.began)
    }

    /// Reads on in a file.
    pub(super) fn push(&mut self, tail: Tail, until: i64) {
        if mem::take(&mut self.gap) {
            let shown = |at: Option<Timestamp>| at.map_or_else(|| "its beginning".into(), utc);
            let first = tail.first.zip(self.reading.as_ref());
            let first = first.and_then(|(first, reading)| reading.moment(first));
            let to = first.map_or_else(|| "now".into(), utc);
            self.notes.push(format!(
                "log {}: nothing was read between {} and {to}: the file was gone",
                self.source.name,
                shown(self.last),
            ));
        }
        self.tails.push_back((tail, until));
    }

    /// Says once that the log cannot be read, and that it can again. An empty reason is a log that is not
    /// there, as in the middle of a rotation.
    pub(super) fn seen(&mut self, how: Result<(), String>, now: i64) {
        let name = &self.source.name;
        let Err(why) = how else {
            if mem::take(&mut self.told) {
                self.notes.push(format!("log {name} is read again"));
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
            let gone = Part::of(&self.source.path).err();
            gone.unwrap_or_else(|| "it was being replaced".into())
        } else {
            why
        };
        self.notes.push(format!("log {name} cannot be read: {why}"));
    }

    /// Reading broke off: the file is looked for again, and a compressed one that is broken is left behind.
    fn lose(&mut self, error: &io::Error, now: i64) {
        self.failures += 1;
        if self.failures > FAILURES && self.tails.back().is_some_and(|(tail, _)| tail.closed) {
            let (mut tail, _) = self.tails.pop_back().expect("asked right before");
            self.began = tail.began().or(self.began);
            let (name, path) = (&self.source.name, tail.path.display());
            self.notes.push(format!("log {name}: the rest of {path} cannot be read: {error}"));
        }
        self.saved = self.place();
        self.tails.clear();
        self.seen(Err(error.to_string()), now);
    }

    /// Says once a day that names of logins keep lines from being believed.
    fn tell_hidden(&mut self, now: i64) {
        let Some(reading) = self.reading.as_mut() else { return };
        if self.hidden.is_none_or(|told| now - told >= DAY)
            && let Some(why) = reading.hidden()
        {
            self.hidden = Some(now);
            self.notes.push(format!("log {}: {why}", self.source.name));
        }
    }

    /// Says once of a file that is no log.
    fn tell_odd(&mut self) {
        let Some(reading) = self.reading.as_ref().filter(|_| !self.odd) else { return };
        if reading.end().lines > ODD
            && let Some(why) = super::super::told::unreadable(reading.end(), &self.source.path)
        {
            self.odd = true;
            self.notes.push(format!("log {} cannot be followed: {why}", self.source.name));
        }
    }
}

/// Less time than this in one read lets the next be larger.
const STEP_SHORT: i64 = STEP / 4;
/// Milliseconds.
const DAY: i64 = 24 * 3_600_000;
/// After so many lines without a record a file is no log.
const ODD: u64 = 1000;

/// Marks that can be found again by their content.
pub(super) fn findable(place: &Position) -> Vec<Mark> {
    place.files.iter().filter(|mark| mark.head.length > 0).cloned().collect()
}
