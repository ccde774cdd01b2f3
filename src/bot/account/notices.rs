//! A problem of the bot's own account → the notice for the ops room. It sends nothing.

use std::path::Path;

use jiff::SignedDuration;
use ruma::DeviceId;

use crate::bot::clock_offset;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use kestrel_core::render::Page;

/// A new device replaced an old one.
pub(crate) fn replaced(
    old: &DeviceId,
    new: &DeviceId,
    why: &str,
    verified: bool,
) -> OutgoingMessage {
    let mut page = Page::default();
    if verified {
        page.line().text("🟡 Kestrel has a new device, ").code(new).text(". No action is needed.");
        page.line().text("It is signed by the same identity as before.");
    } else {
        page.line().text("🔴 Kestrel has a new device, ").code(new);
        page.text(", and it is not verified. An admin must restore its recovery key.");
    }
    page.label("Why").text("Device ").code(old).text(format!(" stopped working: {why}."));
    if !verified {
        unverified_advice(&mut page);
    }
    OutgoingMessage { rings: !verified, ..OutgoingMessage::quiet(&page.reply()) }
}

/// The device keeps working without a signature of the account's identity.
pub(crate) fn unverified(device: &DeviceId) -> OutgoingMessage {
    let mut page = Page::default();
    page.line().text("🔴 Kestrel's device ").code(device);
    page.text(" is not verified. An admin must restore its recovery key.");
    page.label("Why")
        .text("The account has a cross-signing identity that does not sign this device, and no recovery key in the ")
        .text("store opens it. The identity was created or replaced elsewhere.");
    unverified_advice(&mut page);
    OutgoingMessage { rings: true, ..OutgoingMessage::quiet(&page.reply()) }
}

fn unverified_advice(page: &mut Page) {
    page.label("Impact").text(
        "Clients show a warning for its messages. Clients that send to verified devices only do not send it keys, \
         so it cannot read their commands.",
    );
    page.label("Fix").text(
        "Put the identity's recovery key into the file `recovery-key` of the store and restart Kestrel, or stop it \
         and run `kestrel login --recovery-key-file FILE`.",
    );
}

/// The server has other one-time keys of this device.
pub(crate) fn conflict(device: &DeviceId) -> OutgoingMessage {
    let mut page = Page::default();
    page.line().text("🔴 Kestrel's own device ").code(device);
    page.text(" has a one-time key conflict. An admin must create a new device.");
    page.label("Why").text(
        "The homeserver refuses this device's one-time keys: the crypto store is older than the device, for example because \
         an older copy was restored.",
    );
    page.label("Impact").text(
        "Kestrel may be unable to read some commands, and some of its messages may be unreadable.",
    );
    page.label("Fix").text(
        "Stop Kestrel, run `kestrel login`, and start it. With `[matrix] password_file` Kestrel does that itself.",
    );
    OutgoingMessage { rings: true, ..OutgoingMessage::quiet(&page.reply()) }
}

/// The password in the password file is no longer right.
pub(crate) fn password(file: &Path) -> OutgoingMessage {
    let mut page = Page::default();
    page.line().text("🔴 The bot's password was changed. Put the current one into ");
    page.code(file.display().to_string()).text(".");
    page.label("Why")
        .text("The homeserver refuses the password in that file (`matrix.password_file`).");
    page.label("Impact").text(
        "Kestrel works until its device is lost. Then it cannot replace the device by itself, and stops.",
    );
    OutgoingMessage { rings: true, ..OutgoingMessage::quiet(&page.reply()) }
}

/// The clocks are minutes apart.
pub(crate) fn clocks(offset: SignedDuration) -> OutgoingMessage {
    let mut page = Page::default();
    page.line()
        .text(format!("🔴 Clocks differ: {}. Set the clock.", clock_offset::describe(offset)));
    page.label("Impact")
        .text("Commands can look too old, and log windows are shifted by the same amount.");
    page.label("Fix").text("Check time synchronisation on both machines (`timedatectl`).");
    OutgoingMessage { rings: true, ..OutgoingMessage::quiet(&page.reply()) }
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
