//! Moments and facts, one by one → when a storm starts, what is new of it, and when it is over.
//!
//! Pure: time is a value, a fact is what one line of a log came to. What is posted, to whom and when it is
//! muted is not decided here; counting never stops. Memory is bounded, because users can be made up.

mod sure;
mod timeline;
mod watched;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::sure::{Mute, Muted, Sure};
pub use self::timeline::{Curve, Timeline};
use self::watched::{Storm, Watched};
use crate::evidence::sight::{Delay, Sight, What};

/// When something is a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Refusals of one device and key id that make a storm; one is none. It is repetition that counts: idle
    /// devices make two a minute, busy ones a hundred a second.
    pub refusals: usize,
    /// … within this time.
    pub within: SignedDuration,
    /// Keys accepted beyond those claimed, within `sustained`, that make a flood.
    pub surplus: u64,
    pub sustained: SignedDuration,
    /// 429s on delayed events of one address within a minute.
    pub limited: usize,
    /// Restarts in a row that took two seconds and more.
    pub slow: usize,
    /// 404s on delayed events of one address within `within`.
    pub gone: usize,
    /// Devices that start within `together` and are one alert.
    pub fleet: usize,
    pub together: SignedDuration,
    /// Silence after which a storm is over.
    pub quiet: SignedDuration,
    /// A storm that comes back within this time is the same.
    pub flap: SignedDuration,
    /// The shortest time between two messages about one storm; it doubles with each.
    pub pause: SignedDuration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            refusals: 3,
            within: SignedDuration::from_mins(10),
            surplus: 500,
            sustained: SignedDuration::from_hours(1),
            limited: 5,
            slow: 2,
            gone: 20,
            fleet: 10,
            together: SignedDuration::from_mins(5),
            quiet: SignedDuration::from_mins(10),
            flap: SignedDuration::from_hours(1),
            pause: SignedDuration::from_mins(5),
        }
    }
}

/// What kind of storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    OtkConflict,
    OtkFlood,
    Delay,
    /// Many devices at once.
    Fleet,
}

/// Whose storm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    Device { user: String, device: String },
    Address(String),
    Everybody,
}

/// Something to say of a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// The storm's number; it stays over updates.
    pub storm: u64,
    pub change: Change,
    pub kind: Kind,
    pub whose: Whose,
    /// What repeated: a key id, or how requests on delayed events were answered.
    pub trigger: String,
    /// Refusals, keys or answers so far.
    pub count: u64,
    /// Devices that are in it.
    pub devices: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Started,
    /// Ten times as many as at the last message.
    Worse,
    /// Another device of the user's is in it.
    Spread,
    /// Its verdict is another than the one told.
    Cause,
    /// It came back after its end was told.
    Resumed,
    Ended,
}

/// Subjects watched at once; then the one silent longest is forgotten, storms last.
const WATCHED: usize = 10_000;

