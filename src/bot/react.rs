//! A reaction under a storm's root → the command that its button stands for.

use jiff::{SignedDuration, Timestamp};
use matrix_sdk::ruma::events::reaction::OriginalSyncReactionEvent;
use matrix_sdk::ruma::events::{
    AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent,
};
use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::line::ChatLine;
use crate::command::{Command, Span, Triage, Whom};
use crate::render::storm::{AGAIN, MUTE, WHY};
use crate::storm::{Event, Kind, Whose};

/// How long the button mutes.
const MUTED: std::time::Duration = std::time::Duration::from_secs(60 * 60);
/// How much before a storm is looked at again.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// Which button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Button {
    Again,
    Why,
    Mute,
}

/// Somebody pressed a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Press {
    pub(super) button: Button,
    pub(super) root: OwnedEventId,
    event: OwnedEventId,
    pub(super) sender: OwnedUserId,
    sent: Timestamp,
}

impl Press {
    /// The press of this event, if it is one of ours to read.
    pub(super) fn of(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = reaction(event)?;
        let annotation = &event.content.relates_to;
        // Clients add a selector that asks for the coloured picture.
        let key = annotation.key.trim_end_matches('\u{fe0f}');
        let button = match key {
            AGAIN => Button::Again,
            WHY => Button::Why,
            MUTE => Button::Mute,
            _ => return None,
        };
        Some(Self {
            button,
            root: annotation.event_id.clone(),
            event: event.event_id.clone(),
            sender: event.sender.clone(),
            sent: Timestamp::from_millisecond(event.origin_server_ts.get().into()).ok()?,
        })
    }

    /// As if it had been typed in the storm's thread.
    pub(super) fn line(self) -> ChatLine {
        ChatLine {
            event: self.event,
            sender: self.sender,
            sent: self.sent,
            body: String::new(),
            formatted: None,
            thread: Some(self.root),
            replied: None,
        }
    }
}

/// The reaction that an event is, unless it was taken back.
pub(super) fn reaction(event: &AnySyncTimelineEvent) -> Option<&OriginalSyncReactionEvent> {
    match event {
        AnySyncTimelineEvent::MessageLike(AnySyncMessageLikeEvent::Reaction(
            SyncMessageLikeEvent::Original(event),
        )) => Some(event),
        _ => None,
    }
}

/// What a button asks of a storm; none where nothing can be asked again.
pub(super) fn command(button: Button, storm: &Event) -> Option<Command> {
    let from = storm.first.checked_sub(BEFORE).unwrap_or(storm.first);
    match button {
        Button::Why => Some(Command::Why),
        Button::Mute => Some(Command::Mute { whom: Whom::Storm(storm.storm), length: MUTED }),
        Button::Again => match (&storm.whose, storm.kind) {
            (Whose::Device { user, device }, _) => Some(Command::Triage(Triage {
                user: user.as_str().try_into().ok()?,
                device: Some(device.as_str().into()),
                event: None,
                span: Span::Since(from),
            })),
            (Whose::Everybody, Kind::Fleet) => Some(Command::Fleet(Span::Since(from))),
            (Whose::Address(_) | Whose::Everybody, _) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn press(key: &str, kind: &str) -> Option<Press> {
        let event = json!({
            "type": kind,
            "event_id": "$press",
            "sender": "@a:example.org",
            "origin_server_ts": 1_000,
            "content": {"m.relates_to": {
                "rel_type": "m.annotation", "event_id": "$root", "key": key,
            }},
        });
        Press::of(&serde_json::from_value(event).ok()?)
    }

    #[test]
    fn a_button_is_known_with_and_without_its_colour() {
        for (key, button) in [
            (AGAIN, Some(Button::Again)),
            ("\u{1f501}\u{fe0f}", Some(Button::Again)),
            ("\u{2753}\u{fe0f}", Some(Button::Why)),
            (MUTE, Some(Button::Mute)),
            ("\u{1f44d}", None),
            ("", None),
        ] {
            let pressed = press(key, "m.reaction");
            assert_eq!(pressed.as_ref().map(|press| press.button), button, "{key:?}");
            assert!(pressed.is_none_or(|press| press.line().root() == "$root"));
        }
        assert_eq!(press(AGAIN, "m.room.message"), None);
    }
}
