//! Combines storms that start together into one alert: a user's devices, or a crowd of devices or addresses.
//!
//! The first few of a crowd are announced at once, because nobody knows yet that there will be more. The next
//! are held back until it is a crowd, or none came.

use jiff::Timestamp;

use super::event::{Change, Event, Id, StormKind, Whose};
use super::storm_state::{StormState, Watched};
use super::time_series::Measure;
use super::watch_state::StormWatch;

/// This many that start together are announced one by one.
const ALONE: usize = 3;

impl StormWatch {
    /// Counts into the subject's storm, starts one if it repeats, and reports news.
    pub(super) fn count(
        &mut self,
        id: &Id,
        (at, count): (Timestamp, u64),
        repeats: bool,
        events: &mut Vec<Event>,
    ) {
        let pause = self.thresholds.pause;
        let orphan = self.is_orphan(id);
        let Some(watched) = self.watched.get_mut(id) else { return };
        let Some(storm) = watched.storm.as_mut().filter(|_| !(orphan && repeats)) else {
            if repeats {
                watched.storm = Some(watched.brew(at, count));
                self.begin(id, at, events);
            }
            return;
        };
        storm.count += count;
        let change = if !storm.ended {
            storm.worse(at, pause)
        } else if repeats {
            Some(storm.resume())
        } else {
            None
        };
        events.extend(change.and_then(|change| storm.tell(id, change, at, at)));
        if let Some(leader) = storm.joined.clone().filter(|_| !storm.ended) {
            self.goes_on(&leader, at, count, events);
        }
    }

    /// A storm starts: announced by itself, held back, or part of another.
    pub(super) fn begin(&mut self, id: &Id, at: Timestamp, events: &mut Vec<Event>) {
        if let Some(leader) = self.same_user(id) {
            self.join(id, &leader);
            if let Some(storm) = self.storm_mut(&leader) {
                (storm.devices, storm.spread) = (storm.devices + 1, true);
            }
            let count = self.storm(id).map_or(0, |storm| storm.count);
            return self.goes_on(&leader, at, count, events);
        }
        let crowd = (crowd_of(id.0), Whose::Everybody);
        let together = self.thresholds.together;
        let starts = self.starts.entry(crowd.0).or_default();
        starts.push_back(at);
        while starts.front().is_some_and(|start| at.duration_since(*start) > together) {
            starts.pop_front();
        }
        let started = starts.len();
        let goes_on = self.watched.get(&crowd).and_then(|one| one.storm.as_ref());
        if goes_on.is_some_and(|storm| !storm.ended) {
            self.join(id, &crowd);
            return self.grows(&crowd, at, 1, events);
        }
        if started >= self.thresholds.fleet {
            return self.gather(&crowd, at, events);
        }
        let number = self.next + 1;
        let Some(storm) = self.storm_mut(id) else { return };
        if started > ALONE {
            storm.held = at.checked_add(together).ok();
            return;
        }
        storm.number_as(number, at);
        events.extend(storm.tell(id, Change::Started, at, at));
        self.next = number;
    }

    /// Announces the storms that are still held back, as if no crowd followed. For a log that was read to the
    /// end.
    pub fn release(&mut self) -> Vec<Event> {
        let now = self.now;
        let held = |storm: &&mut StormState| !storm.ended && storm.held_until().is_some();
        let mut events = Vec::new();
        for (id, watched) in &mut self.watched {
            let Some(last) = watched.last else { continue };
            let Some(storm) = watched.storm.as_mut().filter(held) else { continue };
            let at = now.unwrap_or(last);
            self.next += 1;
            storm.number_as(self.next, at);
            events.extend(storm.tell(id, Change::Started, at, last));
        }
        events
    }

    /// Part of another storm continues, and so does that storm.
    pub(super) fn goes_on(
        &mut self,
        leader: &Id,
        at: Timestamp,
        count: u64,
        events: &mut Vec<Event>,
    ) {
        if leader.1 == Whose::Everybody {
            // Its count is the number of its members.
            if let Some(watched) = self.watched.get_mut(leader) {
                watched.last = Some(at);
            }
            return;
        }
        let watched = self.watched(leader, at);
        if watched.series.is_some() {
            watched.draw(at, Measure::Trouble, count);
        }
        self.count(leader, (at, count), true, events);
    }

