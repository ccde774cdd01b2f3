//! The state of one subject: its newest events, and its storm, if it has one.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::{Change, Event, Id, told_as};
use super::time_series::{Measure, TimeSeries};
use super::trigger::Trigger;

/// The most messages per storm and day, including its end. The first has a picture: six in all.
const MESSAGES: u32 = 5;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A storm is worse at this multiple.
const WORSE: u64 = 10;
/// The most key IDs that are distinguished for one device.
const KEYS: usize = 8;

/// The state of one subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Watched {
    /// The newest times for each trigger: a key ID, or a kind of answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) recent: Vec<(Trigger, VecDeque<Timestamp>)>,
    /// The newest rejected uploads of a device, whichever key IDs they name: a client that creates new keys
    /// at each attempt names another ID each time.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    refusals: VecDeque<Timestamp>,
    /// All of its trouble since the last pause: count, start and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<(u64, Timestamp, Timestamp)>,
    /// Keys accepted beyond those claimed, and since when.
    pub(super) surplus: u64,
    pub(super) since: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storm: Option<StormState>,
    /// The counts over time, for subjects that may be drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<TimeSeries>,
}

/// A storm, announced or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StormState {
    /// Zero until it is announced by itself.
    pub(super) number: u64,
    pub(super) trigger: Trigger,
    pub(super) first: Timestamp,
    pub(super) began: Timestamp,
    pub(super) count: u64,
    pub(super) devices: u64,
    /// The count at the last message, and when that was.
    told: (u64, Timestamp),
    /// Messages since `day`, and whether the last announced the end.
    messages: u32,
    day: Timestamp,
    told_end: bool,
    pub(super) ended: bool,
    /// How often it came back: each time the wait for its end doubles.
    pub(super) resumed: u32,
    /// Another device joined it since the last message.
    pub(super) spread: bool,
    /// How often its verdict was checked again, and when last.
    looks: (u32, Timestamp),
    /// Held back until this time: with many others it may become one alert.
    pub(super) held: Option<Timestamp>,
    /// It is part of another storm, which represents it.
    pub(super) joined: Option<Id>,
}

/// Time, count, time span, and the count that is enough.
pub(super) type Times = (Timestamp, u64, SignedDuration, usize);

impl Watched {
    /// Whether the trigger repeated often enough within the time span.
    pub(super) fn repeats(&mut self, what: Trigger, times: Times) -> bool {
        let (at, count, within, enough) = times;
        let goes_on = self.seen.filter(|(_, _, last)| at.duration_since(*last) <= within);
        let (seen, first, _) = goes_on.unwrap_or((0, at, at));
        self.seen = Some((seen + count, first, at));
        let place = match self.recent.iter().position(|(trigger, _)| *trigger == what) {
            Some(place) => place,
            None => {
                if self.recent.len() >= KEYS {
                    self.recent.remove(0);
                }
                self.recent.push((what, VecDeque::new()));
                self.recent.len() - 1
            }
        };
        newest(&mut self.recent[place].1, (at, count, within, enough))
    }

    /// Whether the device was rejected often enough within the time span; the key ID becomes the trigger.
    pub(super) fn refused(&mut self, key: Trigger, times: Times) -> bool {
        self.repeats(key, times);
        newest(&mut self.refusals, times)
    }

    /// Adds accepted keys; those before a long silence are forgotten.
    pub(super) fn add(&mut self, keys: u64, at: Timestamp, sustained: SignedDuration) -> u64 {
        if self.since.is_none_or(|since| at.duration_since(since) > sustained) {
            (self.since, self.surplus) = (Some(at), 0);
        }
        self.surplus += keys;
        self.surplus
    }

    /// Adds a count to the picture.
    pub(super) fn draw(&mut self, at: Timestamp, part: Measure, count: u64) {
        self.series.get_or_insert_default().add(at, part, count);
    }

    /// Adds a level to the picture.
    pub(super) fn level(&mut self, at: Timestamp, count: u64) {
        self.series.get_or_insert_default().level(at, count);
    }

    /// Whether it has an ongoing storm.
    pub(super) fn goes_on(&self) -> bool {
        self.storm.as_ref().is_some_and(|storm| !storm.ended)
    }

