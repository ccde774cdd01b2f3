//! A capture session as a state machine: events go in, actions for the bot come out.
//!
//! It guides through §4 of the runbook: a checklist, marks at the moments of failure, positions in the logs,
//! clock differences. Every state serialises, so that a session survives a restart. A session ends exactly
//! once: by a command, at its length, or at its length as abandoned if no person did anything. Nothing here
//! reads a clock, a file or a room; the caller passes the current time to `take`, at the latest at `due`.

mod checklist;
mod inputs;
mod manifest;
mod session;

pub use checklist::{Doer, Item, Step};
pub use inputs::{CaptureRequest, Effect, End, Input, Mark, Note, Reminder, Said};
pub use manifest::{BundledFile, MANIFEST, Manifest, folder_name};
pub use session::{
    LONGEST, MOST_MARKS, POLL_EVERY, SAMPLE_EVERY, SCHEMA, SHORTEST, Session, UNSAID,
};

#[cfg(test)]
mod tests;
