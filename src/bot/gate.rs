//! Who asks, where and when → whether an answer is due. Decides before anything is looked up, and never
//! sends. It keeps no more than when it last was polite to whom.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::ruma::events::room::power_levels::UserPowerLevel;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::matrix_of;
use crate::config::{Config, Matrix};

/// How long a member who may not ask waits for the next polite line.
const COURTESY: Duration = Duration::from_secs(60 * 60);

/// How many such members are remembered. With more than that in one hour the rest get no line at all:
/// silence is cheaper than a flood.
const MOST_REMEMBERED: usize = 1000;

/// Whether a member of a room may command the bot there.
pub(super) async fn may_command(room: &Room, member: &UserId, config: &Config) -> bool {
    let Ok(matrix) = matrix_of(config) else {
        return false;
    };
    let level = match matrix.min_power_level {
        Some(_) => room.get_user_power_level(member).await.ok(),
        None => None,
    };
    may_ask(matrix, member, level)
}

/// Whether a member may command the bot. `level` is theirs in this room, where it is known.
fn may_ask(matrix: &Matrix, asker: &UserId, level: Option<UserPowerLevel>) -> bool {
    let named = matrix.admins.iter().any(|admin| admin == asker);
    named
        || match (matrix.min_power_level, level) {
            (Some(_), Some(UserPowerLevel::Infinite)) => true,
            (Some(least), Some(UserPowerLevel::Int(level))) => i64::from(level) >= least,
            _ => false,
        }
}

/// Whether a command has waited so long that its answer would come as a surprise.
pub(super) fn too_old(sent: Timestamp, now: Timestamp, most: Duration) -> bool {
    // A sender's server may be ahead of this clock: that is not old.
    let waited = Duration::try_from(now.duration_since(sent)).unwrap_or_default();
    waited > most
}

/// Whether somebody is named as an admin, whatever the room.
pub(super) fn may_command_at_all(config: &Config, user: &UserId) -> bool {
    matrix_of(config).is_ok_and(|matrix| matrix.admins.iter().any(|admin| admin == user))
}

/// What becomes of one more report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Go,
    /// It is one too many, and that has to be said.
    Tell,
    /// That was said.
    Silent,
}

/// Reports of the last hour, by user. The users are of one homeserver, or named in the config.
#[derive(Debug, Default)]
pub(super) struct Paces {
    taken: HashMap<OwnedUserId, Vec<Timestamp>>,
    told: HashMap<OwnedUserId, Timestamp>,
}

impl Paces {
    /// Counts one more report, if an hour takes so many.
    pub(super) fn step(&mut self, user: &UserId, each: usize, now: Timestamp) -> Pace {
        for taken in self.taken.values_mut() {
            taken.retain(|at| !too_old(*at, now, COURTESY));
        }
        self.taken.retain(|_, taken| !taken.is_empty());
        self.told.retain(|_, at| !too_old(*at, now, COURTESY));
        let taken = self.taken.entry(user.to_owned()).or_default();
        if taken.len() < each {
            taken.push(now);
            return Pace::Go;
        }
        match self.told.insert(user.to_owned(), now) {
            None => Pace::Tell,
            Some(before) => {
                self.told.insert(user.to_owned(), before);
                Pace::Silent
            }
        }
    }
}

/// When strangers were last answered.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    said: HashMap<(OwnedRoomId, OwnedUserId), Timestamp>,
}

impl Courtesy {
    /// Whether the polite line is due to this member in this room; notes that it was said.
    pub(super) fn due(&mut self, room: &RoomId, member: &UserId, now: Timestamp) -> bool {
        self.said.retain(|_, said| !too_old(*said, now, COURTESY));
        let key = (room.to_owned(), member.to_owned());
        if self.said.len() >= MOST_REMEMBERED || self.said.contains_key(&key) {
            return false;
        }
        self.said.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk::ruma::int;
    use ruma::{owned_user_id, room_id, user_id};

    fn matrix(min_power_level: Option<i64>) -> Matrix {
        Matrix {
            homeserver: "https://example.org".parse().unwrap(),
            user: owned_user_id!("@kestrel:example.org"),
            rooms: Vec::new(),
            admins: vec![owned_user_id!("@admin:example.org")],
            min_power_level,
            max_command_age: Duration::from_secs(300),
            password_file: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn admins_are_named_in_full() {
        let matrix = matrix(None);
        assert!(may_ask(&matrix, user_id!("@admin:example.org"), None));
        let powerful = Some(UserPowerLevel::Infinite);
        assert!(!may_ask(&matrix, user_id!("@admin:elsewhere.org"), powerful));
    }

    #[test]
    fn a_power_level_counts_only_where_one_is_configured() {
        let member = user_id!("@m:example.org");
        let matrix = matrix(Some(50));
        assert!(may_ask(&matrix, member, Some(UserPowerLevel::Int(int!(50)))));
        assert!(may_ask(&matrix, member, Some(UserPowerLevel::Infinite)));
        assert!(!may_ask(&matrix, member, Some(UserPowerLevel::Int(int!(49)))));
        assert!(!may_ask(&matrix, member, None));
    }

    #[test]
    fn age_is_counted_from_when_it_was_sent() {
        let most = Duration::from_secs(300);
        assert!(!too_old(at(0), at(300), most));
        assert!(too_old(at(0), at(301), most));
        assert!(!too_old(at(9000), at(0), most));
    }

    #[test]
    fn a_stranger_gets_one_line_an_hour_in_a_room() {
        let mut courtesy = Courtesy::default();
        let (one, two) = (room_id!("!one:x"), room_id!("!two:x"));
        let member = user_id!("@m:x");
        assert!(courtesy.due(one, member, at(0)));
        assert!(!courtesy.due(one, member, at(3600)));
        assert!(courtesy.due(two, member, at(3600)));
        assert!(courtesy.due(one, user_id!("@n:x"), at(3600)));
        assert!(courtesy.due(one, member, at(3601)));
    }

    #[test]
    fn an_hour_takes_so_many_reports_and_says_so_once() {
        let mut paces = Paces::default();
        let (one, two) = (user_id!("@one:x"), user_id!("@two:x"));
        let mut step = |user, second| paces.step(user, 2, at(second));
        assert_eq!((step(one, 0), step(one, 60)), (Pace::Go, Pace::Go));
        assert_eq!((step(one, 120), step(one, 180)), (Pace::Tell, Pace::Silent));
        assert_eq!(step(two, 180), Pace::Go);
        // The first is an hour old.
        assert_eq!((step(one, 3601), step(one, 3602)), (Pace::Go, Pace::Silent));
    }

    #[test]
    fn a_crowd_of_strangers_is_met_with_silence() {
        let mut courtesy = Courtesy::default();
        let room = room_id!("!one:x");
        for number in 0..MOST_REMEMBERED {
            let member = UserId::parse(format!("@m{number}:x")).unwrap();
            assert!(courtesy.due(room, &member, at(0)));
        }
        assert!(!courtesy.due(room, user_id!("@late:x"), at(1)));
        assert_eq!(courtesy.said.len(), MOST_REMEMBERED);
        assert!(courtesy.due(room, user_id!("@late:x"), at(3601)));
    }
}
