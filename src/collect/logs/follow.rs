//! Follows growing logs and returns their events in order of time, with the positions to resume from. Each
//! line counts once, whatever happens to the files. Gaps are reported.
//!
//! One thread per log reads pieces; `next` merges the pieces of all logs. A backlog is read in step, so that
//! no log gets ahead of another. A silent or unreadable log does not block the others.

mod find_file;
mod folder_watch;
mod follower;
mod log_reader;
mod merge;
mod notices;
mod position;
mod resume;
mod round;
mod tail;
mod tails;

pub use self::follower::Follower;
pub use self::position::Position;
pub use self::round::Round;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod test_reader;
#[cfg(test)]
mod test_writer;
#[cfg(test)]
mod tests;
