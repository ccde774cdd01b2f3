//! Finds storms that no log line shows by polling the database: one-time keys of an old identity, and a
//! growing to-device backlog of an active device.
//!
//! What the first round finds is old: the survey reports it, alerts do not. A poll that did not cover a
//! device changes nothing for it, so a failing database neither starts nor ends a storm; silence in the log
//! does not end these storms either.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::event::{Change, Event, Id, StormKind, Whose};
use super::poll_state::{Dead, GROWTHS, Growth};
use super::storm_state::StormState;
use super::time_series::Measure;
use super::trigger::Trigger;
use super::watch_state::StormWatch;
use crate::evidence::poll::{Device, Poll, Waiting};

/// Consecutive polls that must show keys of an old identity, or no such keys any more.
const LOOKS: u8 = 2;
/// A growing backlog of this many messages is a storm.
const ENOUGH: u64 = 100;
/// The most devices that are remembered, of each kind. One poll reports some thousands at most.
const KEPT: usize = 2000;

/// A storm that starts.
struct New {
    id: Id,
    first: Timestamp,
    count: u64,
}

impl StormWatch {
    /// Processes one poll.
    pub fn polled(&mut self, poll: &Poll) -> Vec<Event> {
        let at = self.now.map_or(poll.at, |now| now.max(poll.at));
        let mut events = Vec::new();
        let mut begun = self.show_dead(poll);
        let mut over = self.miss_dead(poll);
        for waiting in poll.waiting.iter().flatten() {
            begun.extend(self.grow(waiting, at, &mut over, &mut events));
        }
        self.drain(poll, &mut over);
        for kind in [StormKind::DeadIdentity, StormKind::Backlog] {
            let (of_kind, rest) = begun.into_iter().partition(|new| new.id.0 == kind);
            begun = rest;
            self.start(kind, of_kind, at, &mut events);
        }
        for (id, left) in over {
            self.end(&id, left, at, &mut events);
        }
        self.end_crowds(at, &mut events);
        events
    }

    /// Records the devices with keys of an old identity; returns those that newly have them in consecutive
    /// polls.
    fn show_dead(&mut self, poll: &Poll) -> Vec<New> {
        let mut begun = Vec::new();
        for device in &poll.dead {
            let old = !self.polled.whole;
            if self.polled.dead.len() >= KEPT && !self.polled.dead.contains_key(device) {
                // A device that does not fit would look new later, so everything counts as old until all fit.
                self.polled.whole = false;
                continue;
            }
            let first = Dead { first: poll.at, shown: 0, missed: 0, settled: old };
            let dead = self.polled.dead.entry(device.clone()).or_insert(first);
            (dead.shown, dead.missed) = (dead.shown.saturating_add(1), 0);
            let first = dead.first;
            let new = !dead.settled && dead.shown >= LOOKS;
            dead.settled |= new;
            let Some(whose) = whose(device) else { continue };
            let id = (StormKind::DeadIdentity, whose);
            self.goes_on_at(&id, poll.at);
            if new && !self.is_refused(device) {
                begun.push(New { id, first, count: 1 });
            }
        }
        self.polled.begun |= poll.covered.as_ref().is_some_and(|covered| covered.after.is_none());
        if self.polled.begun && poll.ends() && self.polled.dead.len() < KEPT {
            self.polled.whole = true;
        }
        begun
    }

    /// Records the devices without such keys; returns those for which that is certain, with what is left.
    fn miss_dead(&mut self, poll: &Poll) -> Vec<(Id, u64)> {
        let shown: BTreeSet<_> = poll.dead.iter().chain(&poll.untested).collect();
        let mut over = Vec::new();
        self.polled.dead.retain(|device, dead| {
            if !poll.covers(device) || shown.contains(device) {
                return true;
            }
            (dead.shown, dead.missed) = (0, dead.missed + 1);
            let gone = !dead.settled || dead.missed >= LOOKS;
            if gone {
                over.extend(whose(device).map(|whose| ((StormKind::DeadIdentity, whose), 0)));
            }
            !gone
        });
        over
    }

