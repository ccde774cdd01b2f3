//! Evidence and a reference time → a judgement.
//!
//! A branch of the tree is a folder (`ke1` …): its questions in their order, a file each. What every verdict is,
//! in every case alike, is in its row (`verdicts`).

pub mod advice;
pub mod also;
mod auth_outage;
mod branch_walk;
mod branches;
mod certainty;
pub mod chain;
mod changed;
mod conclusion;
mod database_lag;
pub mod device_list;
mod device_removal;
mod facts;
mod findings;
pub mod fleet;
mod inbox_contents;
mod judgement;
mod ke1;
mod ke2;
mod ke3;
mod ke4;
mod key_count;
mod known_device;
mod log_gaps;
mod log_visibility;
mod quiet_period;
mod refusals;
pub mod remedy;
mod resolved_refusals;
mod tree_walk;
pub mod verdict;
mod verdict_id;
pub mod verdict_row;
mod verdicts;

pub use advice::advise;
pub use also::{Also, AlsoId};
pub use branches::{needs, questions};
pub use certainty::Certainty;
pub use chain::{Chain, chain};
pub use changed::changed;
pub use database_lag::{YOUNG, is_young};
pub use fleet::{Fleet, fleet};
pub use judgement::{Judgement, diagnose, judge};
pub use tree_walk::TreeQuestion;
pub use verdict::Verdict;
pub use verdict_id::VerdictId;

#[cfg(test)]
mod scene;
#[cfg(test)]
pub(crate) use branch_walk::counter::walks;
