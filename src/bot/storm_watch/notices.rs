//! Notices for the room that are not in the ledger → kept in memory until they are sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bot::messages::outgoing_message::OutgoingMessage;

/// Notices that wait at the most, while the homeserver takes none.
const WAITING: usize = 20;

/// A notice for the room that is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Its transaction key, so that sending it twice posts it once.
    pub(crate) key: String,
    pub(crate) message: OutgoingMessage,
}

/// Pending notices, shared between the storm watch and the outbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices {
    waiting: Arc<Mutex<VecDeque<Notice>>>,
}

impl Notices {
    pub(crate) fn say(&self, notice: Notice) {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(notice);
    }

    pub(crate) fn oldest(&self) -> Option<Notice> {
        self.lock().front().cloned()
    }

    /// It was sent, or never can be.
    pub(crate) fn said(&self, notice: &Notice) {
        self.lock().retain(|other| other.key != notice.key);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        // A panic elsewhere while it was locked leaves at worst a notice that is posted twice.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
