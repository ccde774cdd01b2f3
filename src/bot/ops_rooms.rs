//! The config's rooms and the upgrades that were followed → which rooms are ops rooms now, and where to post messages
//! for a configured room. Sends nothing and follows nothing.
//!
//! Every caller asks here. After an upgrade both rooms are ops rooms: only a plain event says that the new room
//! replaces the old one, until an admin's encrypted command arrives from the new room.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use matrix_sdk::ruma::events::MessageLikeEventType;
use matrix_sdk::{Client, Room, RoomState};
use ruma::{OwnedRoomId, RoomId};

use super::account::client;
use super::settings::matrix_config;
use crate::config::Config;
use crate::store::{Ledger, Upgrade};

/// The current ops rooms.
#[derive(Debug, Clone, Default)]
pub(super) struct OpsRooms {
    configured: Vec<OwnedRoomId>,
    upgrades: BTreeMap<OwnedRoomId, Upgrade>,
}

/// The ops rooms by this configuration and this ledger.
pub(super) fn ops_rooms(config: &Config, ledger: &Ledger) -> OpsRooms {
    OpsRooms::from_ledger(matrix_config(config).map_or(&[][..], |matrix| &matrix.rooms), ledger)
}

/// The room of the config that alerts and trouble of the account are for.
pub(super) fn alert_room(config: &Config) -> Result<OwnedRoomId> {
    let first = || matrix_config(config).ok()?.rooms.first().cloned();
    config.watch.room.clone().or_else(first).context("no ops room is configured")
}

/// The rooms for messages that belong into one configured room, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PostingRooms {
    rooms: Vec<OwnedRoomId>,
}

/// The rooms where the bot may send now; at least one.
#[derive(Debug, Clone)]
pub(super) struct OpenRooms {
    pub(super) rooms: Vec<Room>,
    /// Whether the newest of them is certainly the ops room.
    pub(super) proven: bool,
}

impl OpsRooms {
    /// If the ledger cannot be read, only the config's rooms are used.
    pub(super) fn from_ledger(configured: &[OwnedRoomId], ledger: &Ledger) -> Self {
        let upgrades = ledger.upgrades().unwrap_or_else(|error| {
            tracing::error!("upgrades of ops rooms cannot be read: {error:#}");
            Vec::new()
        });
        Self::new(configured, upgrades)
    }

    fn new(configured: &[OwnedRoomId], upgrades: Vec<Upgrade>) -> Self {
        let upgrades = upgrades.into_iter().map(|upgrade| (upgrade.old.clone(), upgrade)).collect();
        Self { configured: configured.to_vec(), upgrades }
    }

    /// All ops rooms: those of the config, and each room that took the place of one.
    pub(super) fn all(&self) -> Vec<OwnedRoomId> {
        let chains = self.configured.iter().flat_map(|room| self.chain(room));
        distinct(chains.map(|(room, _)| room))
    }

    /// Whether a room is an ops room.
    pub(super) fn holds(&self, room: &RoomId) -> bool {
        self.configured.iter().any(|one| one == room) || self.all().iter().any(|one| one == room)
    }

    pub(super) fn is_configured(&self, room: &RoomId) -> bool {
        self.configured.iter().any(|one| one == room)
    }

    /// The ops rooms without those that a proven upgrade replaced: in these something is still posted.
    pub(super) fn in_use(&self) -> Vec<OwnedRoomId> {
        distinct(self.configured.iter().flat_map(|room| self.places(room).rooms))
    }

    /// The room that replaced this one.
    pub(super) fn replaced_by(&self, room: &RoomId) -> Option<&RoomId> {
        self.upgrades.get(room).map(|upgrade| &*upgrade.new)
    }

    /// Whether `other` is the room itself or one that it replaced, in any chain of upgrades.
    pub(super) fn is_before(&self, other: &RoomId, room: &RoomId) -> bool {
        self.chain(other).iter().any(|(one, _)| one == room)
    }

    /// New rooms from which no admin's encrypted command has come yet.
    pub(super) fn unproven(&self) -> Vec<Upgrade> {
        let rooms = self.all();
        let held = |upgrade: &&Upgrade| {
            !upgrade.proven && !self.is_configured(&upgrade.new) && rooms.contains(&upgrade.old)
        };
        self.upgrades.values().filter(held).cloned().collect()
    }

    /// The config's rooms as they should read now.
    pub(super) fn as_configured_now(&self) -> Vec<OwnedRoomId> {
        let newest = self.configured.iter().filter_map(|room| self.chain(room).pop());
        distinct(newest.map(|(room, _)| room))
    }

    /// The rooms for messages that belong into a configured room.
    pub(super) fn places(&self, wanted: &RoomId) -> PostingRooms {
        let mut chain = self.chain(wanted);
        let sure = chain.iter().rposition(|(_, proven)| *proven).unwrap_or_default();
        let rooms = chain.split_off(sure).into_iter().map(|(room, _)| room).collect();
        PostingRooms { rooms }
    }