    /// Updates a backlog; starts a storm if it grew often enough.
    fn grow(
        &mut self,
        waiting: &Waiting,
        at: Timestamp,
        over: &mut Vec<(Id, u64)>,
        events: &mut Vec<Event>,
    ) -> Option<New> {
        let id = (StormKind::Backlog, whose(&waiting.of)?);
        let count = waiting.count;
        let pause = self.thresholds.pause;
        let known = &mut self.polled.waiting;
        if known.len() >= KEPT && !known.contains_key(&waiting.of) {
            return None;
        }
        let none = Growth { steps: Vec::new(), peak: 0 };
        let growth = known.entry(waiting.of.clone()).or_insert(none);
        growth.step(waiting, at);
        let going_on = self.watched.get_mut(&id).filter(|watched| watched.goes_on());
        let Some(watched) = going_on else {
            let begins = growth.steps.len() > GROWTHS && count >= ENOUGH;
            let first = growth.steps.first().map_or(at, |(first, _)| *first);
            growth.peak = count;
            return begins.then_some(New { id, first, count });
        };
        watched.level(at, count);
        watched.last = Some(at);
        let storm = watched.storm.as_mut()?;
        growth.peak = growth.peak.max(count);
        if count < growth.peak.div_ceil(2) {
            growth.steps.clear();
            over.push((id, count));
            return None;
        }
        storm.count = count;
        let leader = storm.joined.clone();
        let change = storm.worse(at, pause);
        events.extend(change.and_then(|change| storm.tell(&id, change, at, at)));
        if let Some(leader) = leader {
            self.goes_on_at(&leader, at);
        }
        None
    }

    /// Devices that a poll covered and did not report: they fetched their messages, or are offline, and their
    /// messages wait as they should.
    fn drain(&mut self, poll: &Poll, over: &mut Vec<(Id, u64)>) {
        let Some(waiting) = &poll.waiting else { return };
        let listed: BTreeSet<_> = waiting.iter().map(|waiting| &waiting.of).collect();
        self.polled.waiting.retain(|device, _| {
            let gone = poll.covers(device) && !listed.contains(device);
            if gone {
                over.extend(whose(device).map(|whose| ((StormKind::Backlog, whose), 0)));
            }
            !gone
        });
    }

    /// Announces the storms that start: one by one, or many as one.
    fn start(&mut self, kind: StormKind, begun: Vec<New>, at: Timestamp, events: &mut Vec<Event>) {
        let crowd = (kind, Whose::Everybody);
        let many = begun.len() >= self.thresholds.fleet;
        let first = begun.iter().map(|new| new.first).min().unwrap_or(at);
        let count = begun.len() as u64;
        for new in begun {
            let steps = self.steps(&new.id);
            let watched = self.watched(&new.id, at);
            steps.iter().for_each(|(at, count)| watched.level(*at, *count));
            watched.since = Some(new.first);
            let again = watched.storm.take().filter(|storm| storm.is_told() && !many);
            let known = again.is_some();
            let mut storm = again.unwrap_or_else(|| watched.brew(at, new.count));
            storm.count = new.count;
            storm.joined = many.then(|| crowd.clone());
            watched.storm = Some(storm);
            if !many {
                self.tell_of(&new.id, known, at, events);
            }
        }
        if many {
            self.crowd(&crowd, (first, count), at, events);
        }
    }

    /// One alert for many.
    fn crowd(
        &mut self,
        crowd: &Id,
        (first, count): (Timestamp, u64),
        at: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let pause = self.thresholds.pause;
        let watched = self.watched(crowd, at);
        watched.draw(at, Measure::Trouble, count);
        if let Some(storm) = watched.storm.as_mut().filter(|storm| !storm.ended) {
            (storm.count, storm.devices) = (storm.count + count, storm.devices + count);
            storm.spread = true;
            let change = storm.worse(at, pause);
            events.extend(change.and_then(|change| storm.tell(crowd, change, at, at)));
            return;
        }
        watched.since = Some(first);
        let again = watched.storm.take();
        let known = again.is_some();
        let mut storm = again.unwrap_or_else(|| watched.brew(at, count));
        (storm.count, storm.devices) = (count, count);
        storm.trigger = trigger(crowd.0);
        watched.storm = Some(storm);
        self.tell_of(crowd, known, at, events);
    }

    /// Announces that a storm started, or came back.
    fn tell_of(&mut self, id: &Id, known: bool, at: Timestamp, events: &mut Vec<Event>) {
        let number = self.next + 1;
        let Some(storm) = self.watched.get_mut(id).and_then(|one| one.storm.as_mut()) else {
            return;
        };
        let change = if known { storm.resume() } else { Change::Started };
        if !known {
            storm.number_as(number, at);
            self.next = number;
        }
        events.extend(storm.tell(id, change, at, at));
    }

