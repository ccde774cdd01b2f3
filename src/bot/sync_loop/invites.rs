//! Invitations → joined ops rooms, if an admin invites, and direct chats of users who may send reports; also those
//! from while the bot was offline. All other invitations are ignored: an answer would show the sender that the
//! account is in use.

use std::collections::{HashMap, HashSet};

use matrix_sdk::{Client, Room};
use ruma::{OwnedRoomId, OwnedUserId, UserId};

use crate::bot::account::client;
use crate::bot::ops_rooms::OpsRooms;
use crate::bot::permission::may_command;
use crate::bot::settings::{matrix_config, may_report};
use crate::config::Config;

/// The most direct chats per user; a client that forgets one creates another.
const CHATS: usize = 5;
/// How often it tries to join one.
const MOST_TRIES: u32 = 3;

/// What is remembered of invitations.
#[derive(Debug, Default)]
pub(crate) struct Invites {
    /// Ignored, each with its inviter, so that it is logged once.
    declined: HashSet<(OwnedRoomId, Option<OwnedUserId>)>,
    /// Joined before the inviter's power level could be known: an invitation does not carry it.
    unchecked_inviters: HashMap<OwnedRoomId, OwnedUserId>,
    /// Direct chats that could not be joined, and how often that was tried.
    failed: HashMap<OwnedRoomId, u32>,
}

impl Invites {
    /// Joins rooms if it may, after a sync.
    pub(crate) async fn join_allowed(&mut self, client: &Client, config: &Config, ops: &OpsRooms) {
        self.check_inviters(client, config).await;
        for room in client.invited_rooms() {
            self.consider(client, &room, config, ops).await;
        }
    }

    async fn consider(&mut self, client: &Client, room: &Room, config: &Config, ops: &OpsRooms) {
        let Ok(matrix) = matrix_config(config) else {
            return;
        };
        let id = room.room_id();
        let inviter = room.invite_details().await.ok().map(|invite| invite.inviter_id);
        let by = inviter.as_ref().map_or("an unknown user", |inviter| inviter.as_str());
        let listed = ops.holds(id);
        let named = inviter.as_ref().is_some_and(|inviter| matrix.admins.contains(inviter));
        if !listed && is_direct_chat(client, room, inviter.as_deref(), config).await {
            return self.join_chat(room, by).await;
        }
        let may_be = named || (inviter.is_some() && matrix.min_power_level.is_some());
        let invitation = (id.to_owned(), inviter.clone());
        if !listed || !may_be || (!named && self.declined.contains(&invitation)) {
            if self.declined.insert(invitation) {
                tracing::warn!("an invitation to {id} from {by} is ignored");
            }
            return;
        }
        match room.join().await {
            Ok(()) => tracing::info!("joined {id}, invited by {by}"),
            Err(error) => {
                return tracing::warn!("cannot join {id}, trying again: {error}");
            }
        }
        if let Some(inviter) = inviter.filter(|_| !named) {
            self.unchecked_inviters.insert(id.to_owned(), inviter);
        }
    }

    /// Joins a direct chat; one that cannot be joined is left alone after a few tries.
    async fn join_chat(&mut self, room: &Room, by: &str) {
        let id = room.room_id();
        let tries = self.failed.entry(id.to_owned()).or_default();
        if *tries >= MOST_TRIES {
            return;
        }
        match room.join().await {
            Ok(()) => {
                tracing::info!("joined the direct chat {id} of {by}");
                self.failed.remove(id);
            }
            Err(error) => {
                *tries += 1;
                tracing::warn!("cannot join the direct chat {id}: {error}");
            }
        }
    }

    /// Leaves a room again whose inviter turns out to be below `min_power_level`.
    async fn check_inviters(&mut self, client: &Client, config: &Config) {
        for (id, inviter) in std::mem::take(&mut self.unchecked_inviters) {
            let Some(room) = client::joined(client, &id) else { continue };
            if room.power_levels().await.is_err() {
                self.unchecked_inviters.insert(id, inviter);
            } else if !may_command(&room, &inviter, config).await {
                tracing::warn!(
                    "leaving {id}: {inviter}, who invited the bot, is below min_power_level"
                );
                if let Err(error) = client::leave(&room).await {
                    tracing::warn!("cannot leave {id}: {error}");
                }
                self.declined.insert((id, Some(inviter)));
            }
        }
    }
}

/// Whether an invitation is to a direct chat with a user who may send reports. How many are in it is known
/// only inside.
async fn is_direct_chat(
    client: &Client,
    room: &Room,
    inviter: Option<&UserId>,
    config: &Config,
) -> bool {
    let Some(inviter) = inviter.filter(|inviter| may_report(config, inviter)) else {
        return false;
    };
    let theirs =
        |joined: &Room| joined.direct_targets().iter().any(|one| one.as_str() == inviter.as_str());
    let many = client.joined_rooms().into_iter().filter(theirs).count();
    room.is_direct().await.unwrap_or(false) && many < CHATS
}