/// All that is being watched; serialises, so that a restart goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Watch {
    thresholds: Thresholds,
    #[serde(with = "pairs")]
    watched: BTreeMap<(Kind, Whose), Watched>,
    next: u64,
    /// When device storms started, newest last.
    starts: VecDeque<Timestamp>,
    now: Option<Timestamp>,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// One sight. A moment before the newest counts as the newest: lines are a few seconds late.
    pub fn see(&mut self, sight: Sight) -> Vec<Event> {
        let (at, count) = (self.now.map_or(sight.at, |now| now.max(sight.at)), sight.count);
        let mut events = self.tick(at);
        let (within, enough) = (self.thresholds.within, self.thresholds.refusals);
        match sight.what {
            What::Refused { user, device, key } => {
                let id = (Kind::OtkConflict, Whose::Device { user, device });
                let times = (at, count, within, enough);
                let repeats = self.watched(&id, at).repeats(&key, times);
                self.count(&id, at, count, repeats, &mut events);
            }
            What::TooLarge { user, device } => {
                let id = (Kind::OtkFlood, Whose::Device { user, device });
                let repeats = self.watched(&id, at).repeats("", (at, count, within, enough));
                self.count(&id, at, count, repeats, &mut events);
            }
            What::Accepted { user, device } => {
                let (sustained, enough) = (self.thresholds.sustained, self.thresholds.surplus);
                let id = (Kind::OtkFlood, Whose::Device { user, device });
                let before = self.watched.get(&id).and_then(|watched| watched.last);
                let watched = self.watched(&id, at);
                let floods = watched.add(count, at, sustained) > enough;
                // A device that tops up as it should keeps no flood alive.
                if !floods && watched.storm.is_some() {
                    watched.last = before;
                    return events;
                }
                self.count(&id, at, count, floods, &mut events);
            }
            What::Claimed { user, device } => {
                let id = (Kind::OtkFlood, Whose::Device { user, device });
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.surplus = watched.surplus.saturating_sub(count);
                }
            }
            What::Delay { address, answer } => {
                self.delay(address, answer, (at, count), &mut events);
            }
        }
        events
    }

    /// Time passes: storms that were silent long enough are over.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Event> {
        // Ends are minutes away, so a look a second is enough.
        if self.now.is_some_and(|last| now.duration_since(last) < SignedDuration::from_secs(1)) {
            return Vec::new();
        }
        self.now = Some(now);
        let quiet = self.thresholds.quiet;
        let mut events = Vec::new();
        for (id, watched) in &mut self.watched {
            let (Some(storm), Some(last)) = (&mut watched.storm, watched.last) else { continue };
            let wait = quiet.checked_mul(1 << storm.resumed.min(5)).unwrap_or(quiet);
            if !storm.ended && now.duration_since(last) >= wait {
                storm.ended = true;
                if storm.may_tell(Change::Ended) {
                    events.push(storm.event(id, Change::Ended, now, last));
                }
            }
        }
        let flap = self.thresholds.flap;
        let over = |watched: &Watched| {
            let silent = watched.last.is_none_or(|last| now.duration_since(last) > flap);
            silent && watched.storm.as_ref().is_none_or(|storm| storm.ended)
        };
        self.watched.retain(|_, watched| !over(watched));
        events
    }

    /// Storms that go on, worst first: kind, whose, count.
    pub fn going_on(&self) -> Vec<(Kind, &Whose, u64)> {
        let mut all: Vec<_> = self
            .watched
            .iter()
            .filter_map(|((kind, whose), watched)| {
                let storm = watched.storm.as_ref().filter(|storm| !storm.ended)?;
                Some((*kind, whose, storm.count))
            })
            .collect();
        all.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        all
    }

    fn delay(
        &mut self,
        address: String,
        answer: Delay,
        (at, count): (Timestamp, u64),
        events: &mut Vec<Event>,
    ) {
        let limits = &self.thresholds;
        let minute = SignedDuration::from_mins(1);
        let (name, within, enough) = match answer {
            Delay::Limited => ("limited", minute, limits.limited),
            Delay::Gone => ("gone", limits.within, limits.gone),
            Delay::Slow => ("slow", limits.within, limits.slow),
            Delay::Fast => {
                // Not in a row any more.
                let id = (Kind::Delay, Whose::Address(address));
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.recent.retain(|(name, _)| name != "slow");
                }
                return;
            }
        };
        let id = (Kind::Delay, Whose::Address(address));
        let repeats = self.watched(&id, at).repeats(name, (at, count, within, enough));
        self.count(&id, at, count, repeats, events);
    }

    /// The subject's place; a new one where there is room.
    fn watched(&mut self, id: &(Kind, Whose), at: Timestamp) -> &mut Watched {
        if !self.watched.contains_key(id) && self.watched.len() >= WATCHED {
            self.forget();
        }
        let watched = self.watched.entry(id.clone()).or_default();
        watched.last = Some(at);
        watched
    }

    /// Makes room for an eighth, so that making room is rare: the ones silent longest go, storms last.
    fn forget(&mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.watched).into_iter().collect();
        all.sort_by_key(|(_, one)| std::cmp::Reverse((one.storm.is_some(), one.last)));
        all.truncate(WATCHED - WATCHED / 8);
        self.watched = all.into_iter().collect();
    }

    /// Counts into the subject's storm, begins one where it repeats, and says what is new.
    fn count(
        &mut self,
        id: &(Kind, Whose),
        at: Timestamp,
        count: u64,
        storms: bool,
        events: &mut Vec<Event>,
    ) {
        let pause = self.thresholds.pause;
        let Some(watched) = self.watched.get_mut(id) else { return };
        if let Some(storm) = &mut watched.storm {
            storm.count += count;
            let change = match storm.ended {
                true if storms => Some(storm.resume()),
                true => None,
                false => storm.worse(at, pause),
            };
            if let Some(change) = change.filter(|change| storm.may_tell(*change)) {
                storm.told = (storm.count, at);
                events.push(storm.event(id, change, at, at));
            }
            return;
        }
        if !storms {
            return;
        }
        self.next += 1;
        let number = self.next;
        let seen = watched.recent.iter().map(|(_, times)| times.len() as u64).sum::<u64>();
        let first = watched.recent.iter().filter_map(|(_, times)| times.front()).min();
        let first = first.copied().or(watched.since).unwrap_or(at);
        let trigger = watched.recent.iter().max_by_key(|(_, times)| times.back());
        let trigger = trigger.map(|(name, _)| name.clone()).unwrap_or_default();
        let mut storm =
            Storm::new(number, trigger, first, seen.max(watched.surplus).max(count), at);
        storm.folded = self.fleet(id.0, at, events);
        if let Some(watched) = self.watched.get_mut(id) {
            if !storm.folded {
                events.push(storm.event(id, Change::Started, at, at));
            }
            watched.storm = Some(storm);
        }
    }

    /// Notes a device's start. Gives whether it is part of an alert about everybody, which begins where
    /// enough have started together.
    fn fleet(&mut self, kind: Kind, at: Timestamp, events: &mut Vec<Event>) -> bool {
        if kind != Kind::OtkConflict {
            return false;
        }
        let together = self.thresholds.together;
        self.starts.push_back(at);
        while self.starts.front().is_some_and(|start| at.duration_since(*start) > together) {
            self.starts.pop_front();
        }
        let id = (Kind::Fleet, Whose::Everybody);
        let goes_on = self.watched.get(&id).and_then(|watched| watched.storm.as_ref());
        let goes_on = goes_on.is_some_and(|storm| !storm.ended);
        let enough = self.starts.len() >= self.thresholds.fleet;
        if !goes_on && !enough {
            return false;
        }
        let started = if goes_on { 1 } else { self.starts.len() as u64 };
        let first = self.starts.front().copied().unwrap_or(at);
        let watched = self.watched(&id, at);
        watched.since.get_or_insert(first);
        watched.surplus += started;
        self.count(&id, at, started, true, events);
        if let Some(storm) = self.watched.get_mut(&id).and_then(|one| one.storm.as_mut()) {
            storm.devices = storm.count;
        }
        true
    }
}

