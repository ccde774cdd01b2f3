//! Kestrel from outside: the walls between its rooms, saved cases, and real servers with real faults.
//! One binary, because the Matrix SDK links slowly.

// Tests measure, and read what they were asked to record.
#![allow(clippy::disallowed_methods)]

mod bent;
mod calls;
mod cases;
mod crafted;
mod events;
mod lab;
mod room;
mod sources;
mod terminal;
mod verdicts;
mod walls;
