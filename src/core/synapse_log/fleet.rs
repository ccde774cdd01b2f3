//! Whose uploads were refused and whose were taken, of every device, by the log.

mod agent;
mod needles;
mod open;
mod seen;
mod tally;

pub use tally::FleetTally;
