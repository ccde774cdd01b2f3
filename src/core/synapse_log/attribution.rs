//! One process's log, line by line → one device's `KeyLog`, without what a client may have written.

mod access_heads;
mod hidden;
mod live;
#[cfg(test)]
mod names;
mod reader;
mod request_lines;
mod settle;
mod sites;

pub use crate::synapse_log::key_tally::End;
pub use reader::Attribution;
