//! Delayed events of one user and everybody's latency, by the log.

pub(crate) mod ended;
mod requests;
mod silence;
mod tally;

pub use tally::DelayTally;
