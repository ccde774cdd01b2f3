//! The pending messages of one storm → their order: one first message, and the rest in its thread, in the order in
//! which they became due. Reads the ledger and sends nothing.

use ruma::EventId;

use crate::store::{Due, Owed};
use kestrel_core::storm::Change;

/// Whether a pending message about a storm can be worded now, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlertTurn {
    /// An earlier one about the same storm is not worded yet: this one waits, or it could become a second
    /// first message.
    Wait,
    /// Nothing to post: a storm with a first message begins, or one without ends.
    Nothing,
    /// The storm has no first message: this one is it.
    First,
    /// The storm has its first message, in the room or worded and waiting for the homeserver.
    Later,
}

/// The turn of one pending message, given all pending ones. `has_root` says whether the storm's first message is in
/// the room.
pub(crate) fn turn(one: &Owed, change: Change, owed: &[Owed], has_root: bool) -> AlertTurn {
    let mut earlier = owed.iter().filter(|other| other.id < one.id && same_storm(one, other));
    if earlier.clone().any(|other| other.text.is_none()) {
        return AlertTurn::Wait;
    }
    let begun = has_root || earlier.next().is_some();
    match change {
        Change::Started if begun => AlertTurn::Nothing,
        Change::Ended if !begun => AlertTurn::Nothing,
        _ if begun => AlertTurn::Later,
        _ => AlertTurn::First,
    }
}

/// Where a worded message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement<'a> {
    /// Nowhere: the storm ended before the room heard of it.
    Nowhere,
    /// Into the room, as the storm's first message.
    First,
    /// It is the first message and in the room already: what belongs to it may be missing.
    Finish(&'a EventId),
    /// Into the thread of the first message.
    Thread(&'a EventId),
}

/// Where a message about a change goes. A storm that has a first message never gets another; `opens` says
/// whether this message was worded as one.
pub(crate) fn placement(change: Change, opens: bool, root: Option<&EventId>) -> Placement<'_> {
    match root {
        None if change == Change::Ended => Placement::Nowhere,
        None => Placement::First,
        Some(root) if opens => Placement::Finish(root),
        Some(root) => Placement::Thread(root),
    }
}

