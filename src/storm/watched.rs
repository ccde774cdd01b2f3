//! One subject's newest moments, and its storm once it has one.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Change, Event, Kind, Whose};

/// Messages about one storm, its end included.
const MESSAGES: u32 = 6;
/// Worse by this.
const WORSE: u64 = 10;
/// Key ids told apart for one device.
const KEYS: usize = 8;

/// One subject so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Watched {
    /// The newest moments by what repeats: a key id, or a kind of answer.
    pub(super) recent: Vec<(String, VecDeque<Timestamp>)>,
    /// Keys accepted beyond those claimed, since a moment.
    pub(super) surplus: u64,
    pub(super) since: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) storm: Option<Storm>,
}

/// A storm that was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Storm {
    pub(super) number: u64,
    trigger: String,
    pub(super) first: Timestamp,
    pub(super) count: u64,
    pub(super) devices: u64,
    /// The count at the last message, and when that was.
    pub(super) told: (u64, Timestamp),
    /// Messages so far; and whether the last told of the end.
    messages: u32,
    told_end: bool,
    pub(super) ended: bool,
    /// How often it came back: each time its end is waited for twice as long.
    pub(super) resumed: u32,
    /// It is part of an alert about everybody, and is not told by itself.
    pub(super) folded: bool,
}

/// When, how often, within what time, and how often is enough.
pub(super) type Times = (Timestamp, u64, SignedDuration, usize);

impl Watched {
    /// Whether the same came so often within the time.
    pub(super) fn repeats(&mut self, what: &str, times: Times) -> bool {
        let (at, count, within, enough) = times;
        let place = match self.recent.iter().position(|(name, _)| name == what) {
            Some(place) => place,
            None => {
                if self.recent.len() >= KEYS {
                    self.recent.remove(0);
                }
                self.recent.push((what.to_owned(), VecDeque::new()));
                self.recent.len() - 1
            }
        };
        let times = &mut self.recent[place].1;
        for _ in 0..count.min(enough as u64) {
            times.push_back(at);
        }
        while times.len() > enough
            || times.front().is_some_and(|first| at.duration_since(*first) > within)
        {
            times.pop_front();
        }
        times.len() >= enough
    }

    /// Adds accepted keys; what came before a long silence is forgotten.
    pub(super) fn add(&mut self, keys: u64, at: Timestamp, sustained: SignedDuration) -> u64 {
        if self.since.is_none_or(|since| at.duration_since(since) > sustained) {
            (self.since, self.surplus) = (Some(at), 0);
        }
        self.surplus += keys;
        self.surplus
    }
}

impl Storm {
    pub(super) fn new(
        number: u64,
        trigger: String,
        first: Timestamp,
        count: u64,
        at: Timestamp,
    ) -> Self {
        Self {
            number,
            trigger,
            first,
            count,
            devices: 1,
            told: (count, at),
            messages: 1,
            told_end: false,
            ended: false,
            resumed: 0,
            folded: false,
        }
    }

    pub(super) fn resume(&mut self) -> Change {
        (self.ended, self.resumed) = (false, self.resumed + 1);
        Change::Resumed
    }

    pub(super) fn worse(&self, at: Timestamp, pause: SignedDuration) -> Option<Change> {
        let wait = pause.checked_mul(1 << self.messages.min(16)).unwrap_or(pause);
        let worse = self.count >= self.told.0.saturating_mul(WORSE);
        (worse && at.duration_since(self.told.1) >= wait).then_some(Change::Worse)
    }

    /// Whether a message about it may go out, and counts it. The last one is kept for the end, and an end
    /// is told once until it has come back.
    pub(super) fn may_tell(&mut self, change: Change) -> bool {
        let end = change == Change::Ended;
        let room = self.messages < MESSAGES - u32::from(!end);
        let tells = !self.folded && room && !(end && self.told_end);
        if tells {
            (self.messages, self.told_end) = (self.messages + 1, end);
        }
        tells
    }

    pub(super) fn event(
        &self,
        id: &(Kind, Whose),
        change: Change,
        at: Timestamp,
        last: Timestamp,
    ) -> Event {
        let (kind, whose) = id.clone();
        let (storm, count, devices, first) = (self.number, self.count, self.devices, self.first);
        let trigger = self.trigger.clone();
        Event { at, storm, change, kind, whose, trigger, count, devices, first, last }
    }
}
