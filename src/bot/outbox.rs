//! Pending messages in the ledger → messages in rooms, each once: answers to commands, and alerts of storms.

pub(super) mod alert_order;
pub(super) mod alert_outbox;
pub(super) mod alert_posting;
pub(super) mod alert_wording;
pub(super) mod alerts;
pub(super) mod answers;
pub(super) mod owed_message;
pub(super) mod placeholder;
