//! Everybody's evidence → who is affected now: a survey, and no verdict.

mod affected;
mod cause;
mod common_start;
mod overview;
mod resolved_refusals;
mod sources_read;
mod survey;

pub use affected::{Affected, Standing, Trouble};
pub use cause::Cause;
pub use common_start::{CommonStart, Suggests};
pub use overview::Fleet;
pub(super) use survey::NEEDS;
pub use survey::fleet;
