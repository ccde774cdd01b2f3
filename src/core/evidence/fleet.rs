//! Every device at once: whose uploads are refused by the log, and whose stored keys are affected by
//! the database. Bounded, and it says when it was cut.
//!
//! In a text log a device's row is what was seen there, never a proof: the database is asked afterwards
//! whether the device exists, and whether it holds the very key that the line names.

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::evidence::key_log::{Coverage, Span};
use crate::evidence::otk::{Check, KeyId};
use crate::evidence::{Subject, counted};

/// Devices of a log that are kept one by one; of more, those with the most refusals.
pub const KEPT: usize = 1000;

/// What a log says about everybody's key uploads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetLog {
    pub coverage: Vec<Coverage>,
    /// Devices with a refused upload, most refusals first; at most `KEPT`.
    pub devices: Vec<Uploader>,
    /// All uploads that were taken, of whichever device.
    pub accepted: u64,
    /// Lines that a client could have written, or that no request ties to an upload: counted only.
    pub doubtful: u64,
    /// Refusals of devices that did not fit into the bound.
    pub beyond: u64,
    /// Devices that were removed, the newest removals; their refusals before that are history.
    #[serde(default)]
    pub removed: Vec<RemovedDevice>,
}

/// A line that names a removed device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedDevice {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    pub at: Timestamp,
    /// No client can have written it, and it reports the removal itself.
    pub sure: bool,
}

/// One device's uploads by the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uploader {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// Uploads refused because a key id was taken.
    pub refused: Option<Span>,
    /// Distinct key ids among them; exact up to a bound.
    pub keys: u64,
    /// Uploads refused because the device would hold too many keys (Synapse ≥ 1.163).
    pub too_large: Option<Span>,
    /// Uploads that were taken.
    pub accepted: u64,
    /// When the last of them was; none in evidence of before this was kept.
    #[serde(default)]
    pub accepted_last: Option<Timestamp>,
    /// The device was refused again and again, whichever key IDs were named.
    #[serde(default)]
    pub repeated: bool,
    /// Refusals from before it was removed.
    #[serde(default)]
    pub before: Option<Span>,
    /// The newest record of the log: what came later is not known.
    #[serde(skip)]
    pub read_to: Option<Timestamp>,
    /// The client's name, shortened from its own text.
    pub agent: Option<String>,
    /// The latest conflict: the database may hold the very key.
    pub conflict: Option<Conflict>,
}

/// A key id that was refused, and the conflicting key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    pub key: KeyId,
    /// Digest of the old key, as `KeyView` makes it.
    pub old: String,
}

/// What the database says about everybody's keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetRows {
    /// Devices that were looked at: hidden rows are none.
    pub read: u64,
    /// Devices in trouble by their stored keys.
    pub devices: Vec<Holder>,
    /// Devices without encryption keys, all counted and a few listed: most are bots and bridges.
    pub keyless: u64,
    /// Those of the log's devices that the database has; `None` where it was not asked.
    #[serde(default)]
    pub confirmed: Option<Vec<Confirmed>>,
    /// Where and why reading stopped before the end.
    pub cut: Option<String>,
}

/// One device's stored keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// Synapse notes this at most every few minutes.
    pub last_seen: Option<Timestamp>,
    /// When its present identity was stored; `None` for a device without one.
    pub identity: Option<Timestamp>,
    /// One-time keys stored, counted up to a flood. With none the fallback key is used or
    /// absent too: a device with a fallback key left is in no trouble.
    pub one_time_keys: u64,
    /// Those of them that are older than the identity.
    pub older: u64,
    /// The signature test of the oldest stored key, which is handed out next; only for devices with older
    /// keys.
    pub next_key: Option<Check>,
    /// A dehydrated device: it never tops up by itself. `None` where the role may not know.
    pub dehydrated: Option<bool>,
}

/// A device that the log names and the database has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    pub user: OwnedUserId,
    pub device: OwnedDeviceId,
    /// The row under the conflicting id equals the line's old key: nobody outside could have guessed it.
    pub holds_old_key: bool,
    /// When its present identity was stored.
    #[serde(default)]
    pub identity: Option<Timestamp>,
}

impl FleetLog {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let refused: u64 = self.devices.iter().map(Uploader::refusals).sum();
        let mut said = format!(
            "{} from {}, {} accepted",
            counted(refused + self.beyond, "rejected upload"),
            counted(self.devices.len() as u64, "device"),
            self.accepted
        );
        if self.beyond > 0 {
            said.push_str(&format!("; limited to {KEPT} devices"));
        }
        if self.doubtful > 0 {
            said.push_str(&format!("; {} that a client may have written", self.doubtful));
        }
        said
    }

    /// Whether any device is in trouble by the log.
    pub fn says_anything(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Adds another process's log to this one: one device may speak to several.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
        self.accepted += other.accepted;
        self.doubtful += other.doubtful;
        self.beyond += other.beyond;
        self.removed.extend(other.removed.iter().cloned());
        for uploader in &other.devices {
            match self.devices.iter_mut().find(|known| known.is_same(uploader)) {
                Some(known) => known.join(uploader),
                None => self.devices.push(uploader.clone()),
            }
        }
        self.clip();
    }

    /// Notes at each device how far its log was read.
    pub fn note_ends(&mut self) {
        let read_to = self.coverage.iter().filter_map(|part| Some(part.span?.1)).max();
        self.devices.iter_mut().for_each(|known| known.read_to = read_to);
    }

    /// Those with the most refusals first, and no more than are kept.
    pub(crate) fn clip(&mut self) {
        self.devices.sort_by_key(|known| std::cmp::Reverse(known.refusals()));
        let rest = self.devices.split_off(self.devices.len().min(KEPT));
        self.beyond += rest.iter().map(Uploader::refusals).sum::<u64>();
    }
}

impl Uploader {
    /// Refused uploads, for whichever reason.
    pub fn refusals(&self) -> u64 {
        let count = |span: Option<Span>| span.map_or(0, |span| span.count);
        count(self.refused) + count(self.too_large)
    }

    /// The device as other rooms name it.
    pub fn subject(&self) -> Subject {
        Subject { user: self.user.clone(), device: self.device.clone() }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.user == other.user && self.device == other.device
    }

    fn join(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.refused, other.refused),
            (&mut self.too_large, other.too_large),
            (&mut self.before, other.before),
        ] {
            match (mine, theirs) {
                (Some(mine), Some(theirs)) => mine.add(theirs),
                (mine @ None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        }
        self.keys = self.keys.max(other.keys);
        self.accepted += other.accepted;
        self.accepted_last = self.accepted_last.max(other.accepted_last);
        self.repeated |= other.repeated;
        self.read_to = match (self.read_to, other.read_to) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        self.agent = self.agent.take().or_else(|| other.agent.clone());
        self.conflict = self.conflict.take().or_else(|| other.conflict.clone());
    }
}

impl FleetRows {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let cut = self.cut.as_ref().map_or(String::new(), |cut| format!("; cut: {cut}"));
        format!(
            "{} of {} checked are affected; {} without encryption keys{cut}",
            self.devices.len(),
            counted(self.read, "device"),
            self.keyless
        )
    }
}
