//! `!capture` → sessions that watch one device while a failure is reproduced.

pub(super) mod bundle;
pub(super) mod context;
pub(super) mod registry;
pub(super) mod session_run;
pub(super) mod session_task;
pub(super) mod tick;
