//! What must outlive the process → one embedded database, and back: of the storm watch the places in the
//! logs, its state, storms, messages that are due and mutes; the cases and captures; what was asked and is
//! not answered, and answers that are not sent.
//!
//! A step is written whole or not at all, and is on the disk when the call returns: whoever posts a message
//! after it finds it again after a crash. Terminal commands open the same file beside a running bot. What
//! people or clients wrote is only ever a bound parameter, never a part of SQL.

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
