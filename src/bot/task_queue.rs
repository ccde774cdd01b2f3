//! Accepted tasks → answers, the oldest first. The ledger is the queue.

pub(super) mod intake;
pub(super) mod task;
pub(super) mod worker;
