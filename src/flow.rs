//! The chain, spelled once: question → plan → collect → evidence → diagnose → render.
//! The bot, the terminal and the storm watch call it.

mod answer;
mod blind_logs;
mod capture;
mod case_line;
mod database_poll;
mod devices;
pub mod handed_in;
mod live_watch;
pub mod report;
mod rerun;
pub mod storm_list;
mod storm_verdict;

pub use answer::{Answer, Case, Flow, Survey, page_of_saved};
pub use blind_logs::BlindLog;
pub use capture::{Captured, InboxWatch};
pub use case_line::case_line;
pub use kestrel_core::diagnose::judge;
pub use kestrel_core::evidence::poll::{Cursor, Poll};
pub use kestrel_core::render::judged::{json, page, why};
pub use rerun::{client_said, rerun, what_changed};
pub use storm_verdict::{Cure, Depth, Judged, LONGEST_DENIAL, SETTLE};
