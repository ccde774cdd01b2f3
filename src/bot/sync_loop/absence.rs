//! An ops room that the bot was removed from → a line in another ops room, one in the log and one in `!storms`.
//! Pending messages for the room wait in the ledger until the bot is invited again.

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::{Room, RoomState};
use ruma::RoomId;

use super::state::SyncLoop;
use crate::bot::ops_rooms::may_send;
use crate::bot::outbox::owed_message;
use crate::bot::settings::matrix_config;
use crate::store::Absence;
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

impl SyncLoop {
    /// Notes which ops rooms the bot is not in any more, and which it is in again.
    pub(crate) async fn note_absences(&mut self) {
        if let Err(error) = self.try_note_absences().await {
            tracing::error!("the bot's membership of its ops rooms could not be saved: {error:#}");
        }
    }

    async fn try_note_absences(&mut self) -> Result<()> {
        let ledger = self.store.ledger();
        let absent = ledger.absences()?;
        let in_use = self.ops().in_use();
        for gone in absent.iter().filter(|absence| !in_use.contains(&absence.room)) {
            ledger.end_absence(&gone.room)?;
        }
        for id in in_use {
            let Some(room) = self.client.get_room(&id) else { continue };
            let known = absent.iter().any(|absence| absence.room == id);
            match room.state() {
                RoomState::Joined if known => {
                    ledger.end_absence(&id)?;
                    tracing::info!("the bot is in the ops room {id} again");
                    self.responder.owed.notify_one();
                }
                RoomState::Left | RoomState::Banned if !known => {
                    let since = Timestamp::now();
                    let absence = Absence { room: id, how: how(&room).await, since };
                    ledger.note_absence(&absence)?;
                    self.tell_absence(&absence).await;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn tell_absence(&mut self, absence: &Absence) {
        let Absence { room, how, since } = absence;
        tracing::error!(
            "the bot is not in the ops room {room} any more ({how}). Its alerts and answers are sent when the bot is \
             back. An admin has to invite it again"
        );
        // Messages sent there meanwhile are read when the bot is back.
        self.caught_up.remove(room);
        let txn = format!("kestrel-absent-{}", since.as_millisecond());
        self.tell_ops(room, &txn, &replies::absent(room, how)).await;
    }

    /// Queues a message about an ops room: for that room, or for another one if the bot may not send there.
    pub(crate) async fn tell_ops(&self, about: &RoomId, txn: &str, says: &Reply) {
        let mut rooms = self.ops().in_use();
        rooms.insert(0, about.to_owned());
        for id in rooms {
            if let Some(room) = self.joined(&id)
                && may_send(&room).await
            {
                return self.tell_admins(&id, txn, says);
            }
        }
    }

    /// Queues a message for an ops room that mentions the admins. `txn` is the transaction ID.
    pub(crate) fn tell_admins(&self, room: &RoomId, txn: &str, says: &Reply) {
        let admins = matrix_config(&self.config).map_or_else(|_| Vec::new(), |m| m.admins.clone());
        let message = owed_message::to_admins(room, txn, (Timestamp::now(), admins), says);
        if let Err(error) = self.responder.owe(&[message]) {
            tracing::error!("a message for {room} could not be saved and is lost: {error:#}");
        }
    }
}

/// How the bot left a room, by its own membership there.
async fn how(room: &Room) -> String {
    let own = room.get_member_no_sync(room.own_user_id()).await.ok().flatten();
    let by = own.map(|member| member.event().sender().to_owned());
    match (room.state(), by) {
        (RoomState::Banned, Some(by)) => format!("banned by {by}"),
        (RoomState::Banned, None) => "banned".to_owned(),
        (_, Some(by)) if by == room.own_user_id() => "the bot's account left it".to_owned(),
        (_, Some(by)) => format!("removed by {by}"),
        (_, None) => "removed".to_owned(),
    }
}
