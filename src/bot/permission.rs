//! Who asks, where and from which device → whether the command counts. Decides and never sends.
//!
//! This checks a command, not what the command points at: `!report` may reply to a plain event, because a report is
//! foreign text anyway. It is redacted and shown as forwarded by the admin, and it counts only for what a client can
//! know. The command itself has to pass.

use matrix_sdk::Room;
use matrix_sdk::ruma::events::room::power_levels::UserPowerLevel;
use ruma::UserId;

use super::event_origin::{Origin, SenderDevice};
use super::settings::matrix_config;
use crate::config::{Config, Matrix, RequireVerified};
use kestrel_core::render::replies::NotRun;

/// Whether a member of a room may command the bot there.
pub(super) async fn may_command(room: &Room, member: &UserId, config: &Config) -> bool {
    let Ok(matrix) = matrix_config(config) else {
        return false;
    };
    let level = match matrix.min_power_level {
        Some(_) => room.get_user_power_level(member).await.ok(),
        None => None,
    };
    may_ask(matrix, member, level)
}

/// Whether a member may command the bot. `level` is theirs in this room, if it is known.
fn may_ask(matrix: &Matrix, asker: &UserId, level: Option<UserPowerLevel>) -> bool {
    let named = matrix.admins.iter().any(|admin| admin == asker);
    named
        || match (matrix.min_power_level, level) {
            (Some(_), Some(UserPowerLevel::Infinite)) => true,
            (Some(least), Some(UserPowerLevel::Int(level))) => i64::from(level) >= least,
            _ => false,
        }
}

/// Why an admin's command does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CommandRefusal {
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

impl std::fmt::Display for CommandRefusal {
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
            Self::Unnoted => "it cannot be saved in the store",
        })
    }
}

impl CommandRefusal {
    /// As its sender reads it.
    pub(super) fn reason(self) -> NotRun<'static> {
        match self {
            Self::NotEncrypted => NotRun::NotEncrypted,
            Self::RoomNotEncrypted => NotRun::RoomNotEncrypted,
            Self::NoDeviceToVerify(rule) => NotRun::NoDeviceToVerify { rule: rule.name() },
            Self::NotVerified(rule) => NotRun::NotVerified { rule: rule.name() },
            Self::IdentityChanged => NotRun::IdentityChanged,
            Self::UnknownDevice => NotRun::UnknownDevice,
            Self::UnknownSource => NotRun::UnknownSource,
            Self::OtherUser => NotRun::OtherUser,
            Self::Copied => NotRun::Copied,
            Self::Unnoted => NotRun::NotSaved,
        }
    }

    /// Whether asking the server for the sender's devices may change it.
    pub(super) fn is_of_old_news(self) -> bool {
        matches!(self, Self::UnknownDevice | Self::NotVerified(_))
    }
}

/// Whether a command counts, by how it reached the bot.
pub(super) fn judge(
    origin: Origin,
    destructive: bool,
    matrix: &Matrix,
) -> Result<(), CommandRefusal> {
    let rule = matrix.require_verified;
    let covered = rule.covers(destructive);
    match origin {
        Origin::Plain { room_encrypted: true } => Err(CommandRefusal::NotEncrypted),
        Origin::Plain { .. } if !matrix.allow_unencrypted => Err(CommandRefusal::RoomNotEncrypted),
        Origin::Plain { .. } if covered => Err(CommandRefusal::NoDeviceToVerify(rule)),
        Origin::Plain { .. } => Ok(()),
        Origin::Encrypted(SenderDevice::Unknown) => Err(CommandRefusal::UnknownDevice),
        Origin::Encrypted(SenderDevice::UnknownSource) => Err(CommandRefusal::UnknownSource),
        Origin::Encrypted(SenderDevice::OtherUsers) => Err(CommandRefusal::OtherUser),
        Origin::Encrypted(SenderDevice::NotSigned) if covered => {
            Err(CommandRefusal::NotVerified(rule))
        }
        Origin::Encrypted(SenderDevice::IdentityChanged) if covered => {
            Err(CommandRefusal::IdentityChanged)
        }
        Origin::Encrypted(
            SenderDevice::NotSigned | SenderDevice::IdentityChanged | SenderDevice::CrossSigned,
        ) => Ok(()),
    }
}

/// Whether a user is named as an admin in the config.
pub(super) fn may_command_at_all(config: &Config, user: &UserId) -> bool {
    matrix_config(config).is_ok_and(|matrix| matrix.admins.iter().any(|admin| admin == user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk::ruma::int;
    use ruma::{owned_user_id, user_id};
    use std::time::Duration;

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
    ) -> [Result<(), CommandRefusal>; 2] {
        let matrix = Matrix { require_verified, allow_unencrypted, ..matrix(None) };
        [false, true].map(|destructive| judge(origin, destructive, &matrix))
    }

    #[test]
    fn a_plain_event_in_an_encrypted_room_never_counts() {
        use RequireVerified::{Always, Destructive, Never};
        for rule in [Never, Destructive, Always] {
            for allowed in [false, true] {
                let plain = judged(Origin::Plain { room_encrypted: true }, rule, allowed);
                assert_eq!(plain, [Err(CommandRefusal::NotEncrypted); 2], "{rule:?} {allowed}");
            }
        }
    }

    #[test]
    fn in_a_room_that_is_not_encrypted_the_config_decides() {
        use RequireVerified::{Always, Destructive, Never};
        let plain = |rule, allowed| judged(Origin::Plain { room_encrypted: false }, rule, allowed);
        for rule in [Never, Destructive, Always] {
            assert_eq!(plain(rule, false), [Err(CommandRefusal::RoomNotEncrypted); 2], "{rule:?}");
        }
        let covered = |rule| Err(CommandRefusal::NoDeviceToVerify(rule));
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
            assert_eq!(of(SenderDevice::CrossSigned, rule), [Ok(()), Ok(())]);
            for (device, refusal) in [
                (SenderDevice::Unknown, CommandRefusal::UnknownDevice),
                (SenderDevice::UnknownSource, CommandRefusal::UnknownSource),
                (SenderDevice::OtherUsers, CommandRefusal::OtherUser),
            ] {
                assert_eq!(of(device, rule), [Err(refusal); 2], "{rule:?}");
            }
        }
        let unsigned = |rule| Err(CommandRefusal::NotVerified(rule));
        assert_eq!(of(SenderDevice::NotSigned, Never), [Ok(()), Ok(())]);
        assert_eq!(of(SenderDevice::NotSigned, Destructive), [Ok(()), unsigned(Destructive)]);
        assert_eq!(of(SenderDevice::NotSigned, Always), [unsigned(Always); 2]);
        let changed = Err(CommandRefusal::IdentityChanged);
        assert_eq!(of(SenderDevice::IdentityChanged, Never), [Ok(()), Ok(())]);
        assert_eq!(of(SenderDevice::IdentityChanged, Destructive), [Ok(()), changed]);
        assert_eq!(of(SenderDevice::IdentityChanged, Always), [changed; 2]);
    }
}
