//! A command, a button or a report that was accepted → the messages that answer it.

pub(super) mod answer;
pub(super) mod cases;
pub(super) mod report;
pub(super) mod report_queue;
pub(super) mod state;
pub(super) mod storms;
pub(super) mod typing;