    /// The rooms where the bot may send now.
    pub(super) async fn open(&self, client: &Client, wanted: &RoomId) -> Result<OpenRooms> {
        let PostingRooms { rooms: places } = self.places(wanted);
        let mut rooms = Vec::new();
        for place in &places {
            let Some(room) = client::joined(client, place) else { continue };
            // An upgrade forbids members to send in the old room. The newest room is always tried: the homeserver
            // then says why it fails.
            if places.last() == Some(place) || may_send(&room).await {
                rooms.push(room);
            }
        }
        if rooms.is_empty() {
            let newest = places.last().map_or(wanted, |place| place);
            bail!("the bot is not in {newest} yet: invite it");
        }
        Ok(OpenRooms { rooms, proven: places.len() == 1 })
    }

    /// A configured room and its replacements, the newest last, each with whether that is proven.
    fn chain(&self, room: &RoomId) -> Vec<(OwnedRoomId, bool)> {
        let mut chain = vec![(room.to_owned(), true)];
        let mut last = room;
        while let Some(upgrade) = self.upgrades.get(last) {
            if chain.iter().any(|(one, _)| *one == upgrade.new) {
                break;
            }
            chain.push((upgrade.new.clone(), upgrade.proven || self.is_configured(&upgrade.new)));
            last = &upgrade.new;
        }
        chain
    }
}

/// Whether the room's power levels let the bot send messages. Where they are not known it tries.
pub(super) async fn may_send(room: &Room) -> bool {
    if room.state() != RoomState::Joined {
        return false;
    }
    let Ok(levels) = room.power_levels().await else {
        return true;
    };
    let kind = if room.encryption_state().is_encrypted() {
        MessageLikeEventType::RoomEncrypted
    } else {
        MessageLikeEventType::RoomMessage
    };
    levels.user_can_send_message(room.own_user_id(), kind)
}

fn distinct(rooms: impl Iterator<Item = OwnedRoomId>) -> Vec<OwnedRoomId> {
    let mut distinct = Vec::new();
    for room in rooms {
        if !distinct.contains(&room) {
            distinct.push(room);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> OwnedRoomId {
        format!("!{name}:x").try_into().unwrap()
    }

    fn ids(names: &[&str]) -> Vec<OwnedRoomId> {
        names.iter().map(|name| id(name)).collect()
    }

    /// Upgrades are `old new` or, if they are proven, `old new!`.
    fn rooms(configured: &[&str], upgrades: &[&str]) -> OpsRooms {
        let read = |text: &&str| {
            let (old, new) = text.split_once(' ').unwrap();
            let proven = new.ends_with('!');
            Upgrade { old: id(old), new: id(new.trim_end_matches('!')), proven }
        };
        OpsRooms::new(&ids(configured), upgrades.iter().map(read).collect())
    }

    #[test]
    fn a_chain_of_upgrades_is_followed_to_its_end() {
        for (upgrades, said_in) in [
            (&[][..], &["a"][..]),
            (&["a b"], &["a", "b"]),
            (&["a b!"], &["b"]),
            (&["a b", "b c"], &["a", "b", "c"]),
            (&["a b!", "b c"], &["b", "c"]),
            // A command that came from the newest room proves it, whatever lies between.
            (&["a b", "b c!"], &["c"]),
            (&["a b!", "b c!"], &["c"]),
            // Of a room that is none of the config's.
            (&["other evil!"], &["a"]),
        ] {
            let rooms = rooms(&["a"], upgrades);
            assert_eq!(rooms.places(&id("a")).rooms, ids(said_in), "{upgrades:?}");
            assert_eq!(rooms.in_use(), ids(said_in), "{upgrades:?}");
            assert!(!rooms.holds(&id("evil")) && rooms.holds(&id("a")));
        }
        let rooms = rooms(&["a", "z"], &["a b!", "b c", "z y"]);
        assert_eq!(rooms.all(), ids(&["a", "b", "c", "z", "y"]));
        assert_eq!(rooms.as_configured_now(), ids(&["c", "y"]));
        assert!(rooms.holds(&id("c")) && !rooms.holds(&id("d")));
        assert!(rooms.is_before(&id("a"), &id("c")) && !rooms.is_before(&id("c"), &id("a")));
    }

    #[test]
    fn a_circle_of_upgrades_ends() {
        let rooms = rooms(&["a"], &["a b", "b a"]);
        assert_eq!(rooms.all(), ids(&["a", "b"]));
        assert_eq!(rooms.as_configured_now(), ids(&["b"]));
    }

    #[test]
    fn what_the_config_names_is_proven() {
        // The operator has changed the config already, and named both.
        let rooms = rooms(&["a", "b"], &["a b"]);
        assert_eq!(rooms.places(&id("a")).rooms, ids(&["b"]));
        assert_eq!(rooms.as_configured_now(), ids(&["b"]));
        assert!(rooms.unproven().is_empty());
    }
}