    /// A storm from the events so far, not announced yet.
    pub(super) fn brew(&self, at: Timestamp, count: u64) -> StormState {
        let (seen, first, _) = self.seen.unwrap_or((0, self.since.unwrap_or(at), at));
        let trigger = self.recent.iter().max_by_key(|(_, times)| times.back());
        let count = seen.max(self.surplus).max(count);
        StormState {
            number: 0,
            trigger: trigger.map(|(trigger, _)| trigger.clone()).unwrap_or_default(),
            first,
            began: at,
            count,
            devices: 1,
            told: (count, at),
            messages: 0,
            day: at,
            told_end: false,
            ended: false,
            resumed: 0,
            spread: false,
            looks: (0, at),
            held: None,
            joined: None,
        }
    }
}

impl StormState {
    /// Whether it was announced.
    pub(super) fn is_told(&self) -> bool {
        self.number > 0
    }

    /// Until when it is held back; `None` if it was announced, or another storm represents it.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        self.held.filter(|_| self.joined.is_none())
    }

    /// Gives it its number. The first message includes the verdict, so the next check of the verdict comes
    /// after a pause.
    pub(super) fn number_as(&mut self, number: u64, now: Timestamp) {
        self.number = number;
        self.held = None;
        self.looks = (0, now);
    }

    pub(super) fn resume(&mut self) -> Change {
        (self.ended, self.resumed) = (false, self.resumed + 1);
        Change::Resumed
    }

    /// Much worse, or on more devices, and the pause is over.
    pub(super) fn worse(&self, at: Timestamp, pause: SignedDuration) -> Option<Change> {
        let rested = at.duration_since(self.told.1) >= doubled(pause, self.messages);
        let worse = self.count >= self.told.0.saturating_mul(WORSE);
        let change = if self.spread { Change::Spread } else { Change::Worse };
        (rested && (worse || self.spread)).then_some(change)
    }

    /// Whether to check its verdict again; the interval doubles each time.
    pub(super) fn looks_again(&mut self, now: Timestamp, pause: SignedDuration) -> bool {
        let (looks, last) = self.looks;
        let due = now.duration_since(last) >= doubled(pause, looks);
        if due {
            self.looks = (looks + 1, now);
        }
        due
    }

    /// Whether its return could still be announced if its end is announced now. Otherwise people would
    /// believe that an ongoing storm is over, so its end waits until only a new storm can follow.
    pub(super) fn may_come_back(&self, now: Timestamp) -> bool {
        let messages = if now.duration_since(self.day) >= DAY { 1 } else { self.messages };
        messages + 2 < MESSAGES
    }

    /// Whether a message about it is allowed, and counts it. The last one is reserved for the end, and an end
    /// is announced once until it comes back.
    pub(super) fn may_tell(&mut self, change: Change, at: Timestamp) -> bool {
        if at.duration_since(self.day) >= DAY {
            (self.day, self.messages) = (at, 1);
        }
        let end = change == Change::Ended;
        let room = self.messages < MESSAGES - u32::from(!end);
        // If another storm represents it, only its end is announced.
        let speaks = self.is_told() && (end || self.joined.is_none());
        let tells = speaks && room && !(end && self.told_end);
        if tells {
            (self.messages, self.told_end) = (self.messages + 1, end);
            (self.told, self.spread) = ((self.count, at), false);
        }
        tells
    }

    /// The event of a change, if a message is allowed.
    pub(super) fn tell(
        &mut self,
        id: &Id,
        change: Change,
        at: Timestamp,
        last: Timestamp,
    ) -> Option<Event> {
        self.may_tell(change, at).then(|| self.event(id, change, at, last))
    }

    pub(super) fn event(&self, id: &Id, change: Change, at: Timestamp, last: Timestamp) -> Event {
        Event {
            at,
            storm: self.number,
            change,
            kind: told_as(id),
            whose: id.1.clone(),
            trigger: self.trigger.clone(),
            count: self.count,
            devices: self.devices,
            first: self.first,
            last,
        }
    }
}

/// Keeps the newest times within the time span, and returns whether they are enough.
fn newest(moments: &mut VecDeque<Timestamp>, times: Times) -> bool {
    let (at, count, within, enough) = times;
    for _ in 0..count.min(enough as u64) {
        moments.push_back(at);
    }
    while moments.len() > enough
        || moments.front().is_some_and(|first| at.duration_since(*first) > within)
    {
        moments.pop_front();
    }
    moments.len() >= enough
}

/// A pause that doubles with each step.
fn doubled(pause: SignedDuration, steps: u32) -> SignedDuration {
    pause.checked_mul(1 << steps.min(16)).unwrap_or(pause)
}
