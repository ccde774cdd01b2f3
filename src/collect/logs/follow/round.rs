//! What one round of reading came to. To be saved together with what it came to.

use jiff::Timestamp;
use kestrel_core::evidence::log_event::LogEvent;

use super::position::Position;

/// What one round of reading came to. To be saved together with what it came to.
#[derive(Debug)]
pub struct Round {
    /// Oldest first over all logs, equal ones of one second put together.
    pub log_events: Vec<LogEvent>,
    /// Where each log stands after them (source name, position): saved with the log events' results in one
    /// transaction.
    pub places: Vec<(String, Position)>,
    /// Every log was read to its end at this time (false: a backlog is still being read).
    pub live: bool,
    /// The newest moment that all logs were read to (none before any record).
    pub read_to: Option<Timestamp>,
    /// A log that was read cannot be read now: what came to it after this moment is not known.
    pub blind: Option<Timestamp>,
    /// For people, each said once: a log that cannot be read (and again that it can), a stretch that was
    /// missed.
    pub notes: Vec<String>,
}

impl Round {
    /// Up to when nothing came but what the rounds gave: silence of a log that nobody can read is none.
    pub fn reached(&self, now: Timestamp) -> Option<Timestamp> {
        let reached = if self.live { Some(now) } else { self.read_to };
        reached.map(|at| at.min(now).min(self.blind.unwrap_or(now)))
    }
}
