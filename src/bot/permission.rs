//! Who asks, where, when and from which device → whether an answer is due. Decides and never sends. It keeps no
//! more than when it last was polite to whom.
//!
//! What is judged here is a command. What a command points at is not: `!report` may reply to a plain event,
//! because a report is foreign text from anybody in any case. It is redacted, shown as handed on by the admin,
//! and never believed beyond what a client can say. The reply itself has to pass.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Room;
use matrix_sdk::ruma::events::room::power_levels::UserPowerLevel;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::event_origin::{Device, Origin};
use super::settings::matrix_of;
use crate::config::{Config, Matrix, RequireVerified};

/// Buttons under storms that one person may press an hour, and ticks in captures. Clients do not encrypt
/// reactions, so whoever has an access token can press them all the time; each 🔁 reads every source.
pub(super) const PRESSES: usize = 20;
pub(super) const TICKS: usize = 60;

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

/// Why a command of somebody who may command does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// A plain event in an encrypted room.
    NotEncrypted,
    /// A plain event in a room that is not encrypted, and the config does not allow that.
    RoomNotEncrypted,
    /// The config allows it, but not for a command that needs a verified device.
    NoDeviceToVerify(RequireVerified),
    /// It needs a verified device, and this one is not.
    NotVerified(RequireVerified),
    /// It needs a verified device, and the identity that signed this one replaced one that was verified.
    IdentityChanged,
    /// The server lists no such device of the sender.
    UnknownDevice,
    /// The message's key came from a third party.
    UnknownSource,
    /// The message's key is another user's.
    OtherUser,
    /// It is a copy of an earlier message.
    Copied,
    /// Whether it is a copy could not be noted.
    Unnoted,
}

impl std::fmt::Display for Refusal {
    /// For a line of the log.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NotEncrypted => "it is not encrypted",
            Self::RoomNotEncrypted => "the room is not encrypted",
            Self::NoDeviceToVerify(_) => {
                "it needs a verified device, and the room is not encrypted"
            }
            Self::NotVerified(_) => "it needs a verified device",
            Self::IdentityChanged => "the sender's verified identity was replaced",
            Self::UnknownDevice => "the homeserver lists no such device of the sender",
            Self::UnknownSource => "its key came from a backup, an import or another user",
            Self::OtherUser => "it was encrypted by another user's device",
            Self::Copied => "it is a copy of an earlier message",
            Self::Unnoted => "it cannot be noted in the store",
        })
    }
}

impl Refusal {
    /// Whether asking the server for the sender's devices may change it.
    pub(super) fn is_of_old_news(self) -> bool {
        matches!(self, Self::UnknownDevice | Self::NotVerified(_))
    }
}

/// Whether a command counts, by how it reached the bot.
pub(super) fn judge(origin: Origin, destructive: bool, matrix: &Matrix) -> Result<(), Refusal> {
    let rule = matrix.require_verified;
    let covered = rule.covers(destructive);
    match origin {
        Origin::Plain { room_encrypted: true } => Err(Refusal::NotEncrypted),
        Origin::Plain { .. } if !matrix.allow_unencrypted => Err(Refusal::RoomNotEncrypted),
        Origin::Plain { .. } if covered => Err(Refusal::NoDeviceToVerify(rule)),
        Origin::Plain { .. } => Ok(()),
        Origin::Encrypted(Device::Unknown) => Err(Refusal::UnknownDevice),
        Origin::Encrypted(Device::UnknownSource) => Err(Refusal::UnknownSource),
        Origin::Encrypted(Device::OtherUsers) => Err(Refusal::OtherUser),
        Origin::Encrypted(Device::NotSigned) if covered => Err(Refusal::NotVerified(rule)),
        Origin::Encrypted(Device::IdentityChanged) if covered => Err(Refusal::IdentityChanged),
        Origin::Encrypted(Device::NotSigned | Device::IdentityChanged | Device::CrossSigned) => {
            Ok(())
        }
    }
}

/// Whether a command has waited so long that its answer would come as a surprise.
pub(super) fn too_old(sent: Timestamp, now: Timestamp, most: Duration) -> bool {
    // A sender's server may be ahead of this clock: that is not old.
    let waited = Duration::try_from(now.duration_since(sent)).unwrap_or_default();
    waited > most
}

