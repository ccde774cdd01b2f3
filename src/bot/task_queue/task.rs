//! An accepted task → the text that the ledger stores until it is answered, and back.
//!
//! A typed line is stored as it was typed. Of a report only its event ID is stored: its content is not redacted yet, so
//! it is fetched again instead of being saved.

use jiff::Timestamp;
use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::bot::buttons::Button;
use crate::bot::chat_line::ChatLine;

/// Something to do for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum QueuedTask {
    /// A command was typed.
    Line(ChatLine),
    /// A button was pressed. The line is as if it had been typed in the thread of the button's message.
    Press(Button, ChatLine),
    /// A file or a paste was sent in a direct chat.
    Report { event: OwnedEventId, sender: OwnedUserId, sent: Timestamp },
}

impl QueuedTask {
    /// As the ledger stores it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From the ledger; none if it is from another version.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// When it was sent, by its sender's homeserver.
    pub(crate) fn sent(&self) -> Timestamp {
        match self {
            Self::Line(line) | Self::Press(_, line) => line.sent,
            Self::Report { sent, .. } => *sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_user_id};

    use super::*;

    #[test]
    fn a_task_outlives_the_process() {
        let line = ChatLine {
            event: owned_event_id!("$line"),
            sender: owned_user_id!("@a:x"),
            sent: Timestamp::from_second(5).unwrap(),
            body: "!ke1 @b:x \"D\u{0} \u{202e}\"\nlast 5m".into(),
            formatted: Some("<b>!ke1</b>".into()),
            thread: Some(owned_event_id!("$root")),
            replied: None,
        };
        let report = QueuedTask::Report {
            event: owned_event_id!("$file"),
            sender: owned_user_id!("@a:x"),
            sent: Timestamp::from_second(5).unwrap(),
        };
        for task in [QueuedTask::Line(line.clone()), QueuedTask::Press(Button::Why, line), report] {
            assert_eq!(QueuedTask::read(&task.text()), Some(task));
        }
        assert_eq!(QueuedTask::read("torn"), None);
    }
}
