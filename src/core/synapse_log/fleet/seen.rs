//! One device's uploads as they come → its line in the survey. Memory is bounded: attackers invent keys.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::evidence::fleet::{Conflict, Uploader};
use crate::evidence::key_log::Span;
use crate::synapse_log::fleet::open::End;
use crate::synapse_log::message::Refusal;

/// Distinct conflicting keys distinguished for one device.
const KEYS: usize = 64;
/// A key id that is longer is somebody's game, and is not looked up.
const KEY_ID: usize = 200;
/// So many refusals of one device within this time are no crossing of two uploads.
const MANY: usize = 3;
const WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// A device so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    refused: Option<Span>,
    too_large: Option<Span>,
    pub(crate) accepted: u64,
    accepted_last: Option<Timestamp>,
    /// Digests of the conflicting key ids.
    keys: Vec<u64>,
    /// Digests of the conflicts: key id, old value, new value.
    conflicts: Vec<u64>,
    /// The newest refusals, and whether they ever came as often as a storm's.
    recent: VecDeque<Timestamp>,
    repeated: bool,
    /// Refusals from before it was removed, and when that was.
    before: Option<Span>,
    removed: Option<Timestamp>,
    pub(crate) agent: Option<String>,
    conflict: Option<Conflict>,
}

impl Seen {
    /// How many uploads were refused, for whichever reason, since it was removed last.
    pub(crate) fn refusals(&self) -> u64 {
        let count = |span: Option<Span>| span.map_or(0, |span| span.count);
        count(self.refused) + count(self.too_large)
    }

    /// Whether there is anything to say about it.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.refusals() > 0 || self.before.is_some()
    }

    /// An upload ended.
    pub(crate) fn ended(&mut self, end: End, at: Timestamp) {
        let history = self.removed.is_some_and(|removed| at <= removed);
        match end {
            End::Unsaid => {
                self.accepted += 1;
                self.accepted_last = self.accepted_last.max(Some(at));
            }
            End::Refused(_) | End::TooLarge if history => count(&mut self.before, at),
            End::Refused(refusal) => self.refuse(&refusal, at),
            End::TooLarge => count(&mut self.too_large, at),
        }
    }

    /// The device was removed, and its keys with it.
    pub(crate) fn removed(&mut self, at: Timestamp) {
        for span in [self.refused.take(), self.too_large.take()].into_iter().flatten() {
            match &mut self.before {
                Some(before) => before.add(span),
                None => self.before = Some(span),
            }
        }
        self.keys.clear();
        self.conflicts.clear();
        self.recent.clear();
        (self.repeated, self.conflict, self.removed) = (false, None, Some(at));
    }

    /// Whether the same conflict was seen.
    pub(crate) fn knows(&self, refusal: &Refusal) -> bool {
        self.conflicts.contains(&digest(&(&refusal.key, &refusal.old.digest, &refusal.new.digest)))
    }

    fn refuse(&mut self, refusal: &Refusal, at: Timestamp) {
        count(&mut self.refused, at);
        note(&mut self.keys, digest(&refusal.key));
        note(
            &mut self.conflicts,
            digest(&(&refusal.key, &refusal.old.digest, &refusal.new.digest)),
        );
        self.recent.push_back(at);
        if self.recent.len() > MANY {
            self.recent.pop_front();
        }
        let first = self.recent.front().filter(|_| self.recent.len() == MANY);
        self.repeated |= first.is_some_and(|first| at.duration_since(*first) <= WITHIN);
        if refusal.key.0.len() <= KEY_ID {
            let old = refusal.old.digest.clone();
            self.conflict = Some(Conflict { key: refusal.key.clone(), old });
        }
    }

    pub(crate) fn uploader(self, (user, device): (OwnedUserId, OwnedDeviceId)) -> Uploader {
        Uploader {
            user,
            device,
            refused: self.refused,
            keys: self.keys.len() as u64,
            too_large: self.too_large,
            accepted: self.accepted,
            accepted_last: self.accepted_last,
            repeated: self.repeated,
            before: self.before,
            read_to: None,
            agent: self.agent,
            conflict: self.conflict,
        }
    }
}

fn note(known: &mut Vec<u64>, digest: u64) {
    if known.len() < KEYS && !known.contains(&digest) {
        known.push(digest);
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn count(span: &mut Option<Span>, at: Timestamp) {
    match span {
        Some(span) => span.add(Span::once(at)),
        None => *span = Some(Span::once(at)),
    }
}
