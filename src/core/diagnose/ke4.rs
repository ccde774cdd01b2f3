//! KE-4: delayed events whose restarts fail, so that a call's membership ends.

mod client_side;
mod delay_log;
mod delayed_events;
mod delays_off;
mod needs;
mod other_troubles;
mod questions;
mod restart_figures;
mod restarts_failed;
mod restarts_gone;
mod restarts_known;
mod restarts_limited;
mod restarts_missing;
mod restarts_slow;
mod slow_restarts;
mod timeout_minutes;

pub(super) use needs::NEEDS;
pub(super) use questions::QUESTIONS;
