//! What a client reports about itself, from its diagnostics report or a HAR file: signs, each counted with its first
//! and last time by the client's clock. Bodies, tokens and IDs of delayed events are never here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence::figures::counted;
use crate::evidence::otk::{KeyId, KeyView};
use crate::evidence::subject::Subject;

/// What one client reports. It proves nothing by itself: its user wrote it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClientFacts {
    pub user: Option<String>,
    pub device: Option<String>,
    pub sdk: Option<String>,
    /// The first and last time in it, by the client's clock.
    pub span: Option<(Timestamp, Timestamp)>,
    pub signs: Vec<Noted>,
    /// Rejected key uploads with both values, where a HAR file has them.
    pub refused: Vec<ClientRefusal>,
    /// Events that it could not decrypt, with the column of its message.
    pub events: Vec<ClientEvent>,
    /// Its requests on delayed events, where a HAR file has them.
    pub delays: Option<ClientDelays>,
    /// Entries of a kind that is not known here.
    pub unknown: u64,
    /// How far its clock is from the server's, where a HAR file shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
    /// To-device messages that it sent, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<ClientSent>,
    /// How many to-device messages it sent in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent_count: u64,
    /// Its requests on delayed events by the minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minutes: Vec<DelayMinute>,
    /// The state of its sync, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Whether its crypto was up when it wrote the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_ready: Option<bool>,
    /// What its report counted of each KE: a ring buffer may hold fewer entries than it counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, u64>,
    /// What of its file was not read or not kept, for people: nothing is known of that part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// The first and last time without a zone, as its log writes them: nobody knows when that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<(String, String)>,
    /// The keys of the encryption account that it had when it wrote the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ClientIdentity>,
    /// The version of its encryption library, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_version: Option<String>,
    /// The app and its version, which is not the SDK's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

/// The public keys of a client's encryption account, unpadded base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientIdentity {
    pub ed25519: Option<String>,
    pub curve25519: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The client's clock minus the server's. `Date` is written in whole seconds, so half a second is as near
/// as one pair can tell; the middle of many pairs is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    pub millis: i64,
    /// Requests whose answer carried the server's clock.
    pub pairs: u64,
    /// Milliseconds between the tenth and the ninetieth of a hundred pairs.
    pub spread: i64,
}

/// A to-device message that the client sent, to one device or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSent {
    /// `org.matrix.msgid`: what Synapse logs of it.
    pub msgid: String,
    pub event_type: String,
    pub at: Option<Timestamp>,
    /// The answer's status; none or 0 where there was no answer.
    pub status: Option<i64>,
    /// The users and devices it was sent to, the first of them.
    pub targets: Vec<(String, String)>,
}

/// Requests on delayed events that began in one minute by the client's clock; seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DelayMinute {
    pub at: Timestamp,
    pub count: u64,
    pub timed_out: u64,
    pub refused: u64,
    pub slowest: f64,
}

/// A sign, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    pub sign: Sign,
    pub count: u64,
    /// The first and last, by the client's clock.
    pub span: Option<(Timestamp, Timestamp)>,
    /// A curve25519 key that the message names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What a line of a client's log shows (domain: measured on matrix-js-sdk and rust-crypto).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// `One time key … already exists`: its own upload was rejected.
    AlreadyExists,
    /// `Olm event doesn't contain a ciphertext for our key`: addressed to an old identity.
    NoCiphertextForUs,
    /// `MissingOneTimeKey`: a pre-key message for a key that it does not have.
    MissingOneTimeKey,
    /// `Failed to decrypt a non-pre-key message with all available sessions`.
    Wedged,
    /// `MissingKey`, `missing key at index`, `key set not found`: a call's media cannot be decrypted.
    MissingMediaKey,
    /// A media key arrived and was decrypted: rust-crypto calls it unexpected.
    MediaKeyDecrypted,
    /// `sender_device_keys with incorrect …`: the validation of crypto-wasm 18.3.
    SenderKeysRefused,
    /// `No targets found for sending key`: it sends keys to nobody.
    NoTargets,
    /// `DecryptionError`, `Error decrypting event`.
    DecryptionError,
    /// `Restart delayed event timed out`, `delayed event update timeout error`.
    DelayTimedOut,
    /// An answer 429 that is not Synapse's: its proxy's, while Synapse was unreachable.
    Unreachable,
}

