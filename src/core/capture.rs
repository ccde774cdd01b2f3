//! A capture session as a state machine: what happened and when, in → what the bot is to do, out.
//!
//! It leads through §4 of the runbook: a checklist, marks at the moments something broke, positions in the
//! logs, differences between clocks. Every state serialises, so a restart in the middle goes on. A session
//! ends exactly once: by a word, by its length, or at its length as abandoned where no person did anything.
//! Nothing here reads a clock, a file or a room; whoever drives it calls `take` with the time of now, at the
//! latest at `due`.

mod checklist;
mod inputs;
mod manifest;
mod session;

pub use checklist::{Doer, Item, Step};
pub use inputs::{CaptureRequest, Effect, End, Input, Mark, Note, Reminder, Said};
pub use manifest::{BundledFile, MANIFEST, Manifest, folder_name};
pub use session::{LONGEST, POLL_EVERY, SAMPLE_EVERY, SCHEMA, SHORTEST, Session, UNSAID};

#[cfg(test)]
mod tests;