    /// Ends a storm, with what is left.
    fn end(&mut self, id: &Id, left: u64, at: Timestamp, events: &mut Vec<Event>) {
        let Some(watched) = self.watched.get_mut(id).filter(|watched| watched.goes_on()) else {
            return;
        };
        let last = watched.last.unwrap_or(at);
        let Some(storm) = &mut watched.storm else { return };
        storm.ended = true;
        if id.0 == StormKind::Backlog {
            storm.count = left;
        }
        events.extend(storm.tell(id, Change::Ended, at, last));
    }

    /// An alert about many ends when all of them have ended.
    fn end_crowds(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        for kind in [StormKind::DeadIdentity, StormKind::Backlog] {
            let crowd = (kind, Whose::Everybody);
            let is_part =
                |storm: &StormState| !storm.ended && storm.joined.as_ref() == Some(&crowd);
            let part = self.watched.values().any(|one| one.storm.as_ref().is_some_and(is_part));
            if !part {
                let left = self.watched.get(&crowd).and_then(|one| one.storm.as_ref());
                let left = left.map_or(0, |storm| storm.count);
                self.end(&crowd, left, at, events);
            }
        }
    }

    /// A storm continues, and so does the one that represents it.
    fn goes_on_at(&mut self, id: &Id, at: Timestamp) {
        let Some(watched) = self.watched.get_mut(id).filter(|watched| watched.goes_on()) else {
            return;
        };
        watched.last = watched.last.max(Some(at));
        if let Some(leader) = watched.storm.as_ref().and_then(|storm| storm.joined.clone()) {
            self.goes_on_at(&leader, at);
        }
    }

    /// The log reports the device's keys, now or lately: it is the same fault.
    fn is_refused(&self, device: &Device) -> bool {
        let Some(whose) = whose(device) else { return false };
        self.watched
            .get(&(StormKind::OtkConflict, whose))
            .is_some_and(|watched| watched.storm.is_some())
    }

    /// The counts that led to a backlog's storm.
    fn steps(&self, id: &Id) -> Vec<(Timestamp, u64)> {
        let Whose::Device { user, device } = &id.1 else { return Vec::new() };
        let device = Device { user: user.to_string(), device: device.to_string() };
        let growth = self.polled.waiting.get(&device).filter(|_| id.0 == StormKind::Backlog);
        growth.map(|growth| growth.steps.clone()).unwrap_or_default()
    }
}

/// The trigger of an alert about many.
fn trigger(kind: StormKind) -> Trigger {
    if kind == StormKind::Backlog { Trigger::Backlog } else { Trigger::DeadIdentity }
}

