//! A tombstone, and who has admin power in the old room and in the new one → whether the upgrade can be trusted.

use std::collections::BTreeSet;

use matrix_sdk::ruma::events::room::power_levels::RoomPowerLevels;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};

use kestrel_core::render::replies::NotFollowed;

/// Why an upgrade is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotTrusted {
    /// The tombstone's sender may not command the bot.
    NotAdmin,
    /// An admin by power level in the old room is none in the new one.
    LostAdmin(OwnedUserId),
    /// A user who is no admin in the old room is one in the new one.
    NewAdmin(OwnedUserId),
    /// Everybody is an admin in the new room.
    AllAdmins,
    /// No admin invited the bot there.
    NotInvited,
    /// Another upgrade of the same room was followed before.
    Followed(OwnedRoomId),
    /// The new room is one that the old one replaced.
    Circle,
}

impl NotTrusted {
    /// As a room reads it.
    pub(crate) fn reason(&self) -> NotFollowed<'_> {
        match self {
            Self::NotAdmin => NotFollowed::NotAdmin,
            Self::LostAdmin(user) => NotFollowed::LostAdmin(user),
            Self::NewAdmin(user) => NotFollowed::NewAdmin(user),
            Self::AllAdmins => NotFollowed::AllAdmins,
            Self::NotInvited => NotFollowed::NotInvited,
            Self::Followed(room) => NotFollowed::Followed(room),
            Self::Circle => NotFollowed::Circle,
        }
    }
}

/// Who has admin power in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AdminPower {
    named: BTreeSet<OwnedUserId>,
    everybody: bool,
}

impl AdminPower {
    /// By power level, and the creators if they are above all levels (room version 12).
    pub(crate) fn from_levels(levels: &RoomPowerLevels, least: i64) -> Self {
        let named = levels.users.iter().filter(|(_, level)| i64::from(**level) >= least);
        let creators = levels.rules.privileged_creators.iter().flatten().cloned();
        Self {
            named: named.map(|(user, _)| user.clone()).chain(creators).collect(),
            everybody: i64::from(levels.users_default) >= least,
        }
    }

    fn has(&self, user: &UserId) -> bool {
        self.everybody || self.named.contains(user)
    }
}

/// Whether the new room gives admin power to the same people as the old room, and to nobody else. `known` may always
/// have it: the config's admins, the tombstone's sender, and the bot.
pub(crate) fn compare_power(
    old: &AdminPower,
    new: &AdminPower,
    known: &[&UserId],
) -> Result<(), NotTrusted> {
    let own = known.first();
    if new.everybody && !old.everybody {
        return Err(NotTrusted::AllAdmins);
    }
    let lost = |user: &&OwnedUserId| own != Some(&&***user) && !new.has(user);
    if let Some(lost) = old.named.iter().find(lost) {
        return Err(NotTrusted::LostAdmin(lost.clone()));
    }
    let added = |user: &&OwnedUserId| !old.has(user) && !known.contains(&&***user);
    if let Some(added) = new.named.iter().find(added) {
        return Err(NotTrusted::NewAdmin(added.clone()));
    }
    Ok(())
}

/// A tombstone.
#[derive(Debug)]
pub(crate) struct Tombstone {
    pub(crate) event: OwnedEventId,
    pub(crate) sender: OwnedUserId,
    pub(crate) new: OwnedRoomId,
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::events::room::power_levels::{
        RoomPowerLevelsEventContent, RoomPowerLevelsSource,
    };
    use matrix_sdk::ruma::room_version_rules::AuthorizationRules;
    use ruma::{owned_user_id, user_id};
    use serde_json::json;

    use super::*;

    fn powerful(names: &[&str]) -> AdminPower {
        let named = names.iter().map(|name| format!("@{name}:x").try_into().unwrap());
        AdminPower { named: named.collect(), everybody: false }
    }

    #[test]
    fn the_same_people_have_admin_power_in_both_rooms() {
        let named = [user_id!("@bot:x"), user_id!("@sender:x"), user_id!("@config:x")];
        let user = |name: &str| OwnedUserId::try_from(format!("@{name}:x")).unwrap();
        for (old, new, said) in [
            (&["a", "b"][..], &["a", "b"][..], Ok(())),
            (&[], &[], Ok(())),
            (&["a", "b"], &["a"], Err(NotTrusted::LostAdmin(user("b")))),
            (&["a"], &["a", "evil"], Err(NotTrusted::NewAdmin(user("evil")))),
            (&["a"], &["evil"], Err(NotTrusted::LostAdmin(user("a")))),
            (&["a"], &["a", "sender", "config"], Ok(())),
            // The bot needs no power.
            (&["a", "bot"], &["a"], Ok(())),
            (&["a"], &["a", "bot"], Ok(())),
        ] {
            assert_eq!(
                compare_power(&powerful(old), &powerful(new), &named),
                said,
                "{old:?} {new:?}"
            );
        }
        let all = AdminPower { everybody: true, ..powerful(&[]) };
        assert_eq!(compare_power(&powerful(&["a"]), &all, &named), Err(NotTrusted::AllAdmins));
        assert_eq!(compare_power(&all, &all, &named), Ok(()));
    }

    #[test]
    fn admin_power_is_read_from_levels_and_creators() {
        let content = |users: serde_json::Value, default: i64| {
            let content = json!({"users": users, "users_default": default});
            serde_json::from_value::<RoomPowerLevelsEventContent>(content).unwrap()
        };
        let read = |content, rules: &AuthorizationRules, least| {
            let creators = [owned_user_id!("@creator:x")];
            let source = RoomPowerLevelsSource::Original(content);
            AdminPower::from_levels(&RoomPowerLevels::new(source, rules, creators), least)
        };
        let users = json!({"@a:x": 100, "@mod:x": 50, "@member:x": 0});
        let of = |rules, least| read(content(users.clone(), 0), rules, least);
        assert_eq!(of(&AuthorizationRules::V11, 100), powerful(&["a"]));
        assert_eq!(of(&AuthorizationRules::V11, 50), powerful(&["a", "mod"]));
        assert_eq!(of(&AuthorizationRules::V12, 100), powerful(&["a", "creator"]));
        let open = read(content(json!({}), 60), &AuthorizationRules::V11, 50);
        assert!(open.everybody);
    }
}
