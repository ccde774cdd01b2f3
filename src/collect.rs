//! Plan → what the sources say. The only part that touches the outside world.
//!
//! All sources are asked at once, under one deadline; where an inbox is watched, that comes first and has a
//! time of its own. A source that fails is an answer too: nothing here returns an error, and nothing here
//! decides.

mod gather;
mod http;
pub mod logs;
pub mod postgres;
pub mod prometheus;

pub use self::gather::run;
