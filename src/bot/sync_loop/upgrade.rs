//! A tombstone in an ops room → the new room becomes an ops room too, or a line says why not.
//!
//! A tombstone is a plain event, and in the new room everybody with enough power could command the bot. So it is
//! followed only if its sender is an admin, an admin invited the bot, and the new room gives the same people admin
//! power. Until an admin's encrypted command arrives from there, the old room stays in use too.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use matrix_sdk::deserialized_responses::{RawSyncOrStrippedState, TimelineEvent};
use matrix_sdk::ruma::events::SyncStateEvent;
use matrix_sdk::ruma::events::room::tombstone::RoomTombstoneEventContent;
use matrix_sdk::{Room, RoomState};
use ruma::OwnedRoomId;

use tokio::time::Instant;

use super::state::SyncLoop;
use super::upgrade_trust::{AdminPower, NotTrusted, Tombstone, compare_power};
use crate::bot::account::client;
use crate::bot::messages::transaction;
use crate::bot::ops_rooms::OpsRooms;
use crate::bot::permission::may_command;
use crate::bot::settings::matrix_config;
use crate::store::Upgrade;
use kestrel_core::render::replies;

/// The power level of an admin where the config names none: that of a room's creator.
const ADMIN: i64 = 100;

/// How long an upgrade waits for the bot's invitation before that is reported: clients invite after the tombstone.
const INVITING: Duration = Duration::from_secs(60);

/// What becomes of an upgrade.
enum UpgradeDecision {
    Follow {
        proven: bool,
    },
    Not(NotTrusted),
    /// The new room is not known well enough yet.
    Wait,
}

impl SyncLoop {
    /// Follows upgrades of ops rooms, after a sync and before its events are handled.
    pub(crate) async fn follow_upgrades(&mut self) {
        self.undecided_upgrades.clear();
        self.drop_left_rooms().await;
        let ops = self.ops();
        for old in ops.all() {
            let Some(room) = self.joined(&old) else { continue };
            let Some(successor) = room.successor_room() else { continue };
            if ops.replaced_by(&old) == Some(&successor.room_id) {
                continue;
            }
            if let Err(error) = self.consider(&room, &ops).await {
                tracing::warn!("the upgrade of {old} is checked again later: {error:#}");
                self.undecided_upgrades.insert(successor.room_id);
            }
        }
    }

    async fn consider(&mut self, old: &Room, ops: &OpsRooms) -> Result<()> {
        let Some(tombstone) = tombstone_of(old).await? else { return Ok(()) };
        match self.weigh(old, &tombstone, ops).await? {
            UpgradeDecision::Wait => drop(self.undecided_upgrades.insert(tombstone.new)),
            UpgradeDecision::Follow { proven } => self.follow(old, &tombstone, proven).await?,
            UpgradeDecision::Not(distrust) => self.decline(old, &tombstone, distrust, ops).await,
        }
        Ok(())
    }

    async fn weigh(
        &self,
        old: &Room,
        tombstone: &Tombstone,
        ops: &OpsRooms,
    ) -> Result<UpgradeDecision> {
        if let Some(followed) = ops.replaced_by(old.room_id()) {
            return Ok(UpgradeDecision::Not(NotTrusted::Followed(followed.to_owned())));
        }
        let before = old.power_levels().await?;
        if !may_command(old, &tombstone.sender, &self.config).await {
            return Ok(UpgradeDecision::Not(NotTrusted::NotAdmin));
        }
        if ops.is_before(&tombstone.new, old.room_id()) {
            return Ok(UpgradeDecision::Not(NotTrusted::Circle));
        }
        if ops.is_configured(&tombstone.new) {
            return Ok(UpgradeDecision::Follow { proven: true });
        }
        let Some(new) = self.client.get_room(&tombstone.new) else {
            return Ok(UpgradeDecision::Not(NotTrusted::NotInvited));
        };
        match new.state() {
            RoomState::Joined => {}
            RoomState::Invited => return self.enter(old, &new).await,
            _ => return Ok(UpgradeDecision::Not(NotTrusted::NotInvited)),
        }
        // An invitation does not carry these: they come with the first sync after it is joined.
        let Ok(after) = new.power_levels().await else { return Ok(UpgradeDecision::Wait) };
        let matrix = matrix_config(&self.config)?;
        let least = matrix.min_power_level.unwrap_or(ADMIN);
        let (before, after) =
            (AdminPower::from_levels(&before, least), AdminPower::from_levels(&after, least));
        let mut known = vec![old.own_user_id(), &*tombstone.sender];
        known.extend(matrix.admins.iter().map(|admin| &**admin));
        Ok(match compare_power(&before, &after, &known) {
            Ok(()) => UpgradeDecision::Follow { proven: false },
            Err(distrust) => UpgradeDecision::Not(distrust),
        })
    }

