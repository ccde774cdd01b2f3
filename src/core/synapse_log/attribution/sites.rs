//! Records that hold raw text of a client → which lines behind them the client may have written.

use crate::evidence::counted;
use crate::synapse_log::attribution::hidden::{FORMAT, Hidden};
use crate::synapse_log::attribution::reader::{Attribution, Held};
use crate::synapse_log::forgery::LOGIN;
use crate::synapse_log::message::{KEY_ID, Message, Site};
use crate::synapse_log::process::{Name, watches};
use crate::synapse_log::record::Record;

/// How far a client's text is taken to go where nothing bounds it: a login whose request was not seen,
/// and pydantic's list.
const UNKNOWN: u64 = 16 * 1024;

impl Attribution {
    /// For people, where lines were not believed since this was asked last: of names with newlines, or of
    /// another format.
    pub fn hidden(&mut self) -> Option<String> {
        let Hidden { logins, lines, json, .. } = self.hidden;
        if json >= FORMAT {
            self.hidden.json = 0;
            return Some(format!(
                "{} in a text log were not read, because a client could write them: if the log's format was \
                 changed, it is followed again from its next rotation on",
                counted(json, "line") + " of JSON"
            ));
        }
        if logins == 0 || lines == 0 {
            return None;
        }
        (self.hidden.logins, self.hidden.lines) = (0, 0);
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

    /// What a text record says of the lines behind it.
    pub(super) fn site(&mut self, message: &Message, record: &Record, held: &Held) {
        if held.place.line < self.name_ends && self.processes.len() == 1 {
            // Of a name that is known to its end no line says how far another goes.
            return;
        }
        let state = &mut self.processes[held.process];
        let id = record.request.as_deref().unwrap_or_default();
        match message {
            Message::LoginAsked(asked) => state.asked(id, *asked, !held.reach),
            Message::Site(Site::LoginUnknown) => {
                let name = state.answered(id);
                self.name(name, held.place.line);
            }
            Message::Site(Site::Reach(characters)) => {
                watches(&mut self.processes).for_each(|watch| watch.site(*characters));
            }
            Message::Site(Site::Pydantic) => watches(&mut self.processes).for_each(|watch| {
                watch.pydantic(held.place);
                watch.site(UNKNOWN);
            }),
            Message::Claimed(_) => {
                watches(&mut self.processes).for_each(|watch| watch.site(KEY_ID))
            }
            _ => {}
        }
    }

    /// The name of a login was written out raw, from this line on.
    fn name(&mut self, name: Name, line: u64) {
        let several = self.processes.len() > 1;
        let characters = match name {
            Name::Newlines(0, _) => return,
            Name::Newlines(newlines, characters) => {
                let last = line + newlines as u64;
                self.name_ends = last + 1;
                self.hidden.logins += 1;
                watches(&mut self.processes).for_each(|watch| watch.mark(line + 1, last, LOGIN));
                if !several {
                    return;
                }
                // Lines of other processes may stand between its own, so that it goes on behind.
                characters.saturating_mul(2)
            }
            Name::Characters(characters) => {
                self.hidden.logins += u64::from(characters > 0);
                characters
            }
        };
        let characters = characters.saturating_add(UNKNOWN);
        // A character may be of four bytes.
        self.hidden.until = self.next.byte.saturating_add(characters.saturating_mul(4));
        watches(&mut self.processes).for_each(|watch| watch.site(characters));
    }
}
