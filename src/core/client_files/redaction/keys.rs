//! Rejections, keys and IDs → what of them may be stored: public keys are public, IDs stay, and anything of another
//! form is cut or replaced by a digest.

use serde_json::{Map, Value, json};

use crate::client_files::signs::{self, RefusalText};
use crate::evidence::redaction::Secret;
use crate::evidence::redaction::cut::CUT;
use crate::evidence::redaction::path;
use crate::evidence::redaction::patterns::{DEVICE, KEY_ID, OPAQUE, PUBLIC, SIGNATURE};
use crate::evidence::redaction::scrubber::Scrubber;

/// Errors of Synapse that are stored word for word.
const ERROR_TEXTS: &[&str] = &[
    "Too Many Requests",
    "Internal server error",
    "Not found",
    "Unrecognized request",
    "Invalid access token passed.",
    "Access token has expired",
    "Missing access token",
];

impl Scrubber {
    /// An answer's error: a rewritten rejection, or what it is a sign of; a server may write anything else.
    pub(crate) fn error(&mut self, error: &str) -> String {
        if let Some(refused) = signs::refused(error) {
            return self.refusal(&refused);
        }
        if ERROR_TEXTS.contains(&error) || error == CUT {
            return error.to_owned();
        }
        self.removed.one(Secret::Value);
        signs::sign(error).map_or(CUT, signs::words_of).to_owned()
    }

    /// A rewritten rejection: of both values only the key, its signatures and whether it is a fallback.
    pub(crate) fn refusal(&mut self, refused: &RefusalText) -> String {
        let id = self.key_id(&refused.key.0);
        let old = self.key(&refused.old);
        let new = self.key(&refused.new);
        format!("One time key {id} already exists. Old key: {old}; new key: {new}")
    }

    /// `ALGORITHM:ID` if it has that form.
    pub(crate) fn key_id(&mut self, id: &str) -> String {
        if KEY_ID.is_match(id) {
            return id.to_owned();
        }
        self.removed.one(Secret::Unknown);
        format!("{CUT}:{CUT}")
    }

    /// A one-time key's value as it may be stored: public keys are public, anything else becomes a digest.
    pub(crate) fn key(&mut self, value: &Value) -> Value {
        let text = |key: &Value| match key.as_str() {
            Some(key) if PUBLIC.is_match(key) || path::is_digest(key) => json!(key),
            Some(key) => json!(path::digest(key)),
            None => json!(CUT),
        };
        let Some(fields) = value.as_object() else { return text(value) };
        let mut kept = Map::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("key", key) => kept.insert(name.clone(), text(key)),
                ("fallback", Value::Bool(_)) => kept.insert(name.clone(), value.clone()),
                ("signatures", Value::Object(users)) => {
                    kept.insert(name.clone(), Value::Object(self.signatures(users)))
                }
                _ => {
                    self.removed.one(Secret::Field);
                    None
                }
            };
        }
        Value::Object(kept)
    }

    fn signatures(&mut self, users: &Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for (user, keys) in users.iter().take(8) {
            let Some(user) = self.user(user) else { continue };
            let of_key = |(id, signature): (&String, &Value)| {
                let device = id.strip_prefix("ed25519:")?;
                let device = self.device(device)?;
                let signature = signature.as_str().filter(|text| SIGNATURE.is_match(text))?;
                Some((format!("ed25519:{device}"), json!(signature)))
            };
            let keys = keys.as_object().into_iter().flatten().take(8);
            kept.insert(user, Value::Object(keys.filter_map(of_key).collect()));
        }
        kept
    }

    /// A user ID, if it is one and nothing else.
    pub(crate) fn user(&mut self, text: &str) -> Option<String> {
        let is_user = text.len() <= 255 && ruma::UserId::parse(text).is_ok();
        self.unchanged(text).filter(|_| is_user)
    }

    /// A device ID: it may be anything, but not a token or a sentence.
    pub(crate) fn device(&mut self, text: &str) -> Option<String> {
        if OPAQUE.is_match(text) && !text.starts_with("eyJ") {
            return Some(text.to_owned());
        }
        let fits = DEVICE.is_match(text);
        self.unchanged(text).filter(|_| fits)
    }
}
