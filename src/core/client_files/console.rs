//! Clients' logs: a console's, a rageshake's, logcat's.

pub(crate) mod known;
pub(crate) mod lines;
pub(crate) mod reading;
