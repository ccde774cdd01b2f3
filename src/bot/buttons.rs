//! A reaction under a storm's root → what its button asks for. Clients never encrypt reactions, so no button does
//! anything harmful that a stolen access token could trigger: 🔕 is answered with the command to send, and mutes
//! nothing.

use jiff::{SignedDuration, Timestamp};
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::chat_line::ChatLine;
use super::request::ChatRequest;
use super::timeline_event;
use kestrel_core::command::Command;
use kestrel_core::question::{Question, Span, Topic};
use kestrel_core::render::replies;
use kestrel_core::render::storm::{AGAIN, MUTE, WHY};
use kestrel_core::storm::{Event, StormKind, Whose};

/// How long before a storm the new log window starts.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// Which button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Button {
    Again,
    Why,
    Mute,
}

/// A button was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ButtonPress {
    pub(super) button: Button,
    pub(super) root: OwnedEventId,
    event: OwnedEventId,
    pub(super) sender: OwnedUserId,
    sent: Timestamp,
}

impl ButtonPress {
    /// The press of this event, if its key is a button's.
    pub(super) fn from_event(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = timeline_event::reaction(event)?;
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
            sent: timeline_event::sent(event.origin_server_ts)?,
        })
    }

    /// The same request as a line in the storm's thread.
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

/// What a button asks of a storm.
pub(super) fn asked(button: Button, storm: &Event) -> ChatRequest {
    match button {
        Button::Why => ChatRequest::Command(Command::Why),
        Button::Mute => ChatRequest::UsageError(replies::how_to_mute(storm.storm)),
        Button::Again => match again(storm) {
            Some(question) => ChatRequest::Command(Command::Ask(question)),
            None => ChatRequest::UsageError(replies::no_device_in_it()),
        },
    }
}

/// The question about a storm again; none if the storm names nobody.
fn again(storm: &Event) -> Option<Question> {
    let from = storm.first.checked_sub(BEFORE).unwrap_or(storm.first);
    let topic = match (&storm.whose, storm.kind) {
        (Whose::Device { user, device }, _) => {
            Topic::All { user: user.clone(), device: Some(device.clone()), event: None }
        }
        (Whose::Everybody, StormKind::Fleet) => Topic::Fleet,
        (Whose::Address(_) | Whose::Everybody | Whose::Server, _) => return None,
    };
    Some(Question { topic, span: Span::Since(from) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn press(key: &str, kind: &str) -> Option<ButtonPress> {
        let event = json!({
            "type": kind,
            "event_id": "$press",
            "sender": "@a:example.org",
            "origin_server_ts": 1_000,
            "content": {"m.relates_to": {
                "rel_type": "m.annotation", "event_id": "$root", "key": key,
            }},
        });
        ButtonPress::from_event(&serde_json::from_value(event).ok()?)
    }

    fn storm(kind: StormKind, whose: Whose) -> Event {
        let at = Timestamp::from_second(1_000).unwrap();
        let change = kestrel_core::storm::Change::Started;
        let trigger = "x".into();
        let storm = 7;
        let count = 3;
        let devices = 1;
        let first = at;
        let last = at;
        Event { at, storm, change, kind, whose, trigger, count, devices, first, last }
    }

    #[test]
    fn no_button_is_destructive() {
        let device =
            Whose::Device { user: ruma::user_id!("@a:example.org").into(), device: "DEV".into() };
        for (kind, whose) in [
            (StormKind::OtkConflict, device),
            (StormKind::Fleet, Whose::Everybody),
            (StormKind::OtkConflict, Whose::Everybody),
        ] {
            let storm = storm(kind, whose);
            for button in [Button::Again, Button::Why, Button::Mute] {
                if let ChatRequest::Command(command) = asked(button, &storm) {
                    assert!(!command.is_destructive(), "{command:?}");
                }
            }
            let ChatRequest::UsageError(reply) = asked(Button::Mute, &storm) else {
                panic!("a reaction mutes");
            };
            assert!(reply.plain.contains("!mute 7 1h"), "{}", reply.plain);
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
