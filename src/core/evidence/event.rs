//! One event as the homeserver holds it: its row, the shape of its content, and its redactions. A body
//! is never here: a shape will do.

use jiff::Timestamp;
use ruma::OwnedEventId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    pub kind: String,
    pub room: String,
    /// A user id as stored; of a remote server, it may be anything.
    pub sender: String,
    /// Whether the sender is a user of this server; `None` where nothing tells which server this is.
    #[serde(default)]
    pub local: Option<bool>,
    /// It has a state key: encrypted state is no message, and no client decrypts it.
    pub state: bool,
    /// By the sender's server's clock.
    pub sent: Option<Timestamp>,
    /// Why this server took no notice of it.
    pub rejected: Option<String>,
}

/// What `content.algorithm` is. Synapse stores anything there (domain: absent, null, a number, an
/// object, an empty string).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Algorithm {
    Absent,
    Null,
    /// Another JSON type than a string, by its name.
    Other(String),
    /// A string; at most 64 characters of it.
    Named(String),
}

/// The shape of an event's content, and what Synapse noted beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventShape {
    pub algorithm: Algorithm,
    /// Length of `content` as JSON, in bytes, as stored.
    pub content_bytes: u64,
    /// The device that sent it; Synapse notes it for its own users only (`internal_metadata`).
    pub device: Option<String>,
    /// It was a delayed event (MSC4140).
    pub delayed: bool,
}

/// A redaction that names the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    pub event: String,
    /// Who redacted, where this server has the redaction.
    pub sender: Option<String>,
    /// Whether that is a user of this server; `None` where nothing tells.
    #[serde(default)]
    pub local: Option<bool>,
    /// The content was pruned from the database (after `redaction_retention_period`, 7 days).
    pub censored: bool,
}

/// Characters of an algorithm's name that are kept.
const ALGORITHM: usize = 64;

impl EventShape {
    /// Reads the shape off the stored JSON and metadata, and lets go of them. `None` where the JSON cannot
    /// be read.
    pub fn from_json(event: &str, metadata: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(event).ok()?;
        let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
        let content = event.get("content").cloned().unwrap_or_default();
        Some(Self {
            algorithm: Algorithm::from_content(content.get("algorithm")),
            content_bytes: content.to_string().len() as u64,
            device: metadata.get("device_id").and_then(Value::as_str).map(str::to_owned),
            delayed: metadata.get("delay_id").is_some(),
        })
    }
}

impl Algorithm {
    /// What is in `content.algorithm`.
    pub fn from_content(value: Option<&Value>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Null) => Self::Null,
            Some(Value::String(name)) => Self::Named(name.chars().take(ALGORITHM).collect()),
            Some(Value::Bool(_)) => Self::Other("boolean".into()),
            Some(Value::Number(_)) => Self::Other("number".into()),
            Some(Value::Array(_)) => Self::Other("array".into()),
            Some(Value::Object(_)) => Self::Other("object".into()),
        }
    }
}

/// How long the content was that a client could not read, from the column in its message: the client
/// serialises the event with the content at its end (measured: 107 bytes, the sender and the content,
/// with an event id of 44 characters). `None` where the arithmetic gives no length.
pub fn content_seen(column: u64, event: &OwnedEventId, sender: &str) -> Option<u64> {
    const FRAME: u64 = 107 - 44;
    column.checked_sub(FRAME + event.as_str().len() as u64 + sender.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shapes_are_read_and_bodies_let_go() {
        let of = |content: Value| {
            let event = json!({"type": "m.room.encrypted", "content": content}).to_string();
            EventShape::from_json(&event, r#"{"device_id":"DEV","delay_id":"syd_secret"}"#).unwrap()
        };
        for (content, algorithm) in [
            (json!({"ciphertext": "x"}), Algorithm::Absent),
            (json!({"algorithm": null}), Algorithm::Null),
            (json!({"algorithm": 5}), Algorithm::Other("number".into())),
            (json!({"algorithm": {}}), Algorithm::Other("object".into())),
            (json!({"algorithm": ""}), Algorithm::Named(String::new())),
            (json!({"algorithm": "m.a\u{0}b"}), Algorithm::Named("m.a\u{0}b".into())),
        ] {
            assert_eq!(of(content).algorithm, algorithm);
        }
        let shape = of(json!({"body": "the secret text"}));
        assert_eq!((shape.device.as_deref(), shape.delayed), (Some("DEV"), true));
        let kept = serde_json::to_string(&shape).unwrap();
        assert!(!kept.contains("secret"), "{kept}");
        assert_eq!(EventShape::from_json("no json", "{}"), None);
    }

    #[test]
    fn the_column_gives_the_length_of_the_content() {
        let event = OwnedEventId::try_from("$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ").unwrap();
        assert_eq!(content_seen(123, &event, "@s8a:lab.local"), Some(2));
        assert_eq!(content_seen(217, &event, "@s8a:lab.local"), Some(96));
        assert_eq!(content_seen(20, &event, "@s8a:lab.local"), None);
    }
}
