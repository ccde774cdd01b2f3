//! Bytes of Synapse's log → facts: records, whose uploads they are, and which lines a client may have written.
//!
//! Nothing here reads a file or asks a clock, and nothing here decides what is wrong.

pub mod access;
mod aggregate;
pub mod attribution;
pub mod auth;
pub mod delays;
pub mod fleet;
mod forgery;
mod key_tally;
pub mod log_events;
mod loud_lines;
pub mod message;
mod needles;
mod process;
pub mod readers;
pub mod record;
mod record_view;
mod redaction;
mod removal;
mod request;
pub mod synapse_lines;
pub mod to_device;
pub mod visibility;
pub mod zone;

pub use redaction::server_message;

#[cfg(test)]
mod equal_tests;
