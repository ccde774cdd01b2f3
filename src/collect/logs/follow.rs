//! Logs that grow → what each moment came to, in the order of time, and where reading goes on after a
//! restart. Each line counts once, whatever becomes of the files; what was missed is said.
//!
//! One thread a log reads pieces; `next` puts the pieces of all logs in order. A backlog is read in step, so
//! that no log runs ahead of another, and a log that is silent or cannot be read holds no other up.

mod merge;
mod position;
mod resume;
mod search;
mod tail;
mod trail;
mod wake;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use self::merge::{Feed, Merge};
pub use self::position::Position;
use self::trail::{Piece, Trail};
use self::wake::Wake;
use super::distinct;
use crate::config::LogSource;
use kestrel_core::evidence::log_event::Sight;

/// So many bytes before the place where reading goes on are read again after a restart: they tell true
/// request numbers from forged ones.
const LEAD: u64 = 16 << 20;

/// What one round of reading came to. To be saved together with what it came to.
#[derive(Debug)]
pub struct Round {
    /// Oldest first over all logs, equal ones of one second put together.
    pub sights: Vec<Sight>,
    /// Where each log stands after them (source name, position): saved with the sights' results in one
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

/// Logs that are followed. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Follow {
    merge: Merge,
    stop: Arc<AtomicBool>,
}

impl Follow {
    /// Follows logs from where they were left; a log without a saved position is read from `from` on.
    pub fn start(
        sources: Vec<LogSource>,
        mut saved: HashMap<String, Position>,
        from: Timestamp,
    ) -> Self {
        let (stop, news) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let mut feeds = Vec::new();
        for source in distinct(&sources) {
            // One piece is made, one waits here and one in the merge: no more is held of a log.
            let (sender, pieces) = mpsc::channel(1);
            feeds.push(Feed::new(source.name.clone(), pieces));
            let trail = Trail::new(source.clone(), saved.remove(&source.name), from, LEAD);
            let thread = Thread { trail, sender, stop: Arc::clone(&stop), news: Arc::clone(&news) };
            thread::spawn(move || thread.run());
        }
        Self { merge: Merge::new(feeds, news), stop }
    }

    /// The next round: as soon as something came to (batched: at most about 5 a second), else an empty one
    /// about every second.
    pub async fn next(&mut self) -> Round {
        self.merge.next().await
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads one log.
struct Thread {
    trail: Trail,
    sender: mpsc::Sender<Piece>,
    stop: Arc<AtomicBool>,
    news: Arc<Notify>,
}

impl Thread {
    fn run(mut self) {
        let wake = Wake::of(&self.trail.source.path);
        let mut before = None;
        while !self.stop.load(Ordering::Relaxed) {
            let piece = self.trail.look(now());
            let state = (piece.place.clone(), piece.behind, piece.read_to, piece.blind);
            let behind = piece.behind;
            let is_new = before.as_ref() != Some(&state);
            if is_new || !piece.sights.is_empty() || !piece.notes.is_empty() {
                before = Some(state);
                if self.sender.blocking_send(piece).is_err() {
                    return;
                }
                self.news.notify_one();
            }
            if !behind {
                wake.wait();
            }
        }
    }
}

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a file is rotated away is no time of the log"
)]
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod chance;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod writer;
