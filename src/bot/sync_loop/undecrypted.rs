//! Events whose key has not come yet → the same events, read, when it has. In an encrypted room that is
//! ordinary: the key travels by another road than the message. Read late they pass the same gate.

use std::collections::VecDeque;

use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::events::room::encrypted::OriginalSyncRoomEncryptedEvent;
use matrix_sdk::ruma::serde::Raw;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};

use super::listen::Ear;
use crate::bot::permission::too_old;

/// How many are kept of the ops rooms, and how many of direct chats: nobody there can push out a command.
const MOST: usize = 100;

/// Those that wait.
pub(crate) type Unreadables = VecDeque<Unreadable>;

/// One of them.
#[derive(Debug)]
pub(crate) struct Unreadable {
    room: OwnedRoomId,
    event: Raw<AnySyncTimelineEvent>,
    sent: Timestamp,
    ops: bool,
}

impl Ear {
    pub(crate) fn keep_unreadable(&mut self, room: &Room, event: &Raw<AnySyncTimelineEvent>) {
        // What an earlier device of the bot said is unreadable to this one, and needs no answer.
        let sender = event.get_field::<OwnedUserId>("sender").ok().flatten();
        let Some(sender) = sender.filter(|sender| sender != room.own_user_id()) else {
            return;
        };
        let sent = (event.get_field::<i64>("origin_server_ts").ok().flatten())
            .and_then(|sent| Timestamp::from_millisecond(sent).ok());
        let Some(sent) = sent.map(|sent| self.sent_by_our_clock(&sender, sent)) else {
            return;
        };
        if too_old(sent, Timestamp::now(), self.max_age()) {
            return;
        }
        tracing::info!("an event in {} has no key yet", room.room_id());
        let ops = self.ops_room(room.room_id()).is_some();
        let alike = |kept: &Unreadable| kept.ops == ops;
        if self.unreadable.iter().filter(|kept| alike(kept)).count() >= MOST
            && let Some(oldest) = self.unreadable.iter().position(alike)
        {
            self.unreadable.remove(oldest);
        }
        let (room, event) = (room.room_id().to_owned(), event.clone());
        self.unreadable.push_back(Unreadable { room, event, sent, ops });
    }

    /// Whether a message of a room waits for its key.
    pub(crate) fn waits_for_a_key(&self, room: &RoomId) -> bool {
        self.unreadable.iter().any(|kept| kept.room == room)
    }

    /// Tries the events without a key again, after keys may have come.
    pub(crate) async fn try_unreadable(&mut self) {
        for kept in std::mem::take(&mut self.unreadable) {
            let Some(room) = self.joined(&kept.room) else {
                continue;
            };
            if too_old(kept.sent, Timestamp::now(), self.max_age()) {
                tracing::warn!("the key of an event in {} never came", kept.room);
                continue;
            }
            let encrypted = kept.event.cast_ref_unchecked::<OriginalSyncRoomEncryptedEvent>();
            let event = match room.decrypt_event(encrypted, None).await {
                Ok(event) if !event.kind.is_utd() => event,
                _ => {
                    self.unreadable.push_back(kept);
                    continue;
                }
            };
            self.hear_all(&room, &[event]).await;
        }
    }
}
