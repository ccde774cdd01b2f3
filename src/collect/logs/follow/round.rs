//! One round of reading. The results are saved together with the positions.

use jiff::Timestamp;
use kestrel_core::evidence::log_event::LogEvent;

use super::position::Position;

/// One round of reading. The results are saved together with the positions.
#[derive(Debug)]
pub struct Round {
    /// Oldest first across all logs; equal events of one second are combined.
    pub log_events: Vec<LogEvent>,
    /// The position of each log after them (source name, position), saved in the same transaction as the
    /// results.
    pub places: Vec<(String, Position)>,
    /// Every log was read to its end (false: a backlog is still being read).
    pub live: bool,
    /// The newest time that all logs were read to (`None` before any record).
    pub read_to: Option<Timestamp>,
    /// A log became unreadable: what was written to it after this time is unknown.
    pub blind: Option<Timestamp>,
    /// Notices for people, each given once: a log that cannot be read (or can again), and gaps.
    pub notes: Vec<String>,
}

impl Round {
    /// The time up to which the rounds are complete. Silence of an unreadable log does not count.
    pub fn reached(&self, now: Timestamp) -> Option<Timestamp> {
        let reached = if self.live { Some(now) } else { self.read_to };
        reached.map(|at| at.min(now).min(self.blind.unwrap_or(now)))
    }
}
