//! Invitations → the ops rooms and no other, let in by whom the bot listens to, also while it was away.
//! Every other invitation is left alone: an answer would tell the sender that the account is live.

use std::collections::{HashMap, HashSet};

use matrix_sdk::{Client, Room, RoomState};
use ruma::{OwnedRoomId, OwnedUserId};

use super::gate::may_command;
use super::matrix_of;
use crate::config::Config;

/// What it remembers of invitations.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Left alone, each with its inviter, so that it is logged once.
    declined: HashSet<(OwnedRoomId, Option<OwnedUserId>)>,
    /// Joined before the inviter's power level could be known: an invitation does not carry it.
    on_trial: HashMap<OwnedRoomId, OwnedUserId>,
}

impl Door {
    /// Joins where it may, after a sync.
    pub(super) async fn tend(&mut self, client: &Client, config: &Config) {
        self.judge(client, config).await;
        for room in client.invited_rooms() {
            self.welcome(&room, config).await;
        }
    }

    async fn welcome(&mut self, room: &Room, config: &Config) {
        let Ok(matrix) = matrix_of(config) else {
            return;
        };
        let id = room.room_id();
        let inviter = room.invite_details().await.ok().map(|invite| invite.inviter_id);
        let by = inviter.as_ref().map_or("an unknown user", |inviter| inviter.as_str());
        let listed = matrix.rooms.iter().any(|listed| listed == id);
        let named = inviter.as_ref().is_some_and(|inviter| matrix.admins.contains(inviter));
        let may_be = named || (inviter.is_some() && matrix.min_power_level.is_some());
        let invitation = (id.to_owned(), inviter.clone());
        if !listed || !may_be || (!named && self.declined.contains(&invitation)) {
            if self.declined.insert(invitation) {
                tracing::warn!("an invitation to {id} by {by} is left alone");
            }
            return;
        }
        match room.join().await {
            Ok(()) => tracing::info!("joined {id}, invited by {by}"),
            Err(error) => {
                return tracing::warn!("cannot join {id}, trying again: {error}");
            }
        }
        if let (false, Some(inviter)) = (named, inviter) {
            self.on_trial.insert(id.to_owned(), inviter);
        }
    }

    /// Leaves a room again whose inviter turns out to be below `min_power_level`.
    async fn judge(&mut self, client: &Client, config: &Config) {
        for (id, inviter) in std::mem::take(&mut self.on_trial) {
            let Some(room) = client.get_room(&id).filter(|room| room.state() == RoomState::Joined)
            else {
                continue;
            };
            if room.power_levels().await.is_err() {
                self.on_trial.insert(id, inviter);
            } else if !may_command(&room, &inviter, config).await {
                tracing::warn!("{inviter}, who invited to {id}, is below min_power_level: leaving");
                if let Err(error) = room.leave().await {
                    tracing::warn!("cannot leave {id}: {error}");
                }
                self.declined.insert((id, Some(inviter)));
            }
        }
    }
}
