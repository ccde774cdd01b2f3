//! Pieces of several logs → rounds, in the order of time.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

use super::Round;
use super::position::Position;
use super::trail::Piece;
use kestrel_core::evidence::log_event::Sight;
use kestrel_core::synapse_log::log_events::Sights;

/// The shortest time between two rounds, and the longest.
const BATCH: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(1);
/// A backlog's round ends at so many sights or bytes of logs.
const SIGHTS: usize = 50_000;
const BYTES: u64 = 32 << 20;
/// A log that should have more and gives none for so long is on a disk that hangs.
const HANGS: Duration = Duration::from_secs(60);

/// What comes of one log.
#[derive(Debug)]
pub struct Feed {
    name: String,
    pieces: mpsc::Receiver<Piece>,
    /// The oldest piece that was not given out.
    waiting: Option<Piece>,
    /// More of it will come at once.
    behind: bool,
    read_to: Option<Timestamp>,
    blind: bool,
    heard: Instant,
    hangs: bool,
}

impl Feed {
    /// Of a log of this name.
    pub fn new(name: String, pieces: mpsc::Receiver<Piece>) -> Self {
        let (waiting, read_to, heard) = (None, None, Instant::now());
        Self { name, pieces, waiting, behind: true, read_to, blind: false, heard, hangs: false }
    }

    /// Whether the next piece of the others has to wait for this one.
    fn holds_up(&self) -> bool {
        self.waiting.is_none() && self.behind && !self.hangs
    }
}

/// A round so far.
#[derive(Debug, Default)]
struct Heap {
    sights: Vec<Sight>,
    places: BTreeMap<String, Position>,
    notes: Vec<String>,
    bytes: u64,
}

/// All logs.
#[derive(Debug)]
pub struct Merge {
    feeds: Vec<Feed>,
    news: Arc<Notify>,
    heap: Heap,
    given: Instant,
}

impl Merge {
    /// Of these; `news` tells that one of them has a piece.
    pub fn new(feeds: Vec<Feed>, news: Arc<Notify>) -> Self {
        Self { feeds, news, heap: Heap::default(), given: Instant::now() }
    }

    /// The next round. What was put together so far stays if this is dropped.
    pub async fn next(&mut self) -> Round {
        loop {
            while !self.is_full() && self.step() {}
            let told = !self.heap.sights.is_empty() || !self.heap.notes.is_empty();
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
        self.heap.sights.len() >= SIGHTS || self.heap.bytes >= BYTES
    }

    fn is_behind(&self) -> bool {
        self.feeds.iter().any(|feed| !feed.hangs && (feed.behind || feed.waiting.is_some()))
    }

    /// Takes the oldest piece, unless an older one may still come.
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
                    "log {name} has not answered for {seconds} s: its disk is slow, or hangs"
                ));
            } else if feed.hangs && !hangs {
                self.heap.notes.push(format!("log {} answers again", feed.name));
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
        self.heap.sights.extend(piece.sights);
        self.heap.notes.extend(piece.notes);
        self.heap.bytes += piece.bytes;
        if let Some(place) = piece.place {
            self.heap.places.insert(feed.name.clone(), place);
        }
        true
    }

    fn round(&mut self) -> Round {
        let heap = mem::take(&mut self.heap);
        let mut sights = heap.sights;
        sights.sort_by_key(|sight| sight.at);
        let mut together = Sights::default();
        sights.into_iter().for_each(|sight| together.note(sight.at, sight.count, sight.what));
        let behind = self.feeds.iter().filter(|feed| !feed.hangs && feed.behind);
        let behind = behind.map(|feed| feed.read_to).min();
        let blind = self.feeds.iter().filter(|feed| feed.blind || feed.hangs);
        let newest = || self.feeds.iter().filter_map(|feed| feed.read_to).max();
        Round {
            sights: together.sorted(),
            places: heap.places.into_iter().collect(),
            live: !self.is_behind(),
            read_to: behind.unwrap_or_else(newest),
            blind: blind.filter_map(|feed| feed.read_to).min(),
            notes: heap.notes,
        }
    }
}

/// The moment that a piece reads on from; a log without records goes first.
fn begins(piece: &Piece) -> Option<Timestamp> {
    piece.from
}
