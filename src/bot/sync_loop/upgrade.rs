//! A tombstone in an ops room → the room that takes its place is an ops room as well, or a line why not.
//!
//! A tombstone is a plain event, and whoever may command by power level in the new room commands the bot. So it is
//! followed only when its sender is an admin, an admin invited the bot, and the new room gives the same people
//! admin power. Until an admin's encrypted command comes from there, the old room stays in use too.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use matrix_sdk::deserialized_responses::{RawSyncOrStrippedState, TimelineEvent};
use matrix_sdk::ruma::events::SyncStateEvent;
use matrix_sdk::ruma::events::room::power_levels::RoomPowerLevels;
use matrix_sdk::ruma::events::room::tombstone::RoomTombstoneEventContent;
use matrix_sdk::{Room, RoomState};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};

use tokio::time::Instant;

use super::listen::Ear;
use crate::bot::account::client;
use crate::bot::messages::room_message;
use crate::bot::ops_rooms::{OpsRooms, ops_rooms};
use crate::bot::permission::may_command;
use crate::bot::room_replies;
use crate::bot::settings::matrix_of;
use crate::store::Upgrade;

/// The power level of an admin where the config names none: that of a room's creator.
const ADMIN: i64 = 100;

/// How long an upgrade waits for the bot's invitation before that is said: clients invite after the tombstone.
const INVITING: Duration = Duration::from_secs(60);

/// Why an upgrade is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// Who sent the tombstone may not command the bot.
    NotAdmin,
    /// An admin by power level in the old room is none in the new one.
    LostAdmin(OwnedUserId),
    /// Somebody who is none in the old room is one in the new one.
    NewAdmin(OwnedUserId),
    /// Everybody is one in the new room.
    AllAdmins,
    /// No admin invited the bot there.
    NotInvited,
    /// Another upgrade of the same room was followed before.
    Followed(OwnedRoomId),
    /// The new room is one that the old one replaced.
    Circle,
}

/// Who has admin power in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Powerful {
    named: BTreeSet<OwnedUserId>,
    everybody: bool,
}