/// When something was sent, by this machine's clock. `offset` is how far the clock that dated it is ahead of this
/// machine's; none where the clocks agree, or it is not known.
pub(super) fn by_our_clock(sent: Timestamp, offset: Option<SignedDuration>) -> Timestamp {
    offset.and_then(|offset| sent.checked_sub(offset).ok()).unwrap_or(sent)
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

/// What was said within the last hour.
#[derive(Debug)]
struct Hourly<K> {
    said: HashMap<K, Timestamp>,
}

impl<K> Default for Hourly<K> {
    fn default() -> Self {
        Self { said: HashMap::new() }
    }
}

impl<K: Hash + Eq> Hourly<K> {
    /// Whether it was not said within the hour; notes that it is said now.
    fn due(&mut self, what: K, now: Timestamp) -> bool {
        self.said.retain(|_, said| !too_old(*said, now, COURTESY));
        if self.said.len() >= MOST_REMEMBERED || self.said.contains_key(&what) {
            return false;
        }
        self.said.insert(what, now);
        true
    }
}

/// When strangers were last answered.
#[derive(Debug, Default)]
pub(super) struct Courtesy(Hourly<(OwnedRoomId, OwnedUserId)>);

impl Courtesy {
    /// Whether the polite line is due to this member in this room; notes that it was said.
    pub(super) fn due(&mut self, room: &RoomId, member: &UserId, now: Timestamp) -> bool {
        self.0.due((room.to_owned(), member.to_owned()), now)
    }
}

/// When somebody was last told why their command does not count. Another reason is told within the hour too: else
/// a stolen token could use up the explanation that its owner needs.
#[derive(Debug, Default)]
pub(super) struct Reasons(Hourly<(OwnedUserId, Refusal)>);

impl Reasons {
    /// Whether the reason is due to this sender; notes that it was given.
    pub(super) fn due(&mut self, sender: &UserId, refusal: Refusal, now: Timestamp) -> bool {
        self.0.due((sender.to_owned(), refusal), now)
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
            allow_unencrypted: false,
            require_verified: RequireVerified::Destructive,
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

    /// What becomes of a harmless and of a destructive command.
    fn judged(
        origin: Origin,
        require_verified: RequireVerified,
        allow_unencrypted: bool,
    ) -> [Result<(), Refusal>; 2] {
        let matrix = Matrix { require_verified, allow_unencrypted, ..matrix(None) };
        [false, true].map(|destructive| judge(origin, destructive, &matrix))
    }

    #[test]
    fn a_plain_event_in_an_encrypted_room_never_counts() {
        use RequireVerified::{Always, Destructive, Never};
        for rule in [Never, Destructive, Always] {
            for allowed in [false, true] {
                let plain = judged(Origin::Plain { room_encrypted: true }, rule, allowed);
                assert_eq!(plain, [Err(Refusal::NotEncrypted); 2], "{rule:?} {allowed}");
            }
        }
    }

    #[test]
    fn in_a_room_that_is_not_encrypted_the_config_decides() {
        use RequireVerified::{Always, Destructive, Never};
        let plain = |rule, allowed| judged(Origin::Plain { room_encrypted: false }, rule, allowed);
        for rule in [Never, Destructive, Always] {
            assert_eq!(plain(rule, false), [Err(Refusal::RoomNotEncrypted); 2], "{rule:?}");
        }
        let covered = |rule| Err(Refusal::NoDeviceToVerify(rule));
        assert_eq!(plain(Never, true), [Ok(()), Ok(())]);
        assert_eq!(plain(Destructive, true), [Ok(()), covered(Destructive)]);
        assert_eq!(plain(Always, true), [covered(Always); 2]);
    }

    #[test]
    fn an_encrypted_command_counts_by_its_device() {
        use RequireVerified::{Always, Destructive, Never};
        let of = |device, rule| {
            let closed = judged(Origin::Encrypted(device), rule, false);
            assert_eq!(closed, judged(Origin::Encrypted(device), rule, true), "{device:?}");
            closed
        };
        for rule in [Never, Destructive, Always] {
            assert_eq!(of(Device::CrossSigned, rule), [Ok(()), Ok(())]);
            for (device, refusal) in [
                (Device::Unknown, Refusal::UnknownDevice),
                (Device::UnknownSource, Refusal::UnknownSource),
                (Device::OtherUsers, Refusal::OtherUser),
            ] {
                assert_eq!(of(device, rule), [Err(refusal); 2], "{rule:?}");
            }
        }
        let unsigned = |rule| Err(Refusal::NotVerified(rule));
        assert_eq!(of(Device::NotSigned, Never), [Ok(()), Ok(())]);
        assert_eq!(of(Device::NotSigned, Destructive), [Ok(()), unsigned(Destructive)]);
        assert_eq!(of(Device::NotSigned, Always), [unsigned(Always); 2]);
        let changed = Err(Refusal::IdentityChanged);
        assert_eq!(of(Device::IdentityChanged, Never), [Ok(()), Ok(())]);
        assert_eq!(of(Device::IdentityChanged, Destructive), [Ok(()), changed]);
        assert_eq!(of(Device::IdentityChanged, Always), [changed; 2]);
    }

    #[test]
    fn each_reason_is_given_once_an_hour() {
        let mut reasons = Reasons::default();
        let (one, two) = (user_id!("@one:x"), user_id!("@two:x"));
        assert!(reasons.due(one, Refusal::NotEncrypted, at(0)));
        assert!(!reasons.due(one, Refusal::NotEncrypted, at(3600)));
        assert!(reasons.due(one, Refusal::UnknownDevice, at(3600)));
        assert!(reasons.due(two, Refusal::NotEncrypted, at(3600)));
        assert!(reasons.due(one, Refusal::NotEncrypted, at(3601)));
    }

    #[test]
    fn age_is_counted_from_when_it_was_sent() {
        let most = Duration::from_secs(300);
        assert!(!too_old(at(0), at(300), most));
        assert!(too_old(at(0), at(301), most));
        assert!(!too_old(at(9000), at(0), most));
    }

    #[test]
    fn a_wrong_clock_makes_no_command_too_old() {
        let most = Duration::from_secs(300);
        let ahead = |seconds| Some(SignedDuration::from_secs(seconds));
        for (sent, offset, old) in [
            // Sent now, by a clock that is seven minutes behind.
            (1000 - 420, None, true),
            (1000 - 420, ahead(-420), false),
            // And six minutes ago.
            (1000 - 420 - 360, ahead(-420), true),
            // A clock that is ahead does not make it younger than it is.
            (1000 + 420, None, false),
            (1000 + 420 - 360, None, false),
            (1000 + 420 - 360, ahead(420), true),
            (1000 - 301, ahead(0), true),
        ] {
            let sent = by_our_clock(at(sent), offset);
            assert_eq!(too_old(sent, at(1000), most), old, "{sent} {offset:?}");
        }
        assert_eq!(by_our_clock(Timestamp::MIN, ahead(1)), Timestamp::MIN);
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
        assert_eq!(courtesy.0.said.len(), MOST_REMEMBERED);
        assert!(courtesy.due(room, user_id!("@late:x"), at(3601)));
    }
}
