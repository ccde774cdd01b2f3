//! What a capture works with: the flow, the store, and the signal that messages are pending.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Notify;

use crate::flow::Flow;
use crate::store::{NewMessage, Store};

/// Shared by the commands of captures and by each session's task.
#[derive(Debug, Clone)]
pub(crate) struct CaptureContext {
    pub(super) flow: Flow,
    pub(super) store: Store,
    /// Wakes the task that sends pending messages.
    due: Arc<Notify>,
}

impl CaptureContext {
    pub(crate) fn new(flow: Flow, store: Store, due: Arc<Notify>) -> Self {
        Self { flow, store, due }
    }

    /// Queues a message.
    pub(super) fn owe(&self, message: &NewMessage) -> Result<()> {
        self.store.ledger().owe_messages(std::slice::from_ref(message))?;
        self.due.notify_one();
        Ok(())
    }
}