impl Sign {
    /// For a person: `1 rejected key upload`, `3 missing media keys`.
    pub fn counted(self, count: u64) -> String {
        let (one, many) = match self {
            Self::AlreadyExists => ("rejected key upload", "rejected key uploads"),
            Self::NoCiphertextForUs => {
                ("message for another identity key", "messages for another identity key")
            }
            Self::MissingOneTimeKey => {
                ("message for a missing one-time key", "messages for a missing one-time key")
            }
            Self::Wedged => {
                ("message that no Olm session decrypts", "messages that no Olm session decrypts")
            }
            Self::MissingMediaKey => ("missing media key", "missing media keys"),
            Self::MediaKeyDecrypted => ("decrypted media key", "decrypted media keys"),
            Self::SenderKeysRefused => {
                ("message with rejected sender keys", "messages with rejected sender keys")
            }
            Self::NoTargets => ("media key sent to nobody", "media keys sent to nobody"),
            Self::DecryptionError => ("event that did not decrypt", "events that did not decrypt"),
            Self::DelayTimedOut => ("delayed event timeout", "delayed event timeouts"),
            Self::Unreachable => (
                "request answered by a proxy instead of Synapse",
                "requests answered by a proxy instead of Synapse",
            ),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AlreadyExists,
        Self::NoCiphertextForUs,
        Self::MissingOneTimeKey,
        Self::Wedged,
        Self::MissingMediaKey,
        Self::MediaKeyDecrypted,
        Self::SenderKeysRefused,
        Self::NoTargets,
        Self::DecryptionError,
        Self::DelayTimedOut,
        Self::Unreachable,
    ];
}

/// An upload that the client saw rejected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientRefusal {
    pub key: KeyId,
    /// The value that the server has, by its answer.
    pub old: KeyView,
    pub new: KeyView,
    pub at: Option<Timestamp>,
    /// The last time that the same upload was rejected, if that is another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How many more times it was rejected, at other times: a client writes several lines about one rejection.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub again: u64,
}

/// Lines that are closer together may be about one rejection.
const APART: SignedDuration = SignedDuration::from_millis(250);

impl ClientRefusal {
    /// Two values under one id, seen once or at no known time.
    pub fn once(key: KeyId, old: KeyView, new: KeyView) -> Self {
        Self { key, old, new, at: None, last: None, again: 0 }
    }

    /// Whether both are of one conflict: the key ID, the stored key, the rejected key.
    pub fn same_conflict(&self, key: &KeyId, old: &KeyView, new: &KeyView) -> bool {
        self.key == *key && self.old.same_key(old) && self.new.same_key(new)
    }

    /// The same upload was rejected at this time too. Lines without a time cannot be distinguished.
    pub(crate) fn once_more(&mut self, at: Option<Timestamp>) {
        let Some((first, at)) = self.at.zip(at) else { return };
        let last = self.last.unwrap_or(first);
        if at.duration_since(last) >= APART {
            self.last = Some(at);
            self.again = self.again.saturating_add(1);
        }
    }
}

/// An event that the client could not decrypt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvent {
    pub event: String,
    /// It read no algorithm, or none that it knows.
    pub no_algorithm: bool,
    /// Where its message says that a field is missing: the end of what it read.
    pub column: Option<u64>,
}

/// Requests on delayed events as the client saw them; seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientDelays {
    pub count: u64,
    /// Given up before the answer came.
    pub timed_out: u64,
    pub refused: u64,
    pub gone: u64,
    pub slowest: f64,
}

impl ClientFacts {
    /// Whether it is from that device's client, or names no other.
    pub fn is_of(&self, subject: &Subject) -> bool {
        self.user.as_deref().is_none_or(|user| user == subject.user.as_str())
            && self.device.as_deref().is_none_or(|device| device == subject.device.as_str())
    }

    /// One line for a person: what it shows, most first.
    pub fn summary(&self) -> String {
        let mut signs: Vec<_> = Sign::ALL
            .into_iter()
            .map(|sign| (self.count(sign), sign))
            .filter(|(count, _)| *count > 0)
            .collect();
        signs.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let mut said: Vec<_> = signs.iter().map(|(count, sign)| sign.counted(*count)).collect();
        if let Some(delays) = &self.delays {
            said.push(counted(delays.count, "delayed event request"));
        }
        if self.sent_count > 0 {
            said.push(counted(self.sent_count, "to-device message") + " sent");
        }
        if said.is_empty() {
            said.push("no known sign of a problem".to_owned());
        }
        let whose = match (&self.user, &self.device) {
            (Some(user), Some(device)) => format!(" of {user} {device}"),
            (Some(id), None) | (None, Some(id)) => format!(" of {id}"),
            (None, None) => String::new(),
        };
        let unread = if self.unread.is_empty() { "" } else { "; not all of the file was read" };
        format!("client{whose}: {}{unread}", said.join(", "))
    }

    /// A moment of the client's clock by the server's, as far as a HAR file tells the two apart.
    pub fn by_server(&self, at: Timestamp) -> Timestamp {
        let ahead = self.skew.map_or(0, |skew| skew.millis);
        at.checked_sub(SignedDuration::from_millis(ahead)).unwrap_or(at)
    }

    /// How often a sign was noted.
    pub fn count(&self, sign: Sign) -> u64 {
        self.signs.iter().filter(|noted| noted.sign == sign).map(|noted| noted.count).sum()
    }
}
