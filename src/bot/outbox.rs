//! What the ledger owes to rooms → messages in them, each once: answers to commands, and alerts of storms.

pub(super) mod alert_order;
pub(super) mod alert_rooms;
pub(super) mod alert_wording;
pub(super) mod alerts;
pub(super) mod answer_message;
pub(super) mod answers;
