//! Bounds on what one received file may cost.

/// Bytes of redacted text that are kept of all the files of a report together. They are held, attached to a room
/// and kept with a case: 8 MiB are 40 000 lines of a log, or four hours of a call's requests, and still come
/// through to a phone.
const KEPT: usize = 8 << 20;
/// Bounds on what one file may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes as received.
    pub size: usize,
    /// Bytes unpacked, in all: a bound on time, as they are not held.
    pub unpacked: usize,
    /// Files of an archive; the parts of one log count as one.
    pub files: usize,
    /// Archives inside archives; a tar in a gzip is one.
    pub depth: usize,
    /// Bytes of redacted text that are kept of all files together.
    pub kept: usize,
    /// IP addresses are kept.
    pub addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 32 << 20,
            unpacked: 256 << 20,
            files: 16,
            depth: 2,
            kept: KEPT,
            addresses: false,
        }
    }
}

/// A bound as people read it.
pub(crate) fn size_words(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", (bytes >> 10).max(1)),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
