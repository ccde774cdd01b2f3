//! Moments and facts, one by one → when a storm starts, what is new of it, and when it is over.
//!
//! Pure: time is a value, a fact is what one line of a log came to. What is posted, to whom and when it is
//! muted is not decided here; counting never stops. Memory is bounded, because users can be made up.

mod pairs;
mod polled;
mod requests;
mod series;
mod sure;
mod thresholds;
mod timeline;
mod together;
mod watched;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::polled::{BACKLOG, DEAD_IDENTITY};
use self::polled::{Polled, UNSEEN, is_polled, told_as};
use self::series::Part;
pub use self::sure::{Mute, Muted, Sure};
pub use self::thresholds::Thresholds;
pub use self::timeline::{Curve, Timeline};
use self::watched::Watched;
use crate::evidence::log_event::{Sight, What};

/// What kind of storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    OtkConflict,
    OtkFlood,
    Delay,
    /// Many devices at once.
    Fleet,
    /// Keys of an identity that is gone wait to be handed out, and no line of a log says so.
    DeadIdentity,
    /// To-device messages pile up for a device that is there.
    Backlog,
    /// Synapse cannot check access tokens: its authentication service does not answer.
    Auth,
}

/// Whose storm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    Device {
        user: String,
        device: String,
    },
    Address(String),
    /// Many devices', or many addresses'.
    Everybody,
    /// The homeserver's as a whole: nothing in it is of one device.
    Server,
}

/// What is watched.
type Id = (Kind, Whose);

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
    /// Refusals, keys or answers so far, or messages that wait; of many together, how many they are, and
    /// of keys of a dead identity one.
    pub count: u64,
    /// Devices, or addresses, that are in it.
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
    /// It is time to look whether its verdict is still the one told. To be told only where it is another,
    /// and where `Watch::spend` allows.
    Cause,
    /// It came back after its end was told.
    Resumed,
    Ended,
}

/// Subjects watched at once; then the one silent longest is forgotten, storms last.
const WATCHED: usize = 10_000;
/// So many of them may be addresses, however many devices there are.
const ADDRESSES: usize = 2000;

