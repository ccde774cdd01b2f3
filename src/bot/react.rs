//! A reaction under a storm's root → what its button asks for. Clients never encrypt reactions, so no button does
//! what a stolen access token could do harm with: 🔕 is answered with the line to send, and mutes nothing.

use jiff::{SignedDuration, Timestamp};
use matrix_sdk::ruma::events::reaction::OriginalSyncReactionEvent;
use matrix_sdk::ruma::events::{
    AnySyncMessageLikeEvent, AnySyncTimelineEvent, SyncMessageLikeEvent,
};
use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::answer::Asked;
use super::line::ChatLine;
use super::words;
use kestrel_core::command::Command;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::storm::{AGAIN, MUTE, WHY};
use kestrel_core::storm::{Event, Kind, Whose};

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

/// What a button asks of a storm.
pub(super) fn asked(button: Button, storm: &Event) -> Asked {
    match button {
        Button::Why => Asked::Command(Command::Why),
        Button::Mute => Asked::Slip(words::how_to_mute(storm.storm)),
        Button::Again => match again(storm) {
            Some(question) => Asked::Command(Command::Ask(question)),
            None => Asked::Slip(words::no_device_in_it()),
        },
    }
}

/// The question about a storm, once more; none where it names nobody.
fn again(storm: &Event) -> Option<Question> {
    let from = storm.first.checked_sub(BEFORE).unwrap_or(storm.first);
    let topic = match (&storm.whose, storm.kind) {
        (Whose::Device { user, device }, _) => Topic::All {
            user: user.as_str().try_into().ok()?,
            device: Some(device.as_str().into()),
            event: None,
        },
        (Whose::Everybody, Kind::Fleet) => Topic::Fleet,
        (Whose::Address(_) | Whose::Everybody | Whose::Server, _) => return None,
    };
    Some(Question { topic, span: Span::Since(from) })
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

    fn storm(kind: Kind, whose: Whose) -> Event {
        let at = Timestamp::from_second(1_000).unwrap();
        let (change, trigger) = (kestrel_core::storm::Change::Started, "x".to_owned());
        let (storm, count, devices, first, last) = (7, 3, 1, at, at);
        Event { at, storm, change, kind, whose, trigger, count, devices, first, last }
    }

    #[test]
    fn no_button_is_destructive() {
        let device = Whose::Device { user: "@a:example.org".into(), device: "DEV".into() };
        for (kind, whose) in [
            (Kind::OtkConflict, device),
            (Kind::Fleet, Whose::Everybody),
            (Kind::OtkConflict, Whose::Everybody),
        ] {
            let storm = storm(kind, whose);
            for button in [Button::Again, Button::Why, Button::Mute] {
                if let Asked::Command(command) = asked(button, &storm) {
                    assert!(!command.is_destructive(), "{command:?}");
                }
            }
            let Asked::Slip(reply) = asked(Button::Mute, &storm) else {
                panic!("a reaction mutes");
            };
            assert!(reply.plain.ends_with("!mute 7 1h"), "{}", reply.plain);
        }
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
