//! Events whose key has not arrived yet → stored until it does. In an encrypted room that is normal: the key travels
//! separately from the message.

use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::serde::Raw;
use ruma::{OwnedUserId, RoomId};

use super::state::SyncLoop;
use super::undecrypted::UndecryptedEvent;
use crate::bot::event_age::too_old;
use crate::bot::timeline_event;

impl SyncLoop {
    pub(super) fn keep_undecrypted(&mut self, room: &Room, event: &Raw<AnySyncTimelineEvent>) {
        // Messages of the bot's own earlier devices are unreadable, and need no answer.
        let sender = event.get_field::<OwnedUserId>("sender").ok().flatten();
        let Some(sender) = sender.filter(|sender| sender != room.own_user_id()) else {
            return;
        };
        let Some(sent) = timeline_event::raw_sent(event) else { return };
        let sent = self.sent_by_our_clock(&sender, sent);
        if too_old(sent, Timestamp::now(), self.max_age()) {
            return;
        }
        tracing::info!("an event in {} has no key yet", room.room_id());
        self.undecrypted.keep(UndecryptedEvent {
            room: room.room_id().to_owned(),
            event: event.clone(),
            sent,
            ops: self.ops_room(room.room_id()).is_some(),
        });
    }

    /// Whether a message of a room waits for its key.
    pub(super) fn waits_for_a_key(&self, room: &RoomId) -> bool {
        self.undecrypted.has_room(room)
    }
}
