//! KE-1: one-time key conflicts of one device.

mod corroboration;
mod crossed_uploads;
mod questions;
mod upload_order;

pub(super) use questions::{NEEDS, QUESTIONS};
