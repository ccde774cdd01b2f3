//! KE-3: an event that will not decrypt.

mod algorithm_known;
mod algorithm_stated;
mod client_column;
mod client_contradicts;
mod event_encrypted;
mod event_known;
mod event_redacted;
mod needs;
mod questions;
mod unread;

pub(super) use needs::NEEDS;
pub(super) use questions::QUESTIONS;
