//! KE-2: media keys that do not arrive or do not decrypt.

mod capture_advice;
mod client_signs;
mod dead_identity;
mod device_known;
mod dropped_messages;
mod inbox_drained;
mod ke1_link;
mod keys_in_order;
mod media_silent;
mod messages_dropped;
mod needs;
mod questions;
mod sender_targets;
mod sender_validated;
mod undrained;

pub(super) use needs::NEEDS;
pub(super) use questions::QUESTIONS;
