//! The logs, as they are written → storms in the ledger, and notices about problems of the watch.

pub(super) mod log_watcher;
pub(super) mod notices;
pub(super) mod shared_state;
pub(super) mod trouble;