/// A map whose keys are no strings, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K, V, S>(map: &BTreeMap<K, V>, to: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'a, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'a> + Ord,
        V: Deserialize<'a>,
        D: Deserializer<'a>,
    {
        Vec::<(K, V)>::deserialize(from).map(|pairs| pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + seconds).unwrap()
    }

    fn see(watch: &mut Watch, seconds: i64, count: u64, what: What) -> Vec<Event> {
        watch.see(Sight { at: at(seconds), count, what })
    }

    fn refused(device: &str) -> What {
        let (user, key) = ("@a:x".to_owned(), "signed_curve25519:AAAAAAAAAA0".to_owned());
        What::Refused { user, device: device.into(), key }
    }

    fn changes(events: &[Event]) -> Vec<Change> {
        events.iter().map(|event| event.change).collect()
    }

    #[test]
    fn a_flood_ends_though_the_device_tops_up() {
        let mut watch = Watch::new(Thresholds::default());
        let of = || ("@a:x".to_owned(), "D".to_owned());
        let accepted = || What::Accepted { user: of().0, device: of().1 };
        assert_eq!(changes(&see(&mut watch, 0, 600, accepted())), [Change::Started]);
        let mut told = Vec::new();
        for minutes in 1..36 {
            let claimed = What::Claimed { user: of().0, device: of().1 };
            told.extend(see(&mut watch, minutes * 300 - 1, 1, claimed));
            told.extend(see(&mut watch, minutes * 300, 1, accepted()));
        }
        assert_eq!(changes(&told), [Change::Ended], "it goes on");
        assert!(watch.going_on().is_empty());
    }

    #[test]
    fn repetition_is_a_storm_and_one_refusal_is_none() {
        let mut watch = Watch::new(Thresholds::default());
        assert!(see(&mut watch, 0, 1, refused("D")).is_empty());
        // Another key each time, and too far apart: no storm.
        for (n, key) in ["a:1", "a:2", "a:3"].into_iter().enumerate() {
            let (user, device) = ("@a:x".into(), "E".into());
            let fact = What::Refused { user, device, key: key.into() };
            assert!(see(&mut watch, n as i64, 1, fact).is_empty());
        }
        assert!(see(&mut watch, 30, 1, refused("D")).is_empty());
        let events = see(&mut watch, 60, 1, refused("D"));
        assert_eq!(changes(&events), [Change::Started]);
        assert_eq!((events[0].count, events[0].first), (3, at(0)));
        // It is over after ten quiet minutes, once.
        let mut events = watch.tick(at(600));
        events.extend(watch.tick(at(661)));
        events.extend(watch.tick(at(700)));
        assert_eq!(changes(&events), [Change::Ended]);
        assert_eq!((events[0].count, events[0].last), (3, at(60)));
    }

    #[test]
    fn a_day_of_storm_is_few_messages() {
        // A hundred a second for a day, and one that comes and goes every eleven minutes.
        for pause in [0, 660] {
            let mut watch = Watch::new(Thresholds::default());
            let mut events = Vec::new();
            let mut seen = 0;
            for second in 0..86_400 {
                if pause == 0 || second % (pause * 2) < pause {
                    events.extend(see(&mut watch, second, 20, refused("D")));
                    seen += 20;
                }
            }
            let told = events.clone();
            for second in (86_400..120_000).step_by(600) {
                events.extend(watch.tick(at(second)));
            }
            assert!(events.len() <= 6, "{:?}", changes(&events));
            assert_eq!(changes(&events).first(), Some(&Change::Started));
            assert!(events.iter().all(|event| event.storm == 1), "{told:?}");
            if pause == 0 {
                assert_eq!(changes(&events).last(), Some(&Change::Ended));
                assert_eq!(events.last().unwrap().count, seen, "counting stopped while quiet");
            }
        }
    }

    #[test]
    fn many_devices_at_once_are_one_alert() {
        let mut watch = Watch::new(Thresholds::default());
        let mut events = Vec::new();
        for device in 0..37 {
            for _ in 0..3 {
                events.extend(see(&mut watch, device, 1, refused(&format!("D{device}"))));
            }
        }
        let fleets: Vec<_> = events.iter().filter(|event| event.kind == Kind::Fleet).collect();
        assert_eq!(fleets.len(), 1, "{events:?}");
        assert_eq!(
            events.len(),
            10,
            "those before it are told by themselves, the rest are part of it"
        );
        assert_eq!(watch.going_on()[0], (Kind::Fleet, &Whose::Everybody, 37));
    }

    #[test]
    fn floods_and_delays_have_their_own_measure() {
        let mut watch = Watch::new(Thresholds::default());
        let accepted = || {
            let (user, device) = ("@a:x".into(), "D".into());
            What::Accepted { user, device }
        };
        // A healthy device: what is claimed is topped up.
        for round in 0..40 {
            assert!(see(&mut watch, round, 50, accepted()).is_empty());
            let (user, device) = ("@a:x".into(), "D".into());
            see(&mut watch, round, 50, What::Claimed { user, device });
        }
        let mut events = Vec::new();
        for round in 40..60 {
            events.extend(see(&mut watch, round, 50, accepted()));
        }
        assert_eq!(
            events.iter().map(|e| (e.kind, e.change)).collect::<Vec<_>>(),
            [(Kind::OtkFlood, Change::Started)]
        );
        let delay = |answer| What::Delay { address: "203.0.113.7".into(), answer };
        let answers = [Delay::Slow, Delay::Fast, Delay::Slow, Delay::Slow];
        let told: Vec<_> =
            answers.into_iter().map(|answer| see(&mut watch, 70, 1, delay(answer)).len()).collect();
        assert_eq!(told, [0, 0, 0, 1], "two in a row");
    }

    #[test]
    fn a_restart_goes_on_and_made_up_users_cost_no_memory() {
        let mut watch = Watch::new(Thresholds::default());
        for _ in 0..3 {
            see(&mut watch, 0, 1, refused("D"));
        }
        let kept = serde_json::to_string(&watch).unwrap();
        let mut watch: Watch = serde_json::from_str(&kept).unwrap();
        assert!(see(&mut watch, 1, 1, refused("D")).is_empty(), "a second root");
        for invented in 0..50_000 {
            see(&mut watch, 2, 1, refused(&format!("invented-{invented}")));
        }
        assert!(watch.watched.len() <= WATCHED);
        assert_eq!(watch.going_on().len(), 1, "the storm was forgotten for made-up users");
    }
}
