//! A problem of the bot's own account → the notice for the ops room, and whether it mentions the admins. It sends
//! nothing.

use std::path::Path;

use jiff::SignedDuration;
use kestrel_core::render::{Reply, replies};
use ruma::DeviceId;

use crate::bot::clock_offset;
use crate::bot::messages::outgoing_message::OutgoingMessage;

/// A new device replaced an old one.
pub(crate) fn replaced(
    old: &DeviceId,
    new: &DeviceId,
    why: &str,
    verified: bool,
) -> OutgoingMessage {
    let says = replies::device_replaced(old, new, why, verified);
    OutgoingMessage { rings: !verified, ..OutgoingMessage::quiet(&says) }
}

/// The device works without a signature of the account's identity.
pub(crate) fn unverified(device: &DeviceId) -> OutgoingMessage {
    ringing(&replies::device_unverified(device))
}

/// The server has other one-time keys of this device.
pub(crate) fn conflict(device: &DeviceId) -> OutgoingMessage {
    ringing(&replies::device_conflict(device))
}

/// The password in the password file is no longer right.
pub(crate) fn password(file: &Path) -> OutgoingMessage {
    ringing(&replies::password_changed(file))
}

/// The clocks are minutes apart.
pub(crate) fn clocks(offset: SignedDuration) -> OutgoingMessage {
    ringing(&replies::clocks_differ(&clock_offset::describe(offset)))
}

fn ringing(says: &Reply) -> OutgoingMessage {
    OutgoingMessage { rings: true, ..OutgoingMessage::quiet(says) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_is_never_markup() {
        let device = <&DeviceId>::from("<b>x</b>");
        for note in [conflict(device), unverified(device), replaced(device, device, "gone", false)]
        {
            assert!(!note.html.contains("<b>") && note.rings, "{}", note.html);
        }
        assert!(!replaced(device, device, "gone", true).rings);
    }
}
