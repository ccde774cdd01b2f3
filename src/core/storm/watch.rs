//! The storm watch: turns events from logs, and time, into news of storms.
//!
//! `crowd` combines storms that start together; `database_polls` counts what polls of the database show.

use jiff::{SignedDuration, Timestamp};

use super::event::{Change, Event, Id, StormKind, Whose, told_as};
use super::poll_state::UNSEEN;
use super::storm_state::{StormState, Watched};
use super::time_series::Measure;
use super::timeline::Timeline;
use super::trigger::Trigger;
use super::watch_state::StormWatch;
use crate::evidence::log_event::{LogEvent, What};

impl StormWatch {
    /// Processes one event. A time before the newest counts as the newest: lines can be a few seconds late.
    pub fn see(&mut self, log_event: LogEvent) -> Vec<Event> {
        let at = self.now.map_or(log_event.at, |now| now.max(log_event.at));
        let count = log_event.count;
        let mut events = self.tick(at);
        let within = self.thresholds.within;
        let enough = self.thresholds.refusals;
        match log_event.what {
            What::Refused { user, device, key } => {
                let id = (StormKind::OtkConflict, Whose::Device { user, device });
                let times = (at, count, within, enough);
                let before = self.accepted_before(&id.1, at);
                let watched = self.watched(&id, at);
                let repeats = watched.refused(Trigger::Key(key), times);
                if let Some((since, keys)) = before.filter(|_| watched.series.is_none()) {
                    watched.draw(since, Measure::Second, keys);
                }
                watched.draw(at, Measure::Trouble, count);
                self.count(&id, (at, count), repeats, &mut events);
            }
            What::TooLarge { user, device } => {
                let id = (StormKind::OtkFlood, Whose::Device { user, device });
                let watched = self.watched(&id, at);
                let repeats = watched.repeats(Trigger::Unnamed, (at, count, within, enough));
                watched.draw(at, Measure::Trouble, count);
                self.count(&id, (at, count), repeats, &mut events);
            }
            What::Accepted { user, device } => {
                self.accepted(Whose::Device { user, device }, (at, count), &mut events);
            }
            What::Claimed { user, device } => {
                let whose = Whose::Device { user, device };
                self.beside(&whose, (at, count), Measure::Third);
                if let Some(watched) = self.watched.get_mut(&(StormKind::OtkFlood, whose)) {
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

    /// Lets time pass: ends storms that were silent long enough, and announces those that were held back.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Event> {
        // Ends take minutes, so a check per second is enough.
        if self.now.is_some_and(|last| now.duration_since(last) < SignedDuration::from_secs(1)) {
            return Vec::new();
        }
        self.now = Some(now);
        let quiet = self.thresholds.quiet;
        let pause = self.thresholds.pause;
        let flap = self.thresholds.flap;
        // After this time a returning storm is a new one.
        let for_good = flap.saturating_add(SignedDuration::from_secs(1));
        let mut events = Vec::new();
        for (id, watched) in &mut self.watched {
            let (Some(storm), Some(last)) = (&mut watched.storm, watched.last) else { continue };
            if storm.ended {
                continue;
            }
            if let Some(until) = storm.held_until() {
                // Until it is announced, neither its end nor a check of its verdict is due.
                if until > now {
                    continue;
                }
                self.next += 1;
                storm.number_as(self.next, now);
                events.extend(storm.tell(id, Change::Started, now, last));
            }
            let mut wait = UNSEEN;
            if !id.0.is_polled() {
                wait = quiet.checked_mul(1 << storm.resumed.min(5)).unwrap_or(quiet);
            }
            if !storm.may_come_back(now) {
                wait = wait.max(for_good);
            }
            if now.duration_since(last) >= wait {
                storm.ended = true;
                events.extend(storm.tell(id, Change::Ended, now, last));
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

    /// An additional message, about a changed verdict. Returns whether it is allowed.
    pub fn spend(&mut self, storm: u64, at: Timestamp) -> bool {
        let mut storms = self.watched.values_mut().filter_map(|watched| watched.storm.as_mut());
        let known = storms.find(|known| known.number == storm && !known.ended);
        known.is_some_and(|known| known.may_tell(Change::Cause, at))
    }

    /// Whether another storm represents this one.
    pub fn is_part(&self, storm: u64) -> bool {
        let mut storms = self.watched.values().filter_map(|watched| watched.storm.as_ref());
        storms.any(|known| known.number == storm && known.joined.is_some())
    }

    /// Ongoing storms that were announced, as they are now; worst first.
    pub fn going_on(&self) -> Vec<Event> {
        let mut all: Vec<_> = self
            .watched
            .iter()
            .filter_map(|(id, watched)| {
                let told = |storm: &&StormState| storm.is_told() && !storm.ended;
                let storm = watched.storm.as_ref().filter(told)?;
                let last = watched.last?;
                Some(storm.event(id, Change::Worse, self.now.unwrap_or(last), last))
            })
            .collect();
        all.sort_by_key(|event| std::cmp::Reverse((event.devices, event.count)));
        all
    }

    /// The timeline of a storm, for a picture.
    pub fn timeline(&self, storm: u64) -> Option<Timeline> {
        let of = |(id, watched): (&Id, &Watched)| {
            let told = watched.storm.as_ref().filter(|known| known.number == storm)?;
            watched.series.as_ref()?.timeline(told_as(id), &told.trigger)
        };
        self.watched.iter().find_map(of)
    }

    /// The devices of an alert about many, the earliest first.
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
        self.beside(&whose, seen, Measure::Second);
        let sustained = self.thresholds.sustained;
        let enough = self.thresholds.surplus;
        let id = (StormKind::OtkFlood, whose);
        let before = self.watched.get(&id).and_then(|watched| watched.last);
        let watched = self.watched(&id, at);
        let surplus = watched.add(count, at, sustained);
        if surplus > enough / 4 && watched.series.is_none() {
            watched.draw(at, Measure::Second, surplus);
        }
        // A device that replaces claimed keys normally does not prolong a flood.
        if surplus <= enough && watched.storm.is_some() {
            watched.last = before;
            return;
        }
        self.count(&id, seen, surplus > enough, events);
    }

    /// The recently accepted keys of a device: keys of an old account are uploaded at the start of a storm.
    fn accepted_before(&self, whose: &Whose, at: Timestamp) -> Option<(Timestamp, u64)> {
        let uploads = self.watched.get(&(StormKind::OtkFlood, whose.clone()))?;
        let since =
            uploads.since.filter(|since| at.duration_since(*since) < self.thresholds.within)?;
        Some((since, uploads.surplus)).filter(|(_, keys)| *keys > 0)
    }

    /// Adds a device's other activity to the pictures.
    fn beside(&mut self, whose: &Whose, (at, count): (Timestamp, u64), part: Measure) {
        for kind in [StormKind::OtkConflict, StormKind::OtkFlood] {
            if let Some(watched) = self.watched.get_mut(&(kind, whose.clone()))
                && watched.series.is_some()
            {
                watched.draw(at, part, count);
            }
        }
    }
}
