//! KE-4: delayed events whose restarts fail, so that a call's membership ends.

mod client_side;
mod delayed_events;
mod questions;
mod restart_figures;
mod slow_restarts;
mod timeout_minutes;

pub(super) use questions::{NEEDS, QUESTIONS};
pub(super) use questions::{delays, is_read};