/// All that is being watched; serialises, so that a restart goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Watch {
    thresholds: Thresholds,
    #[serde(with = "pairs")]
    watched: BTreeMap<Id, Watched>,
    /// The newest storm's number.
    next: u64,
    /// When storms of each kind of crowd started, newest last.
    #[serde(with = "pairs")]
    starts: BTreeMap<Kind, VecDeque<Timestamp>>,
    now: Option<Timestamp>,
    #[serde(default)]
    polled: Polled,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// The same, as an admin tunes it now.
    pub fn tuned(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// The same, whose next storm has a number behind this one.
    pub fn numbered_after(self, newest: u64) -> Self {
        Self { next: self.next.max(newest), ..self }
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
                let before = self.accepted_before(&id.1, at);
                let watched = self.watched(&id, at);
                let repeats = watched.refused(&key, times);
                if let Some((since, keys)) = before.filter(|_| watched.series.is_none()) {
                    watched.draw(since, Part::Second, keys);
                }
                watched.draw(at, Part::Trouble, count);
                self.count(&id, at, count, repeats, &mut events);
            }
            What::TooLarge { user, device } => {
                let id = (Kind::OtkFlood, Whose::Device { user, device });
                let watched = self.watched(&id, at);
                let repeats = watched.repeats("", (at, count, within, enough));
                watched.draw(at, Part::Trouble, count);
                self.count(&id, at, count, repeats, &mut events);
            }
            What::Accepted { user, device } => {
                self.accepted(Whose::Device { user, device }, (at, count), &mut events);
            }
            What::Claimed { user, device } => {
                let whose = Whose::Device { user, device };
                self.beside(&whose, (at, count), Part::Third);
                if let Some(watched) = self.watched.get_mut(&(Kind::OtkFlood, whose)) {
                    watched.surplus = watched.surplus.saturating_sub(count);
                }
            }
            What::Delay { address, answer } => {
                self.delay(address, answer, (at, count), &mut events);
            }
            What::AuthFailed => self.auth_failed((at, count), &mut events),
        }
        events
    }

    /// Time passes: storms that were silent long enough are over, those that were held back are told.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Event> {
        // Ends are minutes away, so a look a second is enough.
        if self.now.is_some_and(|last| now.duration_since(last) < SignedDuration::from_secs(1)) {
            return Vec::new();
        }
        self.now = Some(now);
        let (quiet, pause) = (self.thresholds.quiet, self.thresholds.pause);
        let flap = self.thresholds.flap;
        // Behind this one that comes back is another storm.
        let for_good = flap.saturating_add(SignedDuration::from_secs(1));
        let mut events = Vec::new();
        for (id, watched) in &mut self.watched {
            let (Some(storm), Some(last)) = (&mut watched.storm, watched.last) else { continue };
            if storm.ended {
                continue;
            }
            if let Some(until) = storm.held_until() {
                // Until it is announced, neither its end nor a look at its verdict comes up.
                if until > now {
                    continue;
                }
                self.next += 1;
                storm.number_as(self.next, now);
                events.extend(tell(storm, id, Change::Started, now, last));
            }
            let wait = match is_polled(id.0) {
                true => UNSEEN,
                false => quiet.checked_mul(1 << storm.resumed.min(5)).unwrap_or(quiet),
            };
            let wait = if storm.may_come_back(now) { wait } else { wait.max(for_good) };
            if now.duration_since(last) >= wait {
                storm.ended = true;
                events.extend(tell(storm, id, Change::Ended, now, last));
            } else if storm.is_told() && storm.joined.is_none() && storm.looks_again(now, pause) {
                events.push(storm.event(id, Change::Cause, now, last));
            }
        }
        let over = |watched: &Watched| {
            let silent = watched.last.is_none_or(|last| now.duration_since(last) > flap);
            silent && watched.storm.as_ref().is_none_or(|storm| storm.ended)
        };
        self.watched.retain(|_, watched| !over(watched));
        events
    }

    /// A message beyond those that were given out, about another verdict. Gives whether it may go out.
    pub fn spend(&mut self, storm: u64, at: Timestamp) -> bool {
        let mut storms = self.watched.values_mut().filter_map(|watched| watched.storm.as_mut());
        let known = storms.find(|known| known.number == storm && !known.ended);
        known.is_some_and(|known| known.may_tell(Change::Cause, at))
    }

    /// Whether another storm speaks for this one.
    pub fn is_part(&self, storm: u64) -> bool {
        let mut storms = self.watched.values().filter_map(|watched| watched.storm.as_ref());
        storms.any(|known| known.number == storm && known.joined.is_some())
    }

    /// Storms that go on and were told, as they stand now; worst first.
    pub fn going_on(&self) -> Vec<Event> {
        let mut all: Vec<_> = self
            .watched
            .iter()
            .filter_map(|(id, watched)| {
                let told = |storm: &&watched::Storm| storm.is_told() && !storm.ended;
                let storm = watched.storm.as_ref().filter(told)?;
                let last = watched.last?;
                Some(storm.event(id, Change::Worse, self.now.unwrap_or(last), last))
            })
            .collect();
        all.sort_by_key(|event| std::cmp::Reverse((event.devices, event.count)));
        all
    }

    /// What came when of a storm, for a picture.
    pub fn timeline(&self, storm: u64) -> Option<Timeline> {
        let of = |(id, watched): (&Id, &Watched)| {
            let told = watched.storm.as_ref().filter(|known| known.number == storm)?;
            watched.series.as_ref()?.timeline(told_as(id), &told.trigger)
        };
        self.watched.iter().find_map(of)
    }

    /// The devices that an alert about many speaks for, those that began first before the others.
    pub fn members(&self, storm: u64) -> Vec<Whose> {
        let all = || self.watched.iter().filter_map(|(id, one)| Some((id, one.storm.as_ref()?)));
        let Some((leader, _)) = all().find(|(_, known)| known.number == storm) else {
            return Vec::new();
        };
        let mut members: Vec<_> =
            all().filter(|(_, known)| known.joined.as_ref() == Some(leader)).collect();
        members.sort_by_key(|(_, known)| known.began);
        members.into_iter().map(|((_, whose), _)| whose.clone()).collect()
    }

    fn accepted(&mut self, whose: Whose, seen: (Timestamp, u64), events: &mut Vec<Event>) {
        let (at, count) = seen;
        self.beside(&whose, seen, Part::Second);
        let (sustained, enough) = (self.thresholds.sustained, self.thresholds.surplus);
        let id = (Kind::OtkFlood, whose);
        let before = self.watched.get(&id).and_then(|watched| watched.last);
        let watched = self.watched(&id, at);
        let surplus = watched.add(count, at, sustained);
        if surplus > enough / 4 && watched.series.is_none() {
            watched.draw(at, Part::Second, surplus);
        }
        // A device that tops up as it should keeps no flood alive.
        if surplus <= enough && watched.storm.is_some() {
            watched.last = before;
            return;
        }
        self.count(&id, at, count, surplus > enough, events);
    }

    /// The keys of a device that were accepted lately: those of a dead account stand at a storm's beginning.
    fn accepted_before(&self, whose: &Whose, at: Timestamp) -> Option<(Timestamp, u64)> {
        let uploads = self.watched.get(&(Kind::OtkFlood, whose.clone()))?;
        let since =
            uploads.since.filter(|since| at.duration_since(*since) < self.thresholds.within)?;
        Some((since, uploads.surplus)).filter(|(_, keys)| *keys > 0)
    }

    /// Notes for the pictures what a device did beside its trouble.
    fn beside(&mut self, whose: &Whose, (at, count): (Timestamp, u64), part: Part) {
        for kind in [Kind::OtkConflict, Kind::OtkFlood] {
            if let Some(watched) = self.watched.get_mut(&(kind, whose.clone()))
                && watched.series.is_some()
            {
                watched.draw(at, part, count);
            }
        }
    }

    /// The subject's place; a new one where there is room.
    fn watched(&mut self, id: &Id, at: Timestamp) -> &mut Watched {
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
        let (mut addresses, mut others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|((kind, _), _)| *kind == Kind::Delay);
        // Anybody may call himself by any address: these never push a device out, nor devices them.
        let room = WATCHED - WATCHED / 8;
        others.truncate(room - addresses.len().min(ADDRESSES));
        addresses.truncate(room - others.len());
        self.watched = others.into_iter().chain(addresses).collect();
    }

    /// Counts into the subject's storm, begins one where it repeats, and says what is new.
    fn count(&mut self, id: &Id, at: Timestamp, count: u64, storms: bool, events: &mut Vec<Event>) {
        let pause = self.thresholds.pause;
        let orphan = self.is_orphan(id);
        let Some(watched) = self.watched.get_mut(id) else { return };
        let Some(storm) = watched.storm.as_mut().filter(|_| !(orphan && storms)) else {
            if storms {
                watched.storm = Some(watched.brew(at, count));
                self.begin(id, at, events);
            }
            return;
        };
        storm.count += count;
        let change = match storm.ended {
            true if storms => Some(storm.resume()),
            true => None,
            false => storm.worse(at, pause),
        };
        events.extend(change.and_then(|change| tell(storm, id, change, at, at)));
        if let Some(leader) = storm.joined.clone().filter(|_| !storm.ended) {
            self.goes_on(&leader, at, count, events);
        }
    }
}

