//! A message as it will be sent: kept in the ledger until the homeserver accepts it.

use serde::{Deserialize, Serialize};

use kestrel_core::render::Reply;

/// Both bodies, and whether it notifies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutgoingMessage {
    pub(crate) plain: String,
    pub(crate) html: String,
    /// Whether phones notify: a notice does not.
    pub(crate) rings: bool,
    /// The new text of the storm's first message: both bodies.
    pub(crate) instead: Option<(String, String)>,
    /// Whether it is the first message of a storm: everything else about the storm goes in its thread.
    #[serde(default)]
    pub(crate) opens: bool,
}

impl OutgoingMessage {
    /// A message that notifies nobody.
    pub(crate) fn quiet(reply: &Reply) -> Self {
        let plain = reply.plain.clone();
        let html = reply.html.clone();
        Self { plain, html, rings: false, instead: None, opens: false }
    }

    /// One that changes the first message as well.
    pub(crate) fn instead(self, reply: Reply) -> Self {
        Self { instead: Some((reply.plain, reply.html)), ..self }
    }

    /// As the ledger stores it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From the ledger; none if it is from another version.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_outlives_the_process() {
        let reply = Reply { plain: "a <b>".into(), html: "a &lt;b&gt;".into() };
        let message =
            OutgoingMessage { rings: true, ..OutgoingMessage::quiet(&reply) }.instead(reply);
        assert_eq!(OutgoingMessage::read(&message.text()), Some(message));
        assert_eq!(OutgoingMessage::read("torn"), None);
        let older = r#"{"plain":"a","html":"a","rings":true,"instead":null}"#;
        assert_eq!(OutgoingMessage::read(older).map(|message| message.opens), Some(false));
    }
}
