//! Plan → evidence: the only rooms that touch the outside world.

pub mod logs;
