//! What the room should hear although it is in no ledger → kept in memory until it is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bot::messages::outgoing_message::OutgoingMessage;

/// Notices that wait at the most, while the homeserver takes none.
const WAITING: usize = 20;

/// Something for the room that is in no ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Names it to the homeserver, so that sending it twice says it once.
    pub(crate) key: String,
    pub(crate) message: OutgoingMessage,
}

/// Notices that wait for the room, shared between who has something to say and who sends.
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

    /// It was sent, or can never be.
    pub(crate) fn said(&self, notice: &Notice) {
        self.lock().retain(|other| other.key != notice.key);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        // A panic elsewhere while it was held leaves at worst a notice that is said twice.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
