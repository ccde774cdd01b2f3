//! One record as it passes the readers: its first line, and what is known of it without reading it.

use jiff::Timestamp;

use crate::evidence::key_log::Format;

/// One record as it passes: its first line, and what is known of it without reading it.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    pub line: &'a [u8],
    pub at: Timestamp,
    /// Which process of the file wrote it: its request ids are its own.
    pub process: usize,
    /// A client's text may reach here: it may not be Synapse's line at all.
    pub reach: bool,
    /// It is surely a client's.
    pub forged: bool,
    pub format: Format,
}
