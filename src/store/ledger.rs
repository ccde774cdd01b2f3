//! The embedded database: positions in the logs, the state of the watch, storms, unsent messages, mutes,
//! cases, captures, accepted commands and their answers.
//!
//! A step is written completely or not at all, and is on disk when the call returns: a message that is posted
//! after it is known after a crash. Terminal commands open the same file while the bot runs. Text from people
//! or clients is always a bound parameter, never part of SQL.

mod captures;
mod cases;
mod command_copies;
mod connection;
mod migrations;
mod mutes;
mod outgoing;
mod owed;
mod room_changes;
mod schema;
mod storm_roots;
mod storms;
mod tasks;
mod watch_state;

pub use captures::KeptCapture;
pub use cases::{Kept, NewCase};
pub use connection::Ledger;
pub use outgoing::{Dropped, NewMessage, Outgoing};
pub use owed::{Due, Owed};
pub use room_changes::{Absence, Upgrade};
pub use storms::StoredStorm;
pub use tasks::{Accepted, HandedIn};
pub use watch_state::Step;

#[cfg(test)]
mod tests;