/// Whether two pending messages are about the same storm.
pub(crate) fn same_storm(one: &Owed, other: &Owed) -> bool {
    match (&one.due, &other.due) {
        (Due::Storm(one), Due::Storm(other)) => one.storm == other.storm,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! The room and the ledger as a model, in every order of changes, and with a crash after every step.

    use jiff::Timestamp;
    use ruma::{OwnedEventId, room_id};

    use super::*;
    use crate::bot::messages::outgoing_message::OutgoingMessage;
    use crate::store::{Ledger, Step};
    use kestrel_core::render::Reply;
    use kestrel_core::storm::{Event, StormKind, Whose};

    const CHANGES: [Change; 6] = [
        Change::Started,
        Change::Worse,
        Change::Spread,
        Change::Cause,
        Change::Resumed,
        Change::Ended,
    ];

    fn event(storm: u64, change: Change) -> Event {
        let at = Timestamp::from_second(1_795_348_000).unwrap();
        Event {
            at,
            storm,
            change,
            kind: StormKind::OtkConflict,
            whose: Whose::Address("203.0.113.7".into()),
            trigger: "a:1".into(),
            count: 3,
            devices: 1,
            first: at,
            last: at,
        }
    }

    /// A room that takes each transaction once, as a homeserver does.
    #[derive(Default)]
    struct Room {
        /// Transaction, storm, and what it is.
        said: Vec<(i64, u64, &'static str)>,
    }

    impl Room {
        fn post(&mut self, id: i64, storm: u64, what: &'static str) -> OwnedEventId {
            if !self.said.iter().any(|(known, _, as_what)| (*known, *as_what) == (id, what)) {
                self.said.push((id, storm, what));
            }
            OwnedEventId::try_from(format!("${what}-{id}")).unwrap()
        }

        fn count(&self, storm: u64, what: &str) -> usize {
            self.said.iter().filter(|(_, of, is)| *of == storm && *is == what).count()
        }
    }

    /// One round as the sender does it; ends after so many steps, as a crash would.
    fn round(ledger: &Ledger, room: &mut Room, settled: bool, mut steps: u32) {
        let mut lives = || {
            steps = steps.saturating_sub(1);
            steps > 0
        };
        let rooted = |storm| ledger.storm(storm).unwrap().and_then(|known| known.root);
        for one in ledger.owed().unwrap().iter().filter(|one| one.text.is_none()) {
            let Due::Storm(event) = &one.due else { continue };
            // A beginning is judged a little later than everything else.
            if event.change == Change::Started && !settled {
                continue;
            }
            let has_root = rooted(event.storm).is_some();
            let turn = turn(one, event.change, &ledger.owed().unwrap(), has_root);
            let reply = Reply { plain: String::new(), html: String::new() };
            let message = OutgoingMessage {
                opens: turn == AlertTurn::First,
                ..OutgoingMessage::quiet(&reply)
            };
            match turn {
                AlertTurn::Wait => continue,
                AlertTurn::Nothing => ledger.settle(one.id).unwrap(),
                AlertTurn::First | AlertTurn::Later => {
                    ledger.compose(one.id, &message.text()).unwrap()
                }
            }
            if !lives() {
                return;
            }
        }
        for one in ledger.owed().unwrap() {
            let Due::Storm(event) = &one.due else { continue };
            let Some(message) = one.text.as_deref().and_then(OutgoingMessage::read) else {
                continue;
            };
            let root = rooted(event.storm).map(|(_, root)| root);
            let id = one.id;
            let storm = event.storm;
            match placement(event.change, message.opens, root.as_deref()) {
                Placement::Nowhere => {}
                Placement::First => {
                    let root = room.post(id, storm, "root");
                    if !lives() {
                        return;
                    }
                    ledger.rooted(storm, room_id!("!ops:x"), &root).unwrap();
                    if !lives() {
                        return;
                    }
                    room.post(id, storm, "buttons");
                }
                Placement::Finish(_) => drop(room.post(id, storm, "buttons")),
                Placement::Thread(_) => drop(room.post(id, storm, "thread")),
            }
            if !lives() {
                return;
            }
            ledger.settle(id).unwrap();
        }
    }

    /// Numbers that only look random.
    fn dice(seed: &mut u64, sides: u64) -> u64 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % sides
    }

    #[test]
    fn a_storm_has_one_first_message_whatever_is_owed_and_whenever_it_crashes() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let mut roots = 0;
        let mut seed = 7;
        for storm in 1..=150 {
            let mut room = Room::default();
            for _ in 0..12 {
                let changes: Vec<_> =
                    (0..dice(&mut seed, 3)).map(|_| CHANGES[dice(&mut seed, 6) as usize]).collect();
                let events: Vec<_> =
                    changes.into_iter().map(|change| event(storm, change)).collect();
                let owed: Vec<_> = events.iter().cloned().map(Due::Storm).collect();
                ledger.record(&Step { storms: &events, owed: &owed, ..Step::default() }).unwrap();
                let settled = dice(&mut seed, 2) == 0;
                round(&ledger, &mut room, settled, dice(&mut seed, 9) as u32);
            }
            for _ in 0..3 {
                round(&ledger, &mut room, true, u32::MAX);
            }
            assert!(ledger.owed().unwrap().is_empty(), "storm {storm}: something stays owed");
            let first = room.count(storm, "root");
            let buttons = room.count(storm, "buttons");
            assert!(first <= 1, "storm {storm} has {first} first messages: {:?}", room.said);
            assert_eq!(buttons, first, "storm {storm}: {:?}", room.said);
            let threaded = room.said.iter().position(|(_, _, what)| *what == "thread");
            let begun = room.said.iter().position(|(_, _, what)| *what == "root");
            assert!(threaded.is_none() || begun < threaded, "storm {storm}: {:?}", room.said);
            roots += first;
        }
        assert!(roots > 100, "too little happened: {roots}");
    }

    #[test]
    fn what_came_first_is_worded_first() {
        let owed = |id, change, text: Option<&str>| Owed {
            id,
            due: Due::Storm(event(1, change)),
            text: text.map(str::to_owned),
        };
        let start = owed(1, Change::Started, None);
        let cause = owed(2, Change::Cause, None);
        let all = [start.clone(), cause.clone()];
        assert_eq!(turn(&start, Change::Started, &all, false), AlertTurn::First);
        assert_eq!(turn(&cause, Change::Cause, &all, false), AlertTurn::Wait);
        let worded = [owed(1, Change::Started, Some("{}")), cause.clone()];
        assert_eq!(turn(&cause, Change::Cause, &worded, false), AlertTurn::Later);
        assert_eq!(turn(&cause, Change::Cause, &worded[1..], true), AlertTurn::Later);
        assert_eq!(turn(&cause, Change::Cause, &worded[1..], false), AlertTurn::First);
        // What says nothing.
        assert_eq!(turn(&start, Change::Started, &all, true), AlertTurn::Nothing);
        assert_eq!(turn(&start, Change::Ended, &all, false), AlertTurn::Nothing);
        // Another storm's message holds nothing up.
        let other = Owed { due: Due::Storm(event(2, Change::Worse)), ..cause };
        assert_eq!(turn(&other, Change::Worse, &all, false), AlertTurn::First);
    }
}
