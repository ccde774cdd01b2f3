//! KE-1: one-time key conflicts of one device.

mod account_recreated;
mod all_read;
mod corroboration;
mod crossed_once;
mod crossed_uploads;
mod device_known;
mod foreign_identity;
mod keys_exhausted;
mod needs;
mod questions;
mod refused_groups;
mod same_account;
mod same_keys_again;
mod too_many_keys;
mod unexplained;
mod upload_order;
mod uploads_refused;

pub(super) use needs::NEEDS;
pub(super) use questions::QUESTIONS;
