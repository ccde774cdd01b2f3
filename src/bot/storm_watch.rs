//! The logs, as they are written → storms in the ledger, and what keeps the watch from its work.

pub(super) mod follow;
pub(super) mod notices;
pub(super) mod shared_state;
pub(super) mod trouble;
