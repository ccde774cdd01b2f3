//! What the logs say about one device's one-time keys: uploads accepted and refused, claims, restarts.
//!
//! A storm makes a hundred refusals a second; here equal ones are counted, not kept, so that a day of
//! it fits in a few kilobytes. Every list has a bound, and says so when it was reached.

use jiff::Timestamp;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::evidence::otk::{Claim, KeyId, KeyView};
use crate::evidence::removal::RemovedBy;
use crate::evidence::visibility::Visibility;

/// Distinct conflicts, batches and claims that are kept one by one; beyond it only totals grow.
pub const KEPT: usize = 256;
/// Claims kept one by one: more than a device ever holds of healthy keys, with room for a flood.
pub const KEPT_CLAIMS: usize = 2048;
/// Moments of uploads that are kept to be compared with the database.
pub const KEPT_DATES: usize = 256;
/// One device's key traffic over the window, from one log or several.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyLog {
    pub coverage: Vec<Coverage>,
    /// Refusals of the subject's own uploads: one group a conflict (key id, old value, new value).
    pub refused: Vec<Refused>,
    /// The subject's own refusals beyond the kept groups: counted, not distinguished.
    #[serde(default)]
    pub refused_beyond: Option<Span>,
    /// Refusals that a client could have written (they are right after its text), or that no upload can
    /// be tied to (then the batch is empty). They count only where the database holds the very old key:
    /// keys are stored per device, and nobody outside knows an unclaimed one.
    #[serde(default)]
    pub doubtful: Vec<Refused>,
    /// Refusals of *another* account's uploads whose key value carries the subject's name. Anyone can
    /// write that; it never counts against the subject.
    pub named_by_others: Vec<Refused>,
    /// Refusals that no upload of the subject's could be tied to (its request id has no `Adding` line
    /// in the log). They name the subject in the value only, and never count against it.
    pub unattributed: u64,
    pub accepted: Accepted,
    /// Uploads refused because the device would hold too many keys (Synapse ≥ 1.163).
    pub too_large: Option<Span>,
    pub claims: Claims,
    /// `[sync]: using incomplete cached result` lines of the device: two syncs overlapped.
    pub shared_sync: u64,
    /// Requests by which the user's clients start: a /sync without `since`. The log names no device.
    pub client_starts: Vec<Timestamp>,
    /// Removals of the device, oldest first: a logout, an admin, or the authentication service.
    #[serde(default)]
    pub removed: Vec<Removal>,
    /// Lines that look written by a client and not by Synapse; they were left out.
    pub distrusted: Vec<Distrusted>,
    /// A list reached its bound; totals are right, the lists are not whole.
    pub clipped: bool,
    /// When the device's uploads began (milliseconds), by the same clock and to the same millisecond as the
    /// database's `ts_added_ms`; those right outside the window too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dated: Vec<i64>,
    /// There were more of them than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dated_beyond: bool,
}

/// The device was removed. Its one-time keys and its device keys went with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub at: Timestamp,
    pub by: RemovedBy,
    pub format: Format,
}

/// How far a log was read, and how its times were understood.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coverage {
    pub source: String,
    /// The first and the last moment that the log really holds inside the window.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Whether the log reaches back to the window's start.
    pub whole: bool,
    pub lines: u64,
    pub format: Format,
    /// Where the zone came from, for a person: `UTC-05:00, derived from 12 lines`.
    pub zone: String,
    /// What a person should know: a zone that contradicts the config, a rotated file that was missing.
    pub notes: Vec<String>,
    /// What the log could have shown; `None` in evidence of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible: Option<Visibility>,
}

impl Coverage {
    /// Up to when silence of the log says something: its newest INFO record in the window.
    pub fn until(&self) -> Option<Timestamp> {
        let span = self.span.map(|(_, last)| last);
        match &self.visible {
            Some(visible) => visible.info.map(|(_, last)| last).or(span),
            None => span,
        }
    }
}

/// How a log writes its records, and so what it can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Newlines pass unescaped: whole fake lines can be written by anyone. Never proves by itself.
    #[default]
    Text,
    /// Synapse's TerseJson: one object a line, newlines escaped; no forging.
    Json,
}

/// A count with its first and last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
}

impl Span {
    /// One event.
    pub fn once(at: Timestamp) -> Self {
        Self { first: at, last: at, count: 1 }
    }

    /// Counts another span in.
    pub fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}

/// Whose upload a refusal was, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Doubtful,
    /// It only names the subject.
    Others,
}

/// A group of equal refusals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    pub key: KeyId,
    /// The value that the server holds.
    pub old: KeyView,
    /// The value that was refused.
    pub new: KeyView,
    pub span: Span,
    /// The authenticated uploader.
    pub by: OwnedUserId,
    pub batch: Batch,
    /// How many of the refused uploads also carried device keys.
    pub with_device_keys: u64,
    /// Client addresses, at most 4, as logged (a proxy's header may be the client's own text).
    pub addresses: Vec<String>,
    /// User agents, at most 4; client text.
    pub agents: Vec<String>,
    pub format: Format,
    /// No log has it: only a client's report has it.
    #[serde(skip)]
    pub reported: bool,
    /// The newest record of the log that has it: what came later is not known.
    #[serde(skip)]
    pub read_to: Option<Timestamp>,
}

impl Refused {
    /// Whether both are of one conflict: the key id, the key that stands, the key that was refused.
    pub fn same_conflict(&self, other: &Self) -> bool {
        self.key == other.key && self.old.same_key(&other.old) && self.new.same_key(&other.new)
    }
}

/// The ids of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Batch {
    /// The lowest and highest counter, where every id is a vodozemac counter.
    pub range: Option<(u64, u64)>,
    pub count: u64,
}

/// The uploads that Synapse took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accepted {
    pub uploads: Option<Span>,
    pub keys: u64,
    /// Equal batches counted together, by first acceptance.
    pub batches: Vec<AcceptedBatch>,
}

/// A batch that was accepted, once or again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptedBatch {
    pub batch: Batch,
    pub span: Span,
    pub with_device_keys: u64,
    pub address: Option<String>,
    pub agent: Option<String>,
}

/// The claims of the device's keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Claims {
    pub all: Option<Span>,
    /// The newest `KEPT_CLAIMS`, oldest first.
    pub kept: Vec<Claim>,
}

/// Lines left out because they contradict what Synapse writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distrusted {
    pub why: String,
    pub count: u64,
}
