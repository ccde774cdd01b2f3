//! Lines of a text log that were not believed, counted for people.

use crate::synapse_log::forgery::LinePlace;

/// Logins whose names held newlines, and what stood in them and behind.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    pub(crate) logins: u64,
    /// Lines that would have said something of keys or delayed events.
    pub(crate) lines: u64,
    /// So far the newest name may go, in bytes.
    pub(crate) until: u64,
    /// JSON in a text log, outside of names.
    pub(crate) json: u64,
}

/// So many lines of JSON in a text log are its new format rather than somebody's game.
pub(crate) const FORMAT: u64 = 64;

impl Hidden {
    /// A line that may say something stands where a client may write.
    pub(crate) fn line(&mut self, place: LinePlace, name_ends: u64) {
        self.lines += u64::from(place.line < name_ends || place.byte < self.until);
    }
}
