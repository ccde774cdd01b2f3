//! HAR files: a browser's network log.

pub(crate) mod facts;
pub(crate) mod redaction;