    /// Combines all that started together into one alert.
    fn gather(&mut self, crowd: &Id, at: Timestamp, events: &mut Vec<Event>) {
        let together = self.thresholds.together;
        let recent: Vec<_> = self
            .watched
            .iter()
            .filter(|((kind, whose), one)| {
                let began = |storm: &StormState| {
                    !storm.ended
                        && storm.joined.is_none()
                        && at.duration_since(storm.began) <= together
                };
                crowd_of(*kind) == crowd.0
                    && *whose != Whose::Everybody
                    && one.storm.as_ref().is_some_and(began)
            })
            .map(|(id, one)| (id.clone(), one.storm.as_ref().map_or(at, |storm| storm.first)))
            .collect();
        let first = recent.iter().map(|(_, first)| *first).min().unwrap_or(at);
        let trigger =
            recent.first().and_then(|(id, _)| self.storm(id)).map(|storm| storm.trigger.clone());
        let watched = self.watched(crowd, at);
        watched.since = Some(first);
        for (_, first) in &recent {
            watched.draw(*first, Measure::Trouble, 1);
        }
        let known = watched.storm.is_some();
        if !known {
            let mut storm = watched.brew(at, recent.len() as u64);
            (storm.first, storm.devices) = (first, recent.len() as u64);
            storm.trigger = trigger.unwrap_or_default();
            watched.storm = Some(storm);
        }
        for (id, _) in &recent {
            self.join(id, crowd);
        }
        if known {
            return self.grows(crowd, at, recent.len() as u64, events);
        }
        self.next += 1;
        let number = self.next;
        if let Some(storm) = self.storm_mut(crowd) {
            storm.number_as(number, at);
            events.extend(storm.tell(crowd, Change::Started, at, at));
        }
    }

    /// Adds members to a crowd's storm.
    fn grows(&mut self, crowd: &Id, at: Timestamp, more: u64, events: &mut Vec<Event>) {
        let watched = self.watched(crowd, at);
        if let Some(storm) = &mut watched.storm {
            storm.devices += more;
        }
        if more == 1 {
            watched.draw(at, Measure::Trouble, 1);
        }
        self.count(crowd, (at, more), true, events);
    }

    fn join(&mut self, id: &Id, leader: &Id) {
        if let Some(storm) = self.storm_mut(id) {
            (storm.joined, storm.held) = (Some(leader.clone()), None);
        }
    }

    /// The storm of another device of the same user that represents all of them.
    fn same_user(&self, id: &Id) -> Option<Id> {
        let Whose::Device { user, .. } = &id.1 else { return None };
        let from = (id.0, Whose::Device { user: user.clone(), device: "".into() });
        let same = |(kind, whose): &Id| {
            *kind == id.0 && matches!(whose, Whose::Device { user: of, .. } if of == user)
        };
        let mut others = self.watched.range(from..).take_while(|(other, _)| same(other));
        let speaks = |one: &Watched| {
            one.storm.as_ref().is_some_and(|storm| {
                !storm.ended && storm.joined.is_none() && (storm.is_told() || storm.held.is_some())
            })
        };
        others.find(|(other, one)| *other != id && speaks(one)).map(|(other, _)| other.clone())
    }

    /// Whether the storm that represents this one has ended while this one was silent.
    pub(super) fn is_orphan(&self, id: &Id) -> bool {
        let Some(storm) = self.storm(id).filter(|storm| storm.ended) else { return false };
        let over = |leader: &Id| self.storm(leader).is_none_or(|leader| leader.ended);
        storm.joined.as_ref().is_some_and(over)
    }

    fn storm(&self, id: &Id) -> Option<&StormState> {
        self.watched.get(id).and_then(|one| one.storm.as_ref())
    }

    fn storm_mut(&mut self, id: &Id) -> Option<&mut StormState> {
        self.watched.get_mut(id).and_then(|one| one.storm.as_mut())
    }
}

/// The kind of alert for many storms of a kind.
fn crowd_of(kind: StormKind) -> StormKind {
    match kind {
        StormKind::OtkConflict | StormKind::OtkFlood | StormKind::Fleet => StormKind::Fleet,
        StormKind::Delay => StormKind::Delay,
        // Storms from the database have crowds of their own: see `database_polls`.
        StormKind::DeadIdentity | StormKind::Backlog => kind,
        // There is only one at a time, so it never becomes a crowd.
        StormKind::Auth => kind,
    }
}
