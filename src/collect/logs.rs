//! A log source → what it says of one device's keys. Synchronous: callers put it on a thread of its
//! own. Never fails: what goes wrong is part of the answer.

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
mod tests;
