//! Followed logs: one thread reads each log, and the pieces come out in order of time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::folder_watch::FolderWatch;
use super::log_reader::{LogPiece, LogReader};
use super::merge::{Feed, Merge};
use super::position::Position;
use super::round::Round;
use crate::collect::logs::same_log::distinct;
use crate::config::LogSource;

/// This many bytes before the position are read again after a restart: they show which request numbers are
/// genuine.
const LEAD: u64 = 16 << 20;

/// The followed logs. The threads end when it is dropped.
#[derive(Debug)]
pub struct Follower {
    merge: Merge,
    stop: Arc<AtomicBool>,
}

impl Follower {
    /// Follows logs from their saved positions. A log without one is read from `from` on.
    pub fn start(
        sources: Vec<LogSource>,
        mut saved: HashMap<String, Position>,
        from: Timestamp,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let news = Arc::new(Notify::new());
        let mut feeds = Vec::new();
        for source in distinct(&sources) {
            // One piece is being read, one waits here and one is in the merge: no more of a log is in memory.
            let (sender, pieces) = mpsc::channel(1);
            feeds.push(Feed::new(source.name.clone(), pieces));
            let trail = LogReader::new(source.clone(), saved.remove(&source.name), from, LEAD);
            let thread =
                ReaderThread { trail, sender, stop: Arc::clone(&stop), news: Arc::clone(&news) };
            thread::spawn(move || thread.run());
        }
        Self { merge: Merge::new(feeds, news), stop }
    }

    /// The next round: as soon as there are events (at most about 5 times a second), otherwise an empty one
    /// about every second.
    pub async fn next(&mut self) -> Round {
        self.merge.next().await
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads one log.
struct ReaderThread {
    trail: LogReader,
    sender: mpsc::Sender<LogPiece>,
    stop: Arc<AtomicBool>,
    news: Arc<Notify>,
}

impl ReaderThread {
    fn run(mut self) {
        let wake = FolderWatch::new(self.trail.path());
        let mut before = None;
        // Only lengths of time matter here: how long a file was rotated away.
        let started = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let now = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
            let piece = self.trail.look(now);
            let state = (piece.place.clone(), piece.behind, piece.read_to, piece.blind);
            let behind = piece.behind;
            let is_new = before.as_ref() != Some(&state);
            if is_new || !piece.log_events.is_empty() || !piece.notes.is_empty() {
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
