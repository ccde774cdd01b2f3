//! Kestrel from outside: the walls between its rooms, saved cases, and real servers with real faults.
//! One binary, because the Matrix SDK links slowly.

mod cases;
mod crafted;
mod room;
mod terminal;
mod verdicts;
mod walls;
