//! Reads a log source. Synchronous: callers run it on its own thread. It never fails: an error is part
//! of the answer.

mod answers;
pub mod follow;
mod grep_command;
mod lines;
mod log_file;
mod log_positions;
mod lookback;
mod question;
mod reading;
mod replay;
pub mod same_host;
mod same_log;
mod seek;
pub mod slice;
mod summary;
mod zone;

pub use self::answers::{LogReading, read};
pub use self::log_positions::log_positions;
pub use self::question::LogQuestion;
pub use self::replay::{Replayed, replay};
pub use self::same_log::distinct;

#[cfg(test)]
mod carrier_tests;
#[cfg(test)]
mod tests;
