//! Logs that grow → what each moment came to, in the order of time, and where reading goes on after a
//! restart. Each line counts once, whatever becomes of the files; what was missed is said.
//!
//! One thread a log reads pieces; `next` puts the pieces of all logs in order. A backlog is read in step, so
//! that no log runs ahead of another, and a log that is silent or cannot be read holds no other up.

mod find_file;
mod folder_watch;
mod follower;
mod log_reader;
mod merge;
mod notices;
mod position;
mod resume;
mod rotation;
mod round;
mod tail;

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
