//! Evidence → what it says, looked up once for all branches of a question.

use super::certainty::Certainty;
use super::inbox_contents::InboxContents;
use super::log_visibility::Unseen;
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use crate::evidence::auth::AuthLog;
use crate::evidence::delay::DelayLog;
use crate::evidence::{DeviceKeys, Evidence, KeyLog, Known, StoredKeys};

/// What the evidence says.
pub(super) struct Facts<'a> {
    pub(super) log: Known<KeyLog>,
    /// The log, and beside it what a client's report says was refused.
    pub(super) reported: KeyLog,
    pub(super) keys: Known<&'a DeviceKeys>,
    pub(super) stored: Known<&'a StoredKeys>,
    pub(super) delays: Known<DelayLog>,
    pub(super) auth: Known<AuthLog>,
    /// What the logs could not have shown.
    pub(super) unseen: Unseen,
    /// The device's inbox, message by message.
    pub(super) inbox: InboxContents<'a>,
    /// What KE-1 came to; KE-2 is judged after it.
    pub(super) ke1: KeysResult,
    /// What stands for a table that was read and holds nothing of the device.
    no_keys: StoredKeys,
}

/// What KE-1 says about the same evidence.
pub(super) struct KeysResult {
    pub(super) id: VerdictId,
    pub(super) certainty: Certainty,
    pub(super) because: Vec<String>,
}

impl<'a> Facts<'a> {
    pub(super) fn look_up(evidence: &'a Evidence) -> Self {
        let log = evidence.key_log();
        let mut reported = log.value().cloned().unwrap_or_default();
        for (_, client) in evidence.clients() {
            reported.report(evidence.device(), client, evidence.now);
        }
        let keys = evidence.device_keys();
        let inbox = evidence.inbox().value().copied();
        let inbox = InboxContents::sort(inbox, keys.value().copied(), evidence.subject.sender());
        Self {
            reported,
            keys,
            stored: evidence.one_time_keys(),
            delays: evidence.delay_log(),
            auth: evidence.auth_log(),
            unseen: Unseen::in_logs(evidence, &log),
            log,
            inbox,
            ke1: KeysResult::NONE,
            no_keys: StoredKeys::default(),
        }
    }

    /// The stored keys as far as the table was read.
    pub(super) fn stored_keys(&self) -> Option<&StoredKeys> {
        match &self.stored {
            Known::Is(stored, _) => Some(stored),
            Known::None(_) => Some(&self.no_keys),
            Known::Unknown(..) => None,
        }
    }

    /// Keeps what KE-1 came to for KE-2.
    pub(super) fn note_ke1(&mut self, verdict: &Verdict) {
        let Verdict { id, certainty, because, .. } = verdict;
        self.ke1 = KeysResult { id: *id, certainty: *certainty, because: because.clone() };
    }
}

impl KeysResult {
    /// As long as KE-1 was not judged.
    const NONE: Self = Self {
        id: VerdictId::Inconclusive,
        certainty: Certainty::NotEnoughEvidence,
        because: Vec::new(),
    };
}
