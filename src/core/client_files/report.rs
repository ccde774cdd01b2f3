//! Clients' diagnostics reports.

pub(crate) mod facts;
pub(crate) mod fields;
pub(crate) mod redaction;
