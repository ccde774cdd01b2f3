//! Merges pieces of several logs into rounds, in order of time.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

use super::log_reader::LogPiece;
use super::position::Position;
use super::round::Round;
use kestrel_core::evidence::log_event::LogEvent;
use kestrel_core::synapse_log::log_events::LogEvents;

/// The shortest and the longest time between two rounds.
const BATCH: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(1);
/// While reading a backlog, a round ends at this many events or bytes.
const SIGHTS: usize = 50_000;
const BYTES: u64 = 32 << 20;
/// A log that should have more but returns nothing for this long is on a disk that does not respond.
const HANGS: Duration = Duration::from_secs(60);

/// The pieces of one log.
#[derive(Debug)]
pub struct Feed {
    name: String,
    pieces: mpsc::Receiver<LogPiece>,
    /// The oldest piece that was not merged yet.
    waiting: Option<LogPiece>,
    /// More pieces will follow immediately.
    behind: bool,
    read_to: Option<Timestamp>,
    blind: bool,
    heard: Instant,
    hangs: bool,
}

impl Feed {
    /// For the log with this name.
    pub fn new(name: String, pieces: mpsc::Receiver<LogPiece>) -> Self {
        Self {
            name,
            pieces,
            waiting: None,
            behind: true,
            read_to: None,
            blind: false,
            heard: Instant::now(),
            hangs: false,
        }
    }

    /// Whether the other logs have to wait for this one.
    fn holds_up(&self) -> bool {
        self.waiting.is_none() && self.behind && !self.hangs
    }
}

/// A round that is not complete yet.
#[derive(Debug, Default)]
struct PendingRound {
    log_events: Vec<LogEvent>,
    places: BTreeMap<String, Position>,
    notes: Vec<String>,
    bytes: u64,
}

/// All logs.
#[derive(Debug)]
pub struct Merge {
    feeds: Vec<Feed>,
    news: Arc<Notify>,
    heap: PendingRound,
    given: Instant,
}

impl Merge {
    /// Merges these logs; `news` signals that one of them has a piece.
    pub fn new(feeds: Vec<Feed>, news: Arc<Notify>) -> Self {
        Self { feeds, news, heap: PendingRound::default(), given: Instant::now() }
    }

    /// The next round. Cancelling this call loses nothing.
    pub async fn next(&mut self) -> Round {
        loop {
            while !self.is_full() && self.step() {}
            let told = !self.heap.log_events.is_empty() || !self.heap.notes.is_empty();
            let due = self.given + if told || self.is_full() { BATCH } else { IDLE };
            let now = Instant::now();
            if now >= due || self.is_full() && self.is_behind() {
                self.given = now;
                return self.round();
            }
            if self.is_full() {
                tokio::time::sleep_until(due).await;
            } else {
                let _ = timeout_at(due.min(now + BATCH), self.news.notified()).await;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.heap.log_events.len() >= SIGHTS || self.heap.bytes >= BYTES
    }

    fn is_behind(&self) -> bool {
        self.feeds.iter().any(|feed| !feed.hangs && (feed.behind || feed.waiting.is_some()))
    }

    /// Takes the oldest piece, unless an older one may still arrive.
    fn step(&mut self) -> bool {
        for feed in &mut self.feeds {
            if feed.waiting.is_none()
                && let Ok(piece) = feed.pieces.try_recv()
            {
                (feed.waiting, feed.heard) = (Some(piece), Instant::now());
            }
            let hangs = feed.behind && feed.waiting.is_none() && feed.heard.elapsed() > HANGS;
            if hangs && !feed.hangs {
                let name = &feed.name;
                let seconds = HANGS.as_secs();
                self.heap.notes.push(format!(
                    "no data from log {name} for {seconds} s: its disk is slow or not responding"
                ));
            } else if feed.hangs && !hangs {
                self.heap.notes.push(format!("log {} responds again", feed.name));
            }
            feed.hangs = hangs;
        }
        if self.feeds.iter().any(Feed::holds_up) {
            return false;
        }
        let waiting = self.feeds.iter_mut().filter(|feed| feed.waiting.is_some());
        let Some(feed) = waiting.min_by_key(|feed| feed.waiting.as_ref().and_then(begins)) else {
            return false;
        };
        let Some(piece) = feed.waiting.take() else { return false };
        (feed.behind, feed.read_to) = (piece.behind, piece.read_to.or(feed.read_to));
        feed.blind = piece.blind;
        self.heap.log_events.extend(piece.log_events);
        self.heap.notes.extend(piece.notes);
        self.heap.bytes += piece.bytes;
        if let Some(place) = piece.place {
            self.heap.places.insert(feed.name.clone(), place);
        }
        true
    }

    fn round(&mut self) -> Round {
        let heap = mem::take(&mut self.heap);
        let mut log_events = heap.log_events;
        log_events.sort_by_key(|log_event| log_event.at);
        let mut together = LogEvents::default();
        log_events
            .into_iter()
            .for_each(|log_event| together.note(log_event.at, log_event.count, log_event.what));
        let behind = self.feeds.iter().filter(|feed| !feed.hangs && feed.behind);
        let behind = behind.map(|feed| feed.read_to).min();
        let blind = self.feeds.iter().filter(|feed| feed.blind || feed.hangs);
        let newest = || self.feeds.iter().filter_map(|feed| feed.read_to).max();
        Round {
            log_events: together.sorted(),
            places: heap.places.into_iter().collect(),
            live: !self.is_behind(),
            read_to: behind.unwrap_or_else(newest),
            blind: blind.filter_map(|feed| feed.read_to).min(),
            notes: heap.notes,
        }
    }
}

/// The time at which a piece starts; a log without records comes first.
fn begins(piece: &LogPiece) -> Option<Timestamp> {
    piece.from
}
