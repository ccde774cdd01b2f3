//! Lines of a text log that may be a client's: how far they reach, and how many were not counted, for people.

use crate::evidence::counted;
use crate::synapse_log::forgery::LinePlace;

/// A record of a text log that waits for the next one, which shows whether lines follow it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) line: Vec<u8>,
    pub(super) place: LinePlace,
    pub(super) process: usize,
    pub(super) reach: bool,
    pub(super) continued: bool,
}

/// Logins whose names contained newlines, and the lines in and after them.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    /// Lines before this one belong to the name of the newest login.
    pub(super) name_ends: u64,
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
    /// A line that may say something is where a client may write.
    pub(crate) fn line(&mut self, place: LinePlace) {
        self.lines += u64::from(place.line < self.name_ends || place.byte < self.until);
    }

    /// For people, if lines were not counted since this was last asked: because of names with newlines, or of another
    /// format.
    pub(super) fn summary(&mut self) -> Option<String> {
        let Self { logins, lines, json, .. } = *self;
        if json >= FORMAT {
            self.json = 0;
            return Some(format!(
                "{} in a text log were not read, because a client could write them: if the log's format was \
                 changed, it is followed again from its next rotation on",
                counted(json, "line") + " of JSON"
            ));
        }
        if logins == 0 || lines == 0 {
            return None;
        }
        (self.logins, self.lines) = (0, 0);
        Some(format!(
            "{} contained newlines, which write extra lines into a text log; {} in or after them, about \
             keys or delayed events, not believed: somebody may be forging a storm, or hiding one",
            counted(logins, "login's user name"),
            match lines {
                1 => "1 line was".to_owned(),
                lines => format!("{lines} lines were"),
            },
        ))
    }
}
