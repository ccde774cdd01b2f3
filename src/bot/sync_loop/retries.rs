//! Events that had to wait, for a key or for the homeserver → the same events, handled.

use jiff::Timestamp;
use matrix_sdk::ruma::events::room::encrypted::OriginalSyncRoomEncryptedEvent;

use super::state::SyncLoop;
use crate::bot::event_age::too_old;

impl SyncLoop {
    /// Tries the events without a key again, after keys may have come.
    pub(super) async fn retry_undecrypted(&mut self) {
        for kept in self.undecrypted.take() {
            let Some(room) = self.joined(&kept.room) else {
                continue;
            };
            if too_old(kept.sent, Timestamp::now(), self.max_age()) {
                tracing::warn!("the key of an event in {} did not arrive in time", kept.room);
                continue;
            }
            let encrypted = kept.event.cast_ref_unchecked::<OriginalSyncRoomEncryptedEvent>();
            match room.decrypt_event(encrypted, None).await {
                Ok(event) if !event.kind.is_utd() => self.handle_events(&room, &[event]).await,
                _ => self.undecrypted.keep(kept),
            }
        }
    }

    /// Retries commands that had to wait for the homeserver.
    pub(crate) async fn retry_waiting(&mut self) {
        for (room, event) in std::mem::take(&mut self.admissions.waiting) {
            if let Some(room) = self.joined(&room) {
                self.handle_events(&room, &[event]).await;
            }
        }
    }
}
