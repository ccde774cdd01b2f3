//! What users did within the last hour → whether one more is allowed, and whether to report the limit.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::event_age::too_old;
use super::permission::CommandRefusal;

/// Button presses under storms per person and hour, and ticks in captures. Clients do not encrypt reactions, so a
/// stolen access token can press them at any rate; each 🔁 reads every source.
pub(super) const PRESSES: usize = 20;
pub(super) const TICKS: usize = 60;

/// The time between two replies to a member who may not command.
const COURTESY: Duration = Duration::from_secs(60 * 60);

/// How many such members are remembered. If there are more in one hour, the rest get no reply, so that nobody can
/// flood the room.
const MOST_REMEMBERED: usize = 1000;

/// Whether one more is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    Allowed,
    /// It is the first over the limit: say so. One more is allowed after `free`.
    JustExceeded {
        free: Timestamp,
    },
    /// It is over the limit, and that was said.
    Exceeded,
}

/// What each user did within the last hour. The users are of one homeserver, or named in the config.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    taken: HashMap<OwnedUserId, Vec<Timestamp>>,
    told: HashMap<OwnedUserId, Timestamp>,
}

impl RateLimit {
    /// Counts one more, if the hour's limit allows it.
    pub(super) fn step(&mut self, user: &UserId, each: usize, now: Timestamp) -> Rate {
        for taken in self.taken.values_mut() {
            taken.retain(|at| !too_old(*at, now, COURTESY));
        }
        self.taken.retain(|_, taken| !taken.is_empty());
        self.told.retain(|_, at| !too_old(*at, now, COURTESY));
        let taken = self.taken.entry(user.to_owned()).or_default();
        if taken.len() < each {
            taken.push(now);
            return Rate::Allowed;
        }
        let oldest = taken.iter().min().copied().unwrap_or(now);
        let free = oldest.checked_add(COURTESY).unwrap_or(now);
        match self.told.insert(user.to_owned(), now) {
            None => Rate::JustExceeded { free },
            Some(before) => {
                self.told.insert(user.to_owned(), before);
                Rate::Exceeded
            }
        }
    }
}

/// What was sent within the last hour.
#[derive(Debug)]
struct OncePerHour<K> {
    said: HashMap<K, Timestamp>,
}

impl<K> Default for OncePerHour<K> {
    fn default() -> Self {
        Self { said: HashMap::new() }
    }
}

impl<K: Hash + Eq> OncePerHour<K> {
    /// Whether it was not sent within the hour; notes that it is sent now.
    fn due(&mut self, what: K, now: Timestamp) -> bool {
        self.said.retain(|_, said| !too_old(*said, now, COURTESY));
        if self.said.len() >= MOST_REMEMBERED || self.said.contains_key(&what) {
            return false;
        }
        self.said.insert(what, now);
        true
    }
}

/// When members without rights last got a reply.
#[derive(Debug, Default)]
pub(super) struct PoliteReplies(OncePerHour<(OwnedRoomId, OwnedUserId)>);

impl PoliteReplies {
    /// Whether this member of this room is due a reply; notes that it was sent.
    pub(super) fn due(&mut self, room: &RoomId, member: &UserId, now: Timestamp) -> bool {
        self.0.due((room.to_owned(), member.to_owned()), now)
    }
}

/// When a sender last got the reason why a command does not count. Another reason is given within the hour too:
/// otherwise a stolen token could use up the explanation that its owner needs.
#[derive(Debug, Default)]
pub(super) struct RefusalReplies(OncePerHour<(OwnedUserId, CommandRefusal)>);

impl RefusalReplies {
    /// Whether the reason is due to this sender; notes that it was given.
    pub(super) fn due(&mut self, sender: &UserId, refusal: CommandRefusal, now: Timestamp) -> bool {
        self.0.due((sender.to_owned(), refusal), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{room_id, user_id};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_reason_is_given_once_an_hour() {
        let mut reasons = RefusalReplies::default();
        let one = user_id!("@one:x");
        let two = user_id!("@two:x");
        assert!(reasons.due(one, CommandRefusal::NotEncrypted, at(0)));
        assert!(!reasons.due(one, CommandRefusal::NotEncrypted, at(3600)));
        assert!(reasons.due(one, CommandRefusal::UnknownDevice, at(3600)));
        assert!(reasons.due(two, CommandRefusal::NotEncrypted, at(3600)));
        assert!(reasons.due(one, CommandRefusal::NotEncrypted, at(3601)));
    }

    #[test]
    fn a_stranger_gets_one_line_an_hour_in_a_room() {
        let mut courtesy = PoliteReplies::default();
        let one = room_id!("!one:x");
        let two = room_id!("!two:x");
        let member = user_id!("@m:x");
        assert!(courtesy.due(one, member, at(0)));
        assert!(!courtesy.due(one, member, at(3600)));
        assert!(courtesy.due(two, member, at(3600)));
        assert!(courtesy.due(one, user_id!("@n:x"), at(3600)));
        assert!(courtesy.due(one, member, at(3601)));
    }

    #[test]
    fn an_hour_takes_so_many_reports_and_says_so_once() {
        let mut paces = RateLimit::default();
        let one = user_id!("@one:x");
        let two = user_id!("@two:x");
        let mut step = |user, second| paces.step(user, 2, at(second));
        assert_eq!((step(one, 0), step(one, 60)), (Rate::Allowed, Rate::Allowed));
        assert_eq!(
            (step(one, 120), step(one, 180)),
            (Rate::JustExceeded { free: at(3600) }, Rate::Exceeded)
        );
        assert_eq!(step(two, 180), Rate::Allowed);
        // The first is an hour old.
        assert_eq!((step(one, 3601), step(one, 3602)), (Rate::Allowed, Rate::Exceeded));
    }

    #[test]
    fn a_crowd_of_strangers_is_met_with_silence() {
        let mut courtesy = PoliteReplies::default();
        let room = room_id!("!one:x");
        for number in 0..MOST_REMEMBERED {
            let member = UserId::parse(format!("@m{number}:x")).unwrap();
            assert!(courtesy.due(room, &member, at(0)));
        }
        assert!(!courtesy.due(room, user_id!("@late:x"), at(1)));
        assert_eq!(courtesy.0.said.len(), MOST_REMEMBERED);
        assert!(courtesy.due(room, user_id!("@late:x"), at(3601)));
    }
}