/// The subject of a device's storm; none for a user ID that the Matrix specification does not allow.
fn whose(device: &Device) -> Option<Whose> {
    let user = device.user.as_str().try_into().ok()?;
    Some(Whose::Device { user, device: device.device.as_str().into() })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::poll_state::UNSEEN;
    use super::*;
    use crate::evidence::log_event::{LogEvent, What};
    use crate::evidence::poll::{COUNTED, Covered};
    use crate::evidence::storm_thresholds::Thresholds;

    const EVERY: i64 = 900;

    fn at(poll: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + poll * EVERY).unwrap()
    }

    fn device(name: &str) -> Device {
        Device { user: format!("@{name}:x"), device: "D".into() }
    }

    /// A look at everybody; each backlog's device was seen just now.
    fn look(poll: i64, dead: &[&str], waiting: &[(&str, u64)]) -> Poll {
        let of = |(name, count): &(&str, u64)| Waiting {
            of: device(name),
            count: *count,
            last_seen: at(poll) - SignedDuration::from_secs(30),
        };
        Poll {
            at: at(poll),
            dead: dead.iter().map(|name| device(name)).collect(),
            untested: Vec::new(),
            waiting: Some(waiting.iter().map(of).collect()),
            covered: Some(Covered { after: None, to: None, devices: 9 }),
            failed: None,
        }
    }

    fn watch() -> StormWatch {
        let mut watch = StormWatch::new(Thresholds::default());
        assert!(watch.polled(&look(0, &[], &[])).is_empty());
        watch
    }

    fn changes(events: &[Event]) -> Vec<(StormKind, Change)> {
        events.iter().map(|event| (event.kind, event.change)).collect()
    }

    #[test]
    fn what_is_new_in_two_looks_is_a_storm_until_two_looks_miss_it() {
        let mut watch = StormWatch::new(Thresholds::default());
        let mut told = Vec::new();
        for poll in 0..3 {
            told.extend(watch.polled(&look(poll, &["old"], &[])));
        }
        assert!(told.is_empty(), "what was there before is old");
        told.extend(watch.polled(&look(3, &["old", "a", "blink"], &[])));
        assert!(told.is_empty());
        let begun = watch.polled(&look(4, &["old", "a"], &[]));
        assert_eq!(changes(&begun), [(StormKind::DeadIdentity, Change::Started)]);
        assert_eq!((begun[0].count, begun[0].first, begun[0].last), (1, at(3), at(4)));
        assert_eq!(Some(&begun[0].whose), whose(&device("a")).as_ref());
        // The log is silent for days, and a look that was not whole says nothing.
        for poll in 5..200 {
            assert!(watch.polled(&look(poll, &["old", "a"], &[])).is_empty());
            let told = watch.tick(at(poll) + SignedDuration::from_mins(14));
            assert!(told.iter().all(|event| event.change == Change::Cause), "{told:?}");
        }
        assert!(watch.polled(&Poll::failed(at(200), "it is down".into())).is_empty());
        assert!(watch.polled(&Poll::failed(at(201), "it is down".into())).is_empty());
        assert!(watch.polled(&look(202, &["old"], &[])).is_empty(), "one look may miss it");
        let mut aside = look(203, &["old"], &[]);
        aside.covered = Some(Covered { after: None, to: Some(Device::default()), devices: 1 });
        assert!(watch.polled(&aside).is_empty());
        aside = look(204, &["old"], &[]);
        aside.untested = vec![device("a")];
        assert!(watch.polled(&aside).is_empty());
        assert_eq!(watch.going_on().len(), 1);
        let over = watch.polled(&look(205, &["old"], &[]));
        assert_eq!(changes(&over), [(StormKind::DeadIdentity, Change::Ended)]);
        assert_eq!((over[0].storm, over[0].last), (begun[0].storm, at(199)));
    }

    #[test]
    fn the_first_round_may_take_several_looks() {
        let mut watch = StormWatch::new(Thresholds::default());
        let part = |poll, after: Option<&str>, to: Option<&str>, dead: &[&str]| Poll {
            covered: Some(Covered { after: after.map(device), to: to.map(device), devices: 1 }),
            ..look(poll, dead, &[])
        };
        let mut told = Vec::new();
        for round in 0..3 {
            told.extend(watch.polled(&part(round * 2, None, Some("m"), &["a"])));
            told.extend(watch.polled(&part(round * 2 + 1, Some("m"), None, &["z"])));
        }
        assert!(told.is_empty(), "{told:?}");
        // A round whose begin nobody remembers is none.
        let mut watch = StormWatch::new(Thresholds::default());
        for round in 0..3 {
            told.extend(watch.polled(&part(round * 2, Some("m"), None, &["z"])));
            told.extend(watch.polled(&part(round * 2 + 1, None, Some("m"), &["a"])));
        }
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn what_the_log_tells_is_not_told_twice() {
        let mut watch = watch();
        let of = device("a");
        let user = of.user.try_into().unwrap();
        let what = What::Refused { user, device: of.device.into(), key: "a:1".into() };
        let began = watch.see(LogEvent { at: at(1), count: 3, what });
        assert_eq!(changes(&began), [(StormKind::OtkConflict, Change::Started)]);
        for poll in 1..4 {
            assert!(watch.polled(&look(poll, &["a"], &[])).is_empty());
        }
        // What the database shows is no part of a crowd of the log's.
        let mut watch = self::watch();
        for poll in 1..3 {
            watch.polled(&look(poll, &["d", "e", "f"], &[]));
        }
        let crowd = (0..10).flat_map(|n| {
            let user = format!("@u{n}:x").try_into().unwrap();
            let device = "D".into();
            let key = "a:1".to_owned();
            watch.see(LogEvent { at: at(2), count: 3, what: What::Refused { user, device, key } })
        });
        let crowd: Vec<_> = crowd.collect();
        let fleet = crowd.iter().find(|event| event.kind == StormKind::Fleet).unwrap();
        assert_eq!(fleet.devices, 10, "{crowd:?}");
    }

    #[test]
    fn many_at_once_are_one_alert() {
        let mut watch = watch();
        let names: Vec<_> = (0..12).map(|n| format!("u{n:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert!(watch.polled(&look(1, &names, &[])).is_empty());
        let begun = watch.polled(&look(2, &names, &[]));
        assert_eq!(changes(&begun), [(StormKind::Fleet, Change::Started)]);
        let fleet = &begun[0];
        assert_eq!((fleet.devices, fleet.count, fleet.first), (12, 12, at(1)));
        assert_eq!(
            (fleet.whose.clone(), &fleet.trigger),
            (Whose::Everybody, &Trigger::DeadIdentity)
        );
        assert_eq!(watch.members(fleet.storm).len(), 12);
        assert_eq!(watch.timeline(fleet.storm).unwrap().curves[0].counts, [12]);
        // One more is told alone; those that heal are over with the last of them.
        let more: Vec<_> = names.iter().copied().chain(["z"]).collect();
        assert!(watch.polled(&look(3, &more, &[])).is_empty());
        let alone = watch.polled(&look(4, &more, &[]));
        assert_eq!(changes(&alone), [(StormKind::DeadIdentity, Change::Started)]);
        for poll in 5..9 {
            assert!(watch.polled(&look(poll, &["u00", "z"], &[])).is_empty());
        }
        assert!(watch.polled(&look(9, &["z"], &[])).is_empty());
        let over = watch.polled(&look(10, &["z"], &[]));
        assert_eq!(changes(&over), [(StormKind::Fleet, Change::Ended)]);
        assert_eq!((over[0].storm, over[0].count), (fleet.storm, 12));
    }

    #[test]
    fn a_backlog_that_grows_is_a_storm_until_half_is_fetched() {
        let mut watch = watch();
        let mut told = Vec::new();
        for (poll, count) in (1..).zip([20, 50, 90, 95]) {
            told.extend(watch.polled(&look(poll, &[], &[("a", count)])));
        }
        assert!(told.is_empty(), "it grew three times, and is small");
        let begun = watch.polled(&look(5, &[], &[("a", 110)]));
        assert_eq!(changes(&begun), [(StormKind::Backlog, Change::Started)]);
        assert_eq!((begun[0].count, begun[0].first), (110, at(2)));
        let mut told = watch.polled(&look(6, &[], &[("a", 400)]));
        told.extend(watch.polled(&look(7, &[], &[("a", 390)])));
        told.extend(watch.polled(&look(8, &[], &[("a", COUNTED)])));
        told.extend(watch.polled(&Poll { waiting: None, ..look(9, &[], &[]) }));
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(watch.going_on()[0].count, COUNTED);
        let drawn = watch.timeline(begun[0].storm).unwrap();
        assert_eq!(drawn.curves[0].name, "messages undelivered");
        let counts = &drawn.curves[0].counts;
        assert_eq!((counts.first(), counts.last()), (Some(&50), Some(&1001)));
        assert!(watch.tick(at(9)).iter().all(|event| event.change == Change::Cause));
        let over = watch.polled(&look(10, &[], &[("a", 500)]));
        assert_eq!(changes(&over), [(StormKind::Backlog, Change::Ended)]);
        assert_eq!(over[0].count, 500);
        assert!(watch.going_on().is_empty());
        assert!(watch.polled(&look(11, &[], &[("a", 300)])).is_empty());
    }

    #[test]
    fn one_that_is_fetched_whole_is_over_and_may_come_back() {
        let mut watch = watch();
        let grown = |watch: &mut StormWatch, from: i64| {
            let polls = (from..).zip([30, 60, 90, 120]);
            polls.flat_map(|(n, count)| watch.polled(&look(n, &[], &[("a", count)]))).collect()
        };
        let begun: Vec<_> = grown(&mut watch, 1);
        assert_eq!(changes(&begun), [(StormKind::Backlog, Change::Started)]);
        let over = watch.polled(&look(5, &[], &[]));
        assert_eq!((changes(&over), over[0].count), (vec![(StormKind::Backlog, Change::Ended)], 0));
        watch.tick(at(5));
        let again: Vec<_> = grown(&mut watch, 6);
        assert_eq!(changes(&again), [(StormKind::Backlog, Change::Resumed)]);
        assert_eq!((again[0].storm, again[0].count), (begun[0].storm, 120));
    }

    #[test]
    fn a_device_that_went_away_has_a_backlog_as_it_should() {
        let mut watch = watch();
        let mut told = Vec::new();
        for (poll, count) in (1..).zip([100, 200, 300, 400, 500, 600]) {
            let mut poll = look(poll, &[], &[("phone", count)]);
            // Within the hour, and not again.
            poll.waiting.as_mut().unwrap()[0].last_seen = at(1);
            told.extend(watch.polled(&poll));
        }
        assert!(told.is_empty(), "{told:?}");
        // One that stands still, however large, is no growth either; nor is one that drains and fills.
        let still = (7..20).flat_map(|poll| {
            let wave = 200 + (poll as u64 % 3) * 50;
            watch.polled(&look(poll, &[], &[("still", COUNTED), ("wave", wave)]))
        });
        assert_eq!(still.count(), 0);
    }

    #[test]
    fn beyond_the_count_what_grew_grows_on() {
        let mut watch = watch();
        let counts = (1..).zip([400, COUNTED, COUNTED, COUNTED]);
        let told: Vec<_> =
            counts.flat_map(|(n, count)| watch.polled(&look(n, &[], &[("a", count)]))).collect();
        assert_eq!(changes(&told), [(StormKind::Backlog, Change::Started)]);
    }

    #[test]
    fn what_nobody_looks_at_any_more_is_over_one_day() {
        let mut watch = watch();
        for poll in 1..3 {
            watch.polled(&look(poll, &["a"], &[]));
        }
        let over = |events: Vec<Event>| {
            let ended = |event: &&Event| event.change == Change::Ended;
            events.iter().filter(ended).count()
        };
        assert_eq!(over(watch.tick(at(2) + UNSEEN - SignedDuration::from_secs(2))), 0);
        assert_eq!(over(watch.tick(at(2) + UNSEEN)), 1);
    }

    #[test]
    fn worse_is_ten_times_as_many_and_a_week_is_few_messages() {
        let mut watch = watch();
        let mut told = Vec::new();
        for poll in 1..=4 {
            told.extend(watch.polled(&look(poll, &[], &[("a", 25 * poll as u64)])));
        }
        told.extend(watch.polled(&look(5, &[], &[("a", 900)])));
        told.extend(watch.polled(&look(6, &[], &[("a", COUNTED)])));
        let changes: Vec<_> = told.iter().map(|event| (event.change, event.count)).collect();
        assert_eq!(changes, [(Change::Started, 100), (Change::Worse, COUNTED)]);
        // It comes and goes for a week.
        let mut told = Vec::new();
        for poll in 7..700 {
            let count = 30 * (poll as u64 % 8);
            told.extend(watch.polled(&look(poll, &[], &[("a", count)])));
            watch.tick(at(poll));
        }
        assert!(told.len() <= 5 * 8, "{}", told.len());
        assert!(told.iter().all(|event| event.storm == 1), "one storm");
    }

    #[test]
    fn a_restart_goes_on_and_memory_is_bounded() {
        let mut watch = watch();
        watch.polled(&look(1, &["a"], &[]));
        let kept = serde_json::to_string(&watch).unwrap();
        let mut watch: StormWatch = serde_json::from_str(&kept).unwrap();
        let begun = watch.polled(&look(2, &["a"], &[]));
        assert_eq!(changes(&begun), [(StormKind::DeadIdentity, Change::Started)]);
        // Thousands at once are one alert, and those that do not fit are never new.
        let names: Vec<_> = (0..5000).map(|n| format!("u{n}")).collect();
        let mut dead: Vec<_> = names.iter().map(String::as_str).collect();
        let waiting: Vec<_> = dead.iter().map(|name| (*name, 500)).collect();
        let mut told = Vec::new();
        for poll in 3..6 {
            told.extend(watch.polled(&look(poll, &dead, &waiting)));
        }
        let ended = (StormKind::DeadIdentity, Change::Ended);
        assert_eq!(changes(&told), [(StormKind::Fleet, Change::Started), ended]);
        assert!(watch.polled.dead.len() <= KEPT && watch.polled.waiting.len() <= KEPT);
        dead.drain(..4000);
        for poll in 6..12 {
            told = watch.polled(&look(poll, &dead, &[]));
            assert!(told.iter().all(|event| event.change == Change::Ended), "{told:?}");
        }
        // A state of before there were looks is read too.
        let mut old: serde_json::Value = serde_json::from_str(&kept).unwrap();
        old.as_object_mut().unwrap().remove("polled");
        assert!(serde_json::from_value::<StormWatch>(old).is_ok());
    }
}
