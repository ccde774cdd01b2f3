//! Records that contain raw text of a client → which lines after them the client may have written.

use crate::synapse_log::attribution::hidden::{Held, Hidden};
use crate::synapse_log::forgery::{LOGIN, LinePlace};
use crate::synapse_log::message::{KEY_ID, Message, Site};
use crate::synapse_log::process::{Name, Process, watches};
use crate::synapse_log::record::Record;

/// The assumed length of a client's text that nothing limits: of a login whose request was not seen, and of pydantic's
/// list.
const UNKNOWN: u64 = 16 * 1024;

/// What a text record says about the lines after it.
pub(super) fn site(
    processes: &mut [Process],
    hidden: &mut Hidden,
    next: LinePlace,
    (message, record): (&Message, &Record),
    held: &Held,
) {
    if held.place.line < hidden.name_ends && processes.len() == 1 {
        // Of a name that is known to its end no line says how far another goes.
        return;
    }
    let state = &mut processes[held.process];
    let id = record.request.as_deref().unwrap_or_default();
    match message {
        Message::LoginAsked(asked) => state.asked(id, *asked, !held.reach),
        Message::Site(Site::LoginUnknown) => {
            let name = state.answered(id);
            self::name(processes, hidden, name, (held.place.line, next));
        }
        Message::Site(Site::Reach(characters)) => {
            watches(processes).for_each(|watch| watch.site(*characters));
        }
        Message::Site(Site::Pydantic) => watches(processes).for_each(|watch| {
            watch.pydantic(held.place);
            watch.site(UNKNOWN);
        }),
        Message::Claimed(_) => watches(processes).for_each(|watch| watch.site(KEY_ID)),
        _ => {}
    }
}

/// The name of a login was written out raw, from this line on.
fn name(
    processes: &mut [Process],
    hidden: &mut Hidden,
    name: Name,
    (line, next): (u64, LinePlace),
) {
    let several = processes.len() > 1;
    let characters = match name {
        Name::Newlines(0, _) => return,
        Name::Newlines(newlines, characters) => {
            let last = line + newlines as u64;
            hidden.name_ends = last + 1;
            hidden.logins += 1;
            watches(processes).for_each(|watch| watch.mark(line + 1, last, LOGIN));
            if !several {
                return;
            }
            // Lines of other processes may be between its own, so that it continues behind.
            characters.saturating_mul(2)
        }
        Name::Characters(characters) => {
            hidden.logins += u64::from(characters > 0);
            characters
        }
    };
    let characters = characters.saturating_add(UNKNOWN);
    // A character may be of four bytes.
    hidden.until = next.byte.saturating_add(characters.saturating_mul(4));
    watches(processes).for_each(|watch| watch.site(characters));
}
