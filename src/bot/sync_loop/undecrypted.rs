//! Events whose key has not arrived yet, stored until it does. Ops rooms and direct chats have separate limits, so
//! that a direct chat cannot push out a command.

use std::collections::VecDeque;

use jiff::Timestamp;
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomId};

/// How many are stored for the ops rooms, and how many for direct chats.
const MOST: usize = 100;

/// One of them.
#[derive(Debug)]
pub(super) struct UndecryptedEvent {
    pub(super) room: OwnedRoomId,
    pub(super) event: Raw<AnySyncTimelineEvent>,
    pub(super) sent: Timestamp,
    /// It was sent to an ops room.
    pub(super) ops: bool,
}

/// Those that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct UndecryptedEvents {
    waiting: VecDeque<UndecryptedEvent>,
}

impl UndecryptedEvents {
    /// Stores one; drops the oldest of its kind if there are too many.
    pub(super) fn keep(&mut self, event: UndecryptedEvent) {
        let alike = |kept: &UndecryptedEvent| kept.ops == event.ops;
        if self.waiting.iter().filter(|kept| alike(kept)).count() >= MOST
            && let Some(oldest) = self.waiting.iter().position(alike)
        {
            self.waiting.remove(oldest);
        }
        self.waiting.push_back(event);
    }

    /// Whether one of a room waits.
    pub(super) fn has_room(&self, room: &RoomId) -> bool {
        self.waiting.iter().any(|kept| kept.room == room)
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> VecDeque<UndecryptedEvent> {
        std::mem::take(&mut self.waiting)
    }
}