    /// Joins the new room, if the inviter may command in the old one.
    async fn enter(&self, old: &Room, new: &Room) -> Result<UpgradeDecision> {
        let inviter = new.invite_details().await?.inviter_id;
        if !may_command(old, &inviter, &self.config).await {
            return Ok(UpgradeDecision::Not(NotTrusted::NotInvited));
        }
        new.join().await.with_context(|| format!("{} cannot be joined", new.room_id()))?;
        tracing::info!("joined {}, invited by {inviter}", new.room_id());
        Ok(UpgradeDecision::Wait)
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
        let says = replies::upgraded(
            (&upgrade.old, &upgrade.new),
            &tombstone.sender,
            &line,
            upgrade.proven,
        );
        let in_new = transaction::for_part(&tombstone.event, "upgrade-new");
        self.tell_admins(&upgrade.new, in_new.as_str(), &says);
        if crate::bot::ops_rooms::may_send(old).await {
            let in_old = transaction::for_part(&tombstone.event, "upgrade-old");
            self.tell_admins(&upgrade.old, in_old.as_str(), &says);
        }
        Ok(())
    }

    /// Posts once why an upgrade is not followed, and leaves a room that was joined for it.
    async fn decline(
        &mut self,
        old: &Room,
        tombstone: &Tombstone,
        distrust: NotTrusted,
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
        let waits = distrust == NotTrusted::NotInvited;
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
            distrust.reason().words()
        );
        let says = replies::not_followed(
            (old.room_id(), &tombstone.new),
            &tombstone.sender,
            distrust.reason(),
        );
        let txn = transaction::for_part(&tombstone.event, part);
        self.tell_ops(old.room_id(), txn.as_str(), &says).await;
        if let Err(error) = ledger.note_said(what) {
            tracing::error!("the notice could not be marked as sent: {error:#}");
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

    /// Saves that an admin's encrypted command arrived from a new room: from now on it replaces the old one.
    pub(crate) async fn prove_upgrade(&self, room: &Room, came: &TimelineEvent) {
        let ops = self.ops();
        let new = |upgrade: &Upgrade| upgrade.new == room.room_id();
        if came.kind.encryption_info().is_none() || !ops.unproven().iter().any(new) {
            return;
        }
        if let Err(error) = self.store.ledger().prove_upgrade(room.room_id()) {
            return tracing::error!(
                "the first command from {} could not be saved: {error:#}",
                room.room_id()
            );
        }
        tracing::info!("an admin's encrypted command arrived in {}", room.room_id());
        let line = config_line(&ops.as_configured_now());
        let cause = came.event_id().unwrap_or_else(|| ruma::owned_event_id!("$command"));
        let txn = transaction::for_part(&cause, "upgrade-proven");
        self.tell_admins(room.room_id(), txn.as_str(), &replies::upgrade_proven(&line));
    }

    /// Forgets upgrades to rooms that the bot is not in any more and from which no command came: an admin removed
    /// it from a room that is none of theirs.
    async fn drop_left_rooms(&self) {
        for upgrade in self.ops().unproven() {
            let state = self.client.get_room(&upgrade.new).map(|room| room.state());
            if !matches!(state, Some(RoomState::Left | RoomState::Banned)) {
                continue;
            }
            tracing::warn!(
                "the bot is not in {} any more: the upgrade to it is no longer followed",
                upgrade.new
            );
            if let Err(error) = self.store.ledger().unfollow_upgrade(&upgrade.new) {
                tracing::error!("that could not be saved: {error:#}");
                continue;
            }
            let now = Timestamp::now().as_millisecond();
            let txn = format!("kestrel-unfollowed-{now}");
            self.tell_ops(&upgrade.old, &txn, &replies::unfollowed(&upgrade.old, &upgrade.new))
                .await;
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
    use ruma::owned_room_id;

    use super::*;

    #[test]
    fn the_config_line_is_toml() {
        let line = config_line(&[owned_room_id!("!a:x"), owned_room_id!("!b:x")]);
        assert_eq!(line, r#"rooms = ["!a:x", "!b:x"]"#);
        let read: toml::Table = line.parse().unwrap();
        assert_eq!(read["rooms"].as_array().unwrap().len(), 2);
    }
}
