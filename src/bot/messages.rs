//! Messages → events in rooms.

pub(super) mod delivery;
pub(super) mod outgoing_message;
pub(super) mod room_message;
pub(super) mod transaction;