/// The event of a change, where it may be told.
fn tell(
    storm: &mut watched::Storm,
    id: &Id,
    change: Change,
    at: Timestamp,
    last: Timestamp,
) -> Option<Event> {
    storm.may_tell(change, at).then(|| storm.event(id, change, at, last))
}

#[cfg(test)]
mod order_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::log_event::Delay;

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

    /// What is told, without the looks for another verdict.
    fn changes(events: &[Event]) -> Vec<Change> {
        let all = events.iter().map(|event| event.change);
        all.filter(|change| *change != Change::Cause).collect()
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
        assert!(see(&mut watch, 30, 1, refused("D")).is_empty());
        let events = see(&mut watch, 60, 1, refused("D"));
        assert_eq!(changes(&events), [Change::Started]);
        assert_eq!((events[0].count, events[0].first), (3, at(0)));
        // It is over after ten quiet minutes, once.
        let mut events = watch.tick(at(600));
        events.extend(watch.tick(at(661)));
        events.extend(watch.tick(at(700)));
        assert_eq!(changes(&events), [Change::Ended]);
        let end = events.iter().find(|event| event.change == Change::Ended).unwrap();
        assert_eq!((end.count, end.last), (3, at(60)));
    }

    /// matrix-nio 0.26 makes fifty new keys at each failed try, so that each refusal names another key ID.
    #[test]
    fn a_device_that_names_another_key_each_time_is_a_storm() {
        let mut watch = Watch::new(Thresholds::default());
        let mut told = Vec::new();
        for n in 0..34 {
            let (user, device) = ("@nio:x".into(), "NIO".into());
            let key = format!("signed_curve25519:AAAAAAAAA{}g", char::from(b'A' + n));
            told.extend(see(&mut watch, i64::from(n) * 20, 1, What::Refused { user, device, key }));
            assert_eq!(changes(&told).contains(&Change::Started), n >= 2, "{n}: {told:?}");
        }
        assert_eq!(told[0].count, 3);
        // Three within half an hour are none.
        let mut watch = Watch::new(Thresholds::default());
        for (minutes, key) in [(0, "a:1"), (12, "a:2"), (24, "a:3")] {
            let (user, device) = ("@a:x".into(), "E".into());
            let fact = What::Refused { user, device, key: key.into() };
            assert!(see(&mut watch, minutes * 60, 1, fact).is_empty());
        }
    }

    #[test]
    fn what_came_before_it_was_a_storm_is_counted() {
        let mut watch = Watch::new(Thresholds::default());
        assert!(see(&mut watch, 0, 1, refused("D")).is_empty());
        let events = see(&mut watch, 1, 4, refused("D"));
        assert_eq!((events[0].count, events[0].first), (5, at(0)));
        // Another pause, another beginning.
        assert!(see(&mut watch, 0, 2, refused("E")).is_empty());
        let events = see(&mut watch, 700, 3, refused("E"));
        let started = events.iter().find(|event| event.change == Change::Started).unwrap();
        assert_eq!((started.count, started.first), (3, at(700)));
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
            for second in (86_400..120_000).step_by(600) {
                events.extend(watch.tick(at(second)));
            }
            let looks = events.iter().filter(|event| event.change == Change::Cause).count();
            assert!((4..12).contains(&looks), "{looks}");
            events.retain(|event| event.change != Change::Cause);
            // A picture goes with the first.
            assert!(events.len() <= 5, "{:?}", changes(&events));
            assert_eq!(changes(&events).first(), Some(&Change::Started));
            assert!(events.iter().all(|event| event.storm == 1), "{events:?}");
            if pause == 0 {
                assert_eq!(changes(&events).last(), Some(&Change::Ended));
                assert_eq!(events.last().unwrap().count, seen, "counting stopped while quiet");
            }
        }
    }

    fn storm_of(watch: &mut Watch, seconds: i64, user: &str, device: &str) -> Vec<Event> {
        let (user, device, key) = (user.to_owned(), device.to_owned(), "a:1".to_owned());
        see(watch, seconds, 3, What::Refused { user, device, key })
    }

    #[test]
    fn what_goes_on_was_never_told_to_be_over_last() {
        // Minutes of storm and of silence, over and over.
        for (storm, silence) in [(1, 11), (5, 21), (30, 12), (200, 15), (1, 45), (90, 59)] {
            let mut watch = Watch::new(Thresholds::default());
            let (mut over, mut told) = (None, 0);
            for second in (0..86_000).step_by(15) {
                let storms = second / 60 % (storm + silence) < storm;
                let events = match storms {
                    true => see(&mut watch, second, 1 + second as u64, refused("D")),
                    false => watch.tick(at(second)),
                };
                told += changes(&events).len();
                over = changes(&events).last().map(|last| *last == Change::Ended).or(over);
                assert!(
                    !storms || over == Some(false) || second < 60,
                    "{storm} {silence} {second}"
                );
            }
            assert!(told <= 5, "{storm} {silence}: {told}");
            let last: Vec<_> =
                (86_000..95_000).step_by(60).flat_map(|second| watch.tick(at(second))).collect();
            assert!(over == Some(true) || changes(&last).contains(&Change::Ended));
        }
    }

    #[test]
    fn made_up_addresses_push_no_device_out() {
        let mut watch = Watch::new(Thresholds::default());
        assert!(see(&mut watch, 0, 2, refused("D")).is_empty());
        let storm = |n| What::Delay { address: format!("203.0.113.{n}"), answer: Delay::Limited };
        for address in 0..20_000 {
            see(&mut watch, 1 + address / 100, 1, storm(address));
        }
        assert!(watch.watched.len() <= WATCHED);
        assert_eq!(changes(&see(&mut watch, 300, 1, refused("D"))), [Change::Started]);
        // A few addresses are remembered beside however many devices.
        for device in 0..20_000 {
            see(&mut watch, 301, 1, refused(&format!("invented-{device}")));
        }
        assert!(watch.watched.keys().any(|(kind, _)| *kind == Kind::Delay));
    }

    #[test]
    fn many_devices_at_once_are_one_alert() {
        let mut watch = Watch::new(Thresholds::default());
        let mut events = Vec::new();
        for n in 0..37 {
            events.extend(storm_of(&mut watch, n, &format!("@u{n}:x"), "D"));
        }
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        let alone = Kind::OtkConflict;
        assert_eq!(kinds, [alone, alone, alone, Kind::Fleet], "those behind it are part of it");
        assert_eq!((events[3].devices, events[3].first), (10, at(0)));
        let now = watch.going_on();
        assert_eq!((now[0].kind, now[0].devices, now[0].count), (Kind::Fleet, 37, 37));
        assert_eq!(watch.members(events[3].storm).len(), 37);
        let drawn = watch.timeline(events[3].storm).unwrap();
        assert_eq!(drawn.curves[0].counts.iter().sum::<u32>(), 37);
        // It goes on as long as any of them does; those told alone hear of their own end.
        let goes_on = (1..10).flat_map(|n| storm_of(&mut watch, n * 300, "@u20:x", "D"));
        assert_eq!(changes(&goes_on.collect::<Vec<_>>()), [Change::Ended; 3]);
        assert_eq!(changes(&watch.tick(at(3300))), [Change::Ended]);
        // Behind its end one of them is a storm of its own.
        assert_eq!(storm_of(&mut watch, 3400, "@u20:x", "D")[0].kind, Kind::OtkConflict);
    }

    #[test]
    fn what_might_become_a_crowd_is_held_back() {
        let mut watch = Watch::new(Thresholds::default());
        let mut events = Vec::new();
        for n in 0..6 {
            events.extend(storm_of(&mut watch, n, &format!("@u{n}:x"), "D"));
        }
        assert_eq!(events.len(), 3);
        assert!(watch.tick(at(200)).is_empty());
        let told = watch.tick(at(310));
        let held: Vec<_> = told.iter().filter(|event| event.storm > 3).collect();
        let held: Vec<_> = held.iter().map(|event| (event.storm, event.change)).collect();
        let started = Change::Started;
        assert_eq!(held, [(4, started), (5, started), (6, started)], "no crowd came");
        // Their verdicts are looked at again a pause after that, as of any other storm.
        for n in 3..6 {
            let told = storm_of(&mut watch, 500 + n, &format!("@u{n}:x"), "D");
            assert!(told.iter().all(|event| event.storm < 4), "{told:?}");
        }
        let again = watch.tick(at(611));
        let again = again.iter().filter(|event| event.change == Change::Cause);
        assert_eq!(again.map(|event| event.storm).filter(|storm| *storm > 3).count(), 3);
    }

    #[test]
    fn what_is_held_back_is_told_before_it_is_over() {
        // An end comes sooner here than a crowd is waited for.
        let quiet = SignedDuration::from_secs(10);
        let mut watch = Watch::new(Thresholds { quiet, ..Thresholds::default() });
        for n in 0..4 {
            storm_of(&mut watch, 0, &format!("@u{n}:x"), "D");
        }
        let before: Vec<_> = (1..300).flat_map(|second| watch.tick(at(second))).collect();
        assert!(before.iter().all(|event| event.storm < 4), "{before:?}");
        let told: Vec<_> = (300..4000).flat_map(|second| watch.tick(at(second))).collect();
        let told: Vec<_> = told.into_iter().filter(|event| event.storm == 4).collect();
        assert_eq!(changes(&told), [Change::Started, Change::Ended]);
    }

    #[test]
    fn at_the_end_of_a_log_what_is_held_back_is_told() {
        let mut watch = Watch::new(Thresholds::default());
        for n in 0..5 {
            storm_of(&mut watch, n, &format!("@u{n}:x"), "D");
        }
        let held = watch.release();
        let told: Vec<_> = held.iter().map(|event| (event.storm, event.change)).collect();
        assert_eq!(told, [(4, Change::Started), (5, Change::Started)]);
        assert_eq!((held[0].count, held[0].at), (3, at(4)));
        assert!(watch.release().is_empty());
        assert!(watch.tick(at(400)).iter().all(|event| event.change == Change::Cause));
    }

    #[test]
    fn a_user_s_devices_are_one_storm() {
        let mut watch = Watch::new(Thresholds::default());
        assert_eq!(changes(&storm_of(&mut watch, 0, "@a:x", "D")), [Change::Started]);
        assert!(storm_of(&mut watch, 10, "@a:x", "E").is_empty());
        assert_eq!(changes(&storm_of(&mut watch, 20, "@ab:x", "F")), [Change::Started]);
        let events: Vec<_> =
            (1..8).flat_map(|n| storm_of(&mut watch, n * 100, "@a:x", "E")).collect();
        let spread = events.iter().find(|event| event.change == Change::Spread).unwrap();
        assert_eq!((spread.storm, spread.devices, spread.count), (1, 2, 24));
        let ends = watch.tick(at(1400));
        let ends: Vec<_> = ends.iter().filter(|event| event.change == Change::Ended).collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
    }

    #[test]
    fn another_verdict_is_looked_for_and_told_within_the_bounds() {
        let mut watch = Watch::new(Thresholds::default());
        storm_of(&mut watch, 0, "@a:x", "D");
        let (mut looks, mut told) = (0, 0);
        for second in (10..40_000).step_by(10) {
            let events = storm_of(&mut watch, second, "@a:x", "D");
            looks += events.iter().filter(|event| event.change == Change::Cause).count();
            let may = events.iter().any(|event| event.change == Change::Cause)
                && watch.spend(1, at(second));
            told += usize::from(may);
        }
        assert!(looks >= 6, "{looks}");
        assert!((1..=3).contains(&told), "{told}");
        assert!(!watch.spend(2, at(50_000)), "no such storm");
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
