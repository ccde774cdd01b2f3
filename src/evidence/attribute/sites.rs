//! Records that hold raw text of a client → which lines behind them the client may have written.

use super::super::forgery::LOGIN;
use super::super::log_line::Record;
use super::super::log_message::{KEY_ID, Message, Site};
use super::super::process::{Name, watches};
use super::{Attribution, Held};

/// How far a client's text is taken to go where nothing bounds it: a login whose request was not seen,
/// and pydantic's list.
const UNKNOWN: u64 = 16 * 1024;

impl Attribution {
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
                watches(&mut self.processes).for_each(|watch| watch.mark(line + 1, last, LOGIN));
                if !several {
                    return;
                }
                // Lines of other processes may stand between its own, so that it goes on behind.
                characters.saturating_mul(2)
            }
            Name::Characters(characters) => characters,
        };
        let characters = characters.saturating_add(UNKNOWN);
        watches(&mut self.processes).for_each(|watch| watch.site(characters));
    }
}
