//! The bot's section as far as it could be read, and the rooms that other sections refer to.

use ruma::{OwnedRoomId, RoomId};

use super::matrix::Matrix;
use super::section::Section;

/// The bot's section as far as it could be read: rooms are checked against it.
#[derive(Debug, Clone, Copy)]
pub(super) enum BotSection<'a> {
    /// There is no such section.
    Absent,
    /// There is one, with problems.
    Unread,
    Read(&'a Matrix),
}

/// One of the bot's rooms; by default the first.
pub(super) fn room(section: &mut Section<'_, '_>, bot: BotSection<'_>) -> Option<OwnedRoomId> {
    let named = section.text("room");
    let rooms = match bot {
        BotSection::Read(matrix) => &matrix.rooms,
        BotSection::Absent if named.is_some() => {
            section.problem("room", "has no effect without a [matrix] section");
            return None;
        }
        BotSection::Absent | BotSection::Unread => return None,
    };
    let Some(named) = named else { return rooms.first().cloned() };
    let Ok(room) = RoomId::parse(named) else {
        let says = "is not a room ID like \"!opsroom:example.org\"";
        section.problem("room", format_args!("{named:?} {says}"));
        return None;
    };
    // If the list of rooms has a problem, this room may be the missing one.
    if !rooms.contains(&room) && !rooms.is_empty() {
        let says = "is not one of matrix.rooms; the bot joins no other room";
        section.problem("room", format_args!("{named:?} {says}"));
        return None;
    }
    Some(room)
}
