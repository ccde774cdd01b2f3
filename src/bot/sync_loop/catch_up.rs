//! Rooms after a start or a gap in the sync → their missed events are handled. There is a limit, and the room gets a
//! line that says how far back Kestrel read.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::Room;

use super::missed_events::{self, ReadBack};
use super::state::SyncLoop;
use crate::bot::event_age::NOBODY_WAITS;
use kestrel_core::render::replies;

/// How many direct chats are read back after one sync.
const CHATS: usize = 20;

impl SyncLoop {
    /// Reads each room back once: for what came between the last sync of the previous process and its end, and for
    /// what one sync does not contain. Synapse may answer the first sync from its cache, without newer events: this
    /// finds them.
    pub(crate) async fn catch_up(&mut self) {
        let mut rooms = self.ops().all();
        let most = rooms.len() + CHATS;
        rooms.extend(self.chats());
        rooms.retain(|id| !self.caught_up.contains(id));
        rooms.truncate(most);
        for id in rooms {
            let Some(room) = self.joined(&id) else {
                continue;
            };
            match self.read_back(&room, None).await {
                Ok(()) => drop(self.caught_up.insert(id)),
                Err(error) => tracing::warn!(
                    "the missed events of {id} cannot be read, trying again: {error:#}"
                ),
            }
        }
    }

    /// Handles the missed events of a room, from a position in its timeline or from its end.
    pub(crate) async fn read_back(&mut self, room: &Room, from: Option<&str>) -> Result<()> {
        let heard = self.store.ledger().heard(room.room_id())?;
        let day = SignedDuration::try_from(NOBODY_WAITS).unwrap_or(SignedDuration::MAX);
        let yesterday = Timestamp::now().checked_sub(day).unwrap_or(Timestamp::MIN);
        let oldest = yesterday.max(self.store.since());
        let back = ReadBack { heard: heard.as_deref(), oldest, from };
        let missed = missed_events::missed(room, back).await?;
        let count = missed.events.len();
        tracing::info!("{count} missed events in {}", room.room_id());
        self.handle_events(room, &missed.events).await;
        self.note_handled(room, missed.events.last());
        if let Some((cut, last)) = missed.cut.zip(missed.events.last().and_then(|e| e.event_id())) {
            tracing::warn!(
                "{} was read back to {cut}, the newest {count} events; older ones are skipped",
                room.room_id()
            );
            let says = replies::read_back_to(count, &self.responder.flow.view().moment(cut));
            self.remark(room.room_id(), &last, &says);
        }
        Ok(())
    }
}
