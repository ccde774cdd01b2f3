//! What of a text may leave the server: secrets and private words are cut, and what was cut is counted.

pub mod address;
pub mod cut;
pub mod path;
pub mod patterns;
mod postable;
mod removed;
pub mod scrubber;

pub use postable::shortened;
pub use removed::{Removed, Secret};
