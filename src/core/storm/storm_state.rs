//! One subject's newest moments, and its storm once it has one.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::{Change, Event, Id, told_as};
use super::time_series::{Measure, TimeSeries};
use super::trigger::Trigger;

/// Messages about one storm and day, its end included. A picture goes with the first: six in all.
const MESSAGES: u32 = 5;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Worse by this.
const WORSE: u64 = 10;
/// Key ids told apart for one device.
const KEYS: usize = 8;

/// One subject so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Watched {
    /// The newest moments by what repeats: a key id, or a kind of answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) recent: Vec<(Trigger, VecDeque<Timestamp>)>,
    /// The newest refusals of a device, whichever key IDs they name: a client that makes new keys at each
    /// try names another ID each time.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    refusals: VecDeque<Timestamp>,
    /// All of its trouble since the last pause: how much, from when, until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<(u64, Timestamp, Timestamp)>,
    /// Keys accepted beyond those claimed, since a moment.
    pub(super) surplus: u64,
    pub(super) since: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storm: Option<StormState>,
    /// What came when, of those that may be drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<TimeSeries>,
}

/// A storm, told or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StormState {
    /// Zero until it is told by itself.
    pub(super) number: u64,
    pub(super) trigger: Trigger,
    pub(super) first: Timestamp,
    pub(super) began: Timestamp,
    pub(super) count: u64,
    pub(super) devices: u64,
    /// The count at the last message, and when that was.
    told: (u64, Timestamp),
    /// Messages since `day`; and whether the last told of the end.
    messages: u32,
    day: Timestamp,
    told_end: bool,
    pub(super) ended: bool,
    /// How often it came back: each time its end is waited for twice as long.
    pub(super) resumed: u32,
    /// Another device joined it since the last message.
    pub(super) spread: bool,
    /// How often its verdict was asked for again, and when last.
    looks: (u32, Timestamp),
    /// Not told before this moment: with many others it may turn out to be one alert.
    pub(super) held: Option<Timestamp>,
    /// It is part of another storm, which speaks for it.
    pub(super) joined: Option<Id>,
}

/// When, how often, within what time, and how often is enough.
pub(super) type Times = (Timestamp, u64, SignedDuration, usize);

impl Watched {
    /// Whether the same came so often within the time.
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

    /// Whether the device was refused so often within the time; the key ID is noted as the trigger.
    pub(super) fn refused(&mut self, key: Trigger, times: Times) -> bool {
        self.repeats(key, times);
        newest(&mut self.refusals, times)
    }

    /// Adds accepted keys; what came before a long silence is forgotten.
    pub(super) fn add(&mut self, keys: u64, at: Timestamp, sustained: SignedDuration) -> u64 {
        if self.since.is_none_or(|since| at.duration_since(since) > sustained) {
            (self.since, self.surplus) = (Some(at), 0);
        }
        self.surplus += keys;
        self.surplus
    }

    /// Notes a count for the picture.
    pub(super) fn draw(&mut self, at: Timestamp, part: Measure, count: u64) {
        self.series.get_or_insert_default().add(at, part, count);
    }

    /// Notes for the picture how much there is.
    pub(super) fn level(&mut self, at: Timestamp, count: u64) {
        self.series.get_or_insert_default().level(at, count);
    }

    /// Whether it has a storm that is not over.
    pub(super) fn goes_on(&self) -> bool {
        self.storm.as_ref().is_some_and(|storm| !storm.ended)
    }

    /// A storm of what was seen so far, told by nobody yet.
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
    /// Whether people were told of it.
    pub(super) fn is_told(&self) -> bool {
        self.number > 0
    }

    /// Until when it is held back; none where it is told already, or another storm speaks for it.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        self.held.filter(|_| self.joined.is_none())
    }

    /// Gives it the number under which it is announced. Its first message asks for its verdict, so the next
    /// look at the verdict comes after a pause.
    pub(super) fn number_as(&mut self, number: u64, now: Timestamp) {
        self.number = number;
        self.held = None;
        self.looks = (0, now);
    }

    pub(super) fn resume(&mut self) -> Change {
        (self.ended, self.resumed) = (false, self.resumed + 1);
        Change::Resumed
    }

    /// Worse by much, or in more devices, and the cool-down is over.
    pub(super) fn worse(&self, at: Timestamp, pause: SignedDuration) -> Option<Change> {
        let rested = at.duration_since(self.told.1) >= doubled(pause, self.messages);
        let worse = self.count >= self.told.0.saturating_mul(WORSE);
        let change = if self.spread { Change::Spread } else { Change::Worse };
        (rested && (worse || self.spread)).then_some(change)
    }

    /// Whether its verdict is to be asked for again; each time after twice as long.
    pub(super) fn looks_again(&mut self, now: Timestamp, pause: SignedDuration) -> bool {
        let (looks, last) = self.looks;
        let due = now.duration_since(last) >= doubled(pause, looks);
        if due {
            self.looks = (looks + 1, now);
        }
        due
    }

    /// Whether it can still be said that it came back, should its end be told now. Else people would take
    /// for over what goes on, so that its end is told when it can only be another storm that comes.
    pub(super) fn may_come_back(&self, now: Timestamp) -> bool {
        let messages = if now.duration_since(self.day) >= DAY { 1 } else { self.messages };
        messages + 2 < MESSAGES
    }

    /// Whether a message about it may go out, and counts it. The last one is kept for the end, and an end
    /// is told once until it has come back.
    pub(super) fn may_tell(&mut self, change: Change, at: Timestamp) -> bool {
        if at.duration_since(self.day) >= DAY {
            (self.day, self.messages) = (at, 1);
        }
        let end = change == Change::Ended;
        let room = self.messages < MESSAGES - u32::from(!end);
        // Of a storm that another speaks for, only the end is told.
        let speaks = self.is_told() && (end || self.joined.is_none());
        let tells = speaks && room && !(end && self.told_end);
        if tells {
            (self.messages, self.told_end) = (self.messages + 1, end);
            (self.told, self.spread) = ((self.count, at), false);
        }
        tells
    }

    /// The event of a change, where it may be told.
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

/// Keeps the newest moments within the time, and gives whether they are enough.
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
