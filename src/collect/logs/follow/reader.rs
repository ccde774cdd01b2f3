//! For tests: a follower without threads that may be killed at any point, and what it has counted.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::position::Position;
use super::trail::{Piece, Trail};
use super::writer::BEGIN;
use crate::config::LogSource;
use kestrel_core::evidence::log_event::What;

/// A short lead, so that uploads under way reach beyond it.
const LEAD: u64 = 600;

/// Follows a log as a bot would that saves what it counted with the place.
#[derive(Debug)]
pub struct Reader {
    source: LogSource,
    trail: Trail,
    pub now: i64,
    saved: Option<Position>,
    counted: BTreeMap<u64, u64>,
    notes: Vec<String>,
    /// Read and not saved.
    pieces: Vec<Piece>,
}

impl Reader {
    pub fn new(path: &Path) -> Self {
        let timezone = Some(TimeZone::UTC);
        let source = LogSource { name: "main".into(), path: path.to_owned(), timezone };
        Self {
            trail: trail(&source, None),
            source,
            now: BEGIN,
            saved: None,
            counted: BTreeMap::new(),
            notes: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// Looks after so many milliseconds.
    pub fn look(&mut self, after: i64) {
        self.now += after;
        self.pieces.push(self.trail.look(self.now));
    }

    /// Looks until there is nothing more.
    pub fn catch_up(&mut self) {
        for _ in 0..8 {
            self.look(250);
        }
        while self.pieces.last().is_some_and(|piece| piece.behind) {
            self.look(250);
        }
    }

    /// Whether the last look could not see the log.
    pub fn is_blind(&self) -> bool {
        self.pieces.last().is_some_and(|piece| piece.blind)
    }

    /// Keeps what was read, with the place.
    pub fn save(&mut self) {
        for piece in self.pieces.drain(..) {
            for sight in piece.sights {
                let What::Refused { key, .. } = sight.what else { continue };
                let number = key.rsplit_once('K').unwrap().1.parse().unwrap();
                *self.counted.entry(number).or_default() += sight.count;
            }
            self.notes.extend(piece.notes);
            if piece.place.is_some() {
                // As a store would keep it.
                let text = serde_json::to_string(&piece.place).unwrap();
                self.saved = serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// `kill -9` and a start.
    pub fn kill(&mut self) {
        self.pieces.clear();
        self.trail = trail(&self.source, self.saved.clone());
    }

    /// How often each was counted, as far as it was saved.
    pub fn counted(&mut self) -> &BTreeMap<u64, u64> {
        self.save();
        &self.counted
    }

    /// What people were told, as far as it was saved.
    pub fn notes(&mut self) -> &[String] {
        self.save();
        &self.notes
    }
}

fn trail(source: &LogSource, saved: Option<Position>) -> Trail {
    Trail::new(source.clone(), saved, Timestamp::from_millisecond(BEGIN).unwrap(), LEAD)
}
