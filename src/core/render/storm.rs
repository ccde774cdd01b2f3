//! What is new of a storm → its messages: the first one, what follows in its thread, and the all-clear.
//!
//! The first line is what a locked phone shows, so it says which storm, of what, whose and how bad. Whether
//! and when anything is said is not decided here.

mod alert;
mod list;
mod words;

pub use alert::{AGAIN, Alert, Cured, MUTE, WHY, clear, root, root_cleared, update};
pub use list::{ListedStorm, dropped, list, list_at_most, muted, summary, unmuted};

#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