impl Powerful {
    /// By power level, and the creators where these stand above all levels (room version 12).
    pub(crate) fn of(levels: &RoomPowerLevels, least: i64) -> Self {
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

/// Whether the new room gives admin power to those who have it in the old room, and to nobody else. `known` may have
/// it in any case: the config's admins, who sent the tombstone, and the bot.
pub(crate) fn compare(old: &Powerful, new: &Powerful, known: &[&UserId]) -> Result<(), Distrust> {
    let own = known.first();
    if new.everybody && !old.everybody {
        return Err(Distrust::AllAdmins);
    }
    let lost = |user: &&OwnedUserId| own != Some(&&***user) && !new.has(user);
    if let Some(lost) = old.named.iter().find(lost) {
        return Err(Distrust::LostAdmin(lost.clone()));
    }
    let added = |user: &&OwnedUserId| !old.has(user) && !known.contains(&&***user);
    if let Some(added) = new.named.iter().find(added) {
        return Err(Distrust::NewAdmin(added.clone()));
    }
    Ok(())
}

/// A tombstone, and where it stands.
#[derive(Debug)]
pub(crate) struct Tombstone {
    pub(crate) event: OwnedEventId,
    pub(crate) sender: OwnedUserId,
    pub(crate) new: OwnedRoomId,
}

/// What becomes of an upgrade.
enum Weighed {
    Follow {
        proven: bool,
    },
    Not(Distrust),
    /// The new room is not known well enough yet.
    Wait,
}

impl Ear {
    /// The ops rooms of this moment.
    pub(crate) fn ops(&self) -> OpsRooms {
        ops_rooms(&self.config, &self.store.ledger())
    }

    /// Follows upgrades of ops rooms, after a sync and before its events are heard.
    pub(crate) async fn follow_upgrades(&mut self) {
        self.on_trial.clear();
        self.drop_left_rooms().await;
        let ops = self.ops();
        for old in ops.all() {
            let Some(room) = self.joined(&old) else { continue };
            let Some(successor) = room.successor_room() else { continue };
            if ops.replaced_by(&old) == Some(&successor.room_id) {
                continue;
            }
            if let Err(error) = self.consider(&room, &ops).await {
                tracing::warn!("the upgrade of {old} is looked at again later: {error:#}");
                self.on_trial.insert(successor.room_id);
            }
        }
    }

    async fn consider(&mut self, old: &Room, ops: &OpsRooms) -> Result<()> {
        let Some(tombstone) = tombstone_of(old).await? else { return Ok(()) };
        match self.weigh(old, &tombstone, ops).await? {
            Weighed::Wait => drop(self.on_trial.insert(tombstone.new)),
            Weighed::Follow { proven } => self.follow(old, &tombstone, proven).await?,
            Weighed::Not(distrust) => self.decline(old, &tombstone, distrust, ops).await,
        }
        Ok(())
    }

    async fn weigh(&self, old: &Room, tombstone: &Tombstone, ops: &OpsRooms) -> Result<Weighed> {
        if let Some(followed) = ops.replaced_by(old.room_id()) {
            return Ok(Weighed::Not(Distrust::Followed(followed.to_owned())));
        }
        let before = old.power_levels().await?;
        if !may_command(old, &tombstone.sender, &self.config).await {
            return Ok(Weighed::Not(Distrust::NotAdmin));
        }
        if ops.is_before(&tombstone.new, old.room_id()) {
            return Ok(Weighed::Not(Distrust::Circle));
        }
        if ops.is_configured(&tombstone.new) {
            return Ok(Weighed::Follow { proven: true });
        }
        let Some(new) = self.client.get_room(&tombstone.new) else {
            return Ok(Weighed::Not(Distrust::NotInvited));
        };
        match new.state() {
            RoomState::Joined => {}
            RoomState::Invited => return self.enter(old, &new).await,
            _ => return Ok(Weighed::Not(Distrust::NotInvited)),
        }
        // An invitation does not carry these: they come with the first sync after it is joined.
        let Ok(after) = new.power_levels().await else { return Ok(Weighed::Wait) };
        let matrix = matrix_of(&self.config)?;
        let least = matrix.min_power_level.unwrap_or(ADMIN);
        let (before, after) = (Powerful::of(&before, least), Powerful::of(&after, least));
        let mut known = vec![old.own_user_id(), &*tombstone.sender];
        known.extend(matrix.admins.iter().map(|admin| &**admin));
        Ok(match compare(&before, &after, &known) {
            Ok(()) => Weighed::Follow { proven: false },
            Err(distrust) => Weighed::Not(distrust),
        })
    }

    /// Joins the new room, if somebody invited who may command in the old one.
    async fn enter(&self, old: &Room, new: &Room) -> Result<Weighed> {
        let inviter = new.invite_details().await?.inviter_id;
        if !may_command(old, &inviter, &self.config).await {
            return Ok(Weighed::Not(Distrust::NotInvited));
        }
        new.join().await.with_context(|| format!("{} cannot be joined", new.room_id()))?;
        tracing::info!("joined {}, invited by {inviter}", new.room_id());
        Ok(Weighed::Wait)
    }

    async fn follow(&mut self, old: &Room, tombstone: &Tombstone, proven: bool) -> Result<()> {
        let upgrade = Upgrade { old: old.room_id().to_owned(), new: tombstone.new.clone(), proven };
        self.store.ledger().follow_upgrade(&upgrade, Timestamp::now())?;
        let line = config_line(&self.ops().as_configured_now());
        tracing::warn!(
            "{} was upgraded to {} by {}, and Kestrel follows. Change the config, section [matrix]: {line}",
            upgrade.old,
            upgrade.new,
            tombstone.sender
        );
        let says = room_replies::upgraded(&upgrade, &tombstone.sender, &line);
        let in_new = room_message::part_of(&tombstone.event, "upgrade-new");
        self.tell_admins(&upgrade.new, in_new.as_str(), &says);
        if crate::bot::ops_rooms::may_send(old).await {
            let in_old = room_message::part_of(&tombstone.event, "upgrade-old");
            self.tell_admins(&upgrade.old, in_old.as_str(), &says);
        }
        Ok(())
    }

    /// Says once why an upgrade is not followed, and leaves a room that it joined for that.
    async fn decline(
        &mut self,
        old: &Room,
        tombstone: &Tombstone,
        distrust: Distrust,
        ops: &OpsRooms,
    ) {
        if let Some(new) = self.joined(&tombstone.new)
            && !ops.holds(&tombstone.new)
            && new.predecessor_room().is_some_and(|room| room.room_id == old.room_id())
        {
            tracing::info!("leaving {}", tombstone.new);
            if let Err(error) = client::leave(&new).await {
                tracing::warn!("cannot leave {}: {error}", tombstone.new);
            }
        }
        let ledger = self.store.ledger();
        let refused = format!("tombstone {}", tombstone.event);
        let uninvited = format!("{refused} uninvited");
        let said = |what: &str| ledger.was_said(what).unwrap_or_default();
        let waits = distrust == Distrust::NotInvited;
        // A room that was left for another reason is not asked for.
        if said(&refused) || waits && (said(&uninvited) || self.may_be_invited_yet(tombstone)) {
            return;
        }
        let (what, part) =
            if waits { (&uninvited, "uninvited") } else { (&refused, "upgrade-refused") };
        tracing::warn!(
            "the upgrade of {} to {} by {} is not followed: {}",
            old.room_id(),
            tombstone.new,
            tombstone.sender,
            room_replies::why_not_followed(&distrust)
        );
        let says = room_replies::not_followed(old.room_id(), tombstone, &distrust);
        let txn = room_message::part_of(&tombstone.event, part);
        self.tell_ops(old.room_id(), txn.as_str(), &says).await;
        if let Err(error) = ledger.note_said(what) {
            tracing::error!("that it was said could not be noted: {error:#}");
        }
    }

    /// Whether a tombstone is so young that an invitation may follow.
    fn may_be_invited_yet(&mut self, tombstone: &Tombstone) -> bool {
        let waits = self.uninvited.entry(tombstone.event.clone());
        let since = waits.or_insert_with(|| {
            tracing::info!("waiting for an invitation to {}", tombstone.new);
            Instant::now()
        });
        since.elapsed() < INVITING
    }

    /// Notes that an admin's encrypted command came from a new room: from now on it has the old one's place alone.
    pub(crate) async fn prove_upgrade(&self, room: &Room, came: &TimelineEvent) {
        let ops = self.ops();
        let new = |upgrade: &Upgrade| upgrade.new == room.room_id();
        if came.kind.encryption_info().is_none() || !ops.unproven().iter().any(new) {
            return;
        }
        if let Err(error) = self.store.ledger().prove_upgrade(room.room_id()) {
            return tracing::error!("a command from {} is not noted: {error:#}", room.room_id());
        }
        tracing::info!("an admin's encrypted command came from {}", room.room_id());
        let line = config_line(&ops.as_configured_now());
        let cause = came.event_id().unwrap_or_else(|| ruma::owned_event_id!("$command"));
        let txn = room_message::part_of(&cause, "upgrade-proven");
        self.tell_admins(room.room_id(), txn.as_str(), &room_replies::upgrade_proven(&line));
    }

    /// Forgets upgrades to rooms that the bot is not in any more and from which no command came: an admin removed
    /// it from a room that is none of theirs.
    async fn drop_left_rooms(&self) {
        for upgrade in self.ops().unproven() {
            let state = self.client.get_room(&upgrade.new).map(|room| room.state());
            if !matches!(state, Some(RoomState::Left | RoomState::Banned)) {
                continue;
            }
            tracing::warn!("not in {} any more: its upgrade is not followed", upgrade.new);
            if let Err(error) = self.store.ledger().unfollow_upgrade(&upgrade.new) {
                tracing::error!("that could not be noted: {error:#}");
                continue;
            }
            let now = Timestamp::now().as_millisecond();
            let txn = format!("kestrel-unfollowed-{now}");
            self.tell_ops(&upgrade.old, &txn, &room_replies::unfollowed(&upgrade)).await;
        }
    }
}

/// The tombstone of a room, as the homeserver sent it.
async fn tombstone_of(room: &Room) -> Result<Option<Tombstone>> {
    let raw = room.get_state_event_static::<RoomTombstoneEventContent>().await?;
    let Some(RawSyncOrStrippedState::Sync(raw)) = raw else { return Ok(None) };
    let SyncStateEvent::Original(event) = raw.deserialize()? else { return Ok(None) };
    let new = event.content.replacement_room;
    Ok(Some(Tombstone { event: event.event_id, sender: event.sender, new }))
}

/// A line of the config, as it should read: JSON's quotes are TOML's too.
fn config_line(rooms: &[OwnedRoomId]) -> String {
    let quoted = |room: &OwnedRoomId| serde_json::to_string(room.as_str()).unwrap_or_default();
    let rooms: Vec<_> = rooms.iter().map(quoted).collect();
    format!("rooms = [{}]", rooms.join(", "))
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::events::room::power_levels::{
        RoomPowerLevelsEventContent, RoomPowerLevelsSource,
    };
    use matrix_sdk::ruma::room_version_rules::AuthorizationRules;
    use ruma::{owned_room_id, owned_user_id, user_id};
    use serde_json::json;

    use super::*;

    fn powerful(names: &[&str]) -> Powerful {
        let named = names.iter().map(|name| format!("@{name}:x").try_into().unwrap());
        Powerful { named: named.collect(), everybody: false }
    }

    #[test]
    fn the_same_people_have_admin_power_in_both_rooms() {
        let named = [user_id!("@bot:x"), user_id!("@sender:x"), user_id!("@config:x")];
        let user = |name: &str| OwnedUserId::try_from(format!("@{name}:x")).unwrap();
        for (old, new, said) in [
            (&["a", "b"][..], &["a", "b"][..], Ok(())),
            (&[], &[], Ok(())),
            (&["a", "b"], &["a"], Err(Distrust::LostAdmin(user("b")))),
            (&["a"], &["a", "evil"], Err(Distrust::NewAdmin(user("evil")))),
            (&["a"], &["evil"], Err(Distrust::LostAdmin(user("a")))),
            (&["a"], &["a", "sender", "config"], Ok(())),
            // The bot needs no power.
            (&["a", "bot"], &["a"], Ok(())),
            (&["a"], &["a", "bot"], Ok(())),
        ] {
            assert_eq!(compare(&powerful(old), &powerful(new), &named), said, "{old:?} {new:?}");
        }
        let all = Powerful { everybody: true, ..powerful(&[]) };
        assert_eq!(compare(&powerful(&["a"]), &all, &named), Err(Distrust::AllAdmins));
        assert_eq!(compare(&all, &all, &named), Ok(()));
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
            Powerful::of(&RoomPowerLevels::new(source, rules, creators), least)
        };
        let users = json!({"@a:x": 100, "@mod:x": 50, "@member:x": 0});
        let of = |rules, least| read(content(users.clone(), 0), rules, least);
        assert_eq!(of(&AuthorizationRules::V11, 100), powerful(&["a"]));
        assert_eq!(of(&AuthorizationRules::V11, 50), powerful(&["a", "mod"]));
        assert_eq!(of(&AuthorizationRules::V12, 100), powerful(&["a", "creator"]));
        let open = read(content(json!({}), 60), &AuthorizationRules::V11, 50);
        assert!(open.everybody);
    }

    #[test]
    fn the_config_line_is_toml() {
        let line = config_line(&[owned_room_id!("!a:x"), owned_room_id!("!b:x")]);
        assert_eq!(line, r#"rooms = ["!a:x", "!b:x"]"#);
        let read: toml::Table = line.parse().unwrap();
        assert_eq!(read["rooms"].as_array().unwrap().len(), 2);
    }
}
