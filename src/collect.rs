//! Queries every source that a plan needs. The only part that touches the outside world.
//!
//! All sources are queried at the same time, under one deadline. A watched inbox comes first and has its own time. A
//! source that fails is an answer too: nothing here returns an error, and nothing here decides.

mod gather;
mod http;
pub mod logs;
pub mod postgres;
pub mod prometheus;

pub use self::gather::run;
