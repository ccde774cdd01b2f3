//! A timeline event → its kind, unless it was redacted; and when it was sent.

use jiff::Timestamp;
use matrix_sdk::ruma::MilliSecondsSinceUnixEpoch;
use matrix_sdk::ruma::events::reaction::OriginalSyncReactionEvent;
use matrix_sdk::ruma::events::room::message::OriginalSyncRoomMessageEvent;
use matrix_sdk::ruma::events::{
    AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent,
};
use matrix_sdk::ruma::serde::Raw;

/// The message that an event is.
pub(super) fn message(event: &AnySyncTimelineEvent) -> Option<&OriginalSyncRoomMessageEvent> {
    match event {
        AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::RoomMessage(
            SyncMessageLikeEvent::Original(event),
        )) => Some(event),
        _ => None,
    }
}

/// The reaction that an event is.
pub(super) fn reaction(event: &AnySyncTimelineEvent) -> Option<&OriginalSyncReactionEvent> {
    match event {
        AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::Reaction(
            SyncMessageLikeEvent::Original(event),
        )) => Some(event),
        _ => None,
    }
}

/// When an event was sent, by its sender's homeserver.
pub(super) fn sent(at: MilliSecondsSinceUnixEpoch) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.get().into()).ok()
}

/// The same, of an event that was not read yet.
pub(super) fn raw_sent(event: &Raw<AnySyncTimelineEvent>) -> Option<Timestamp> {
    let at = event.get_field::<i64>("origin_server_ts").ok().flatten()?;
    Timestamp::from_millisecond(at).ok()
}
