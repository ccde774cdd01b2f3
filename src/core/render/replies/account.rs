//! A problem of the bot's own account → the notice for the ops room.

use std::path::Path;

use ruma::DeviceId;

use crate::render::answer::sentence;
use crate::render::page::{Page, Reply};

/// A new device replaced an old one. `why` is a sentence without its full stop.
pub fn device_replaced(old: &DeviceId, new: &DeviceId, why: &str, verified: bool) -> Reply {
    let mut page = Page::default();
    if verified {
        page.line().text("🟡 Kestrel has a new device, ").code(new).text(". No action is needed.");
        page.line().text("It is signed by the same identity as before.");
    } else {
        page.line().text("🔴 Kestrel has a new device, ").code(new);
        page.text(", and it is not verified. An admin must restore its recovery key.");
    }
    page.label("Why")
        .text("Device ")
        .code(old)
        .text(format!(" stopped working. {}", sentence(why)));
    if !verified {
        how_to_verify(&mut page);
    }
    page.reply()
}

/// The device works without a signature of the account's identity.
pub fn device_unverified(device: &DeviceId) -> Reply {
    let mut page = Page::default();
    page.line().text("🔴 Kestrel's device ").code(device);
    page.text(" is not verified. An admin must restore its recovery key.");
    page.label("Why").text(
        "The account's cross-signing identity does not sign this device, and no recovery key in the store opens \
         this identity. The identity was created or replaced elsewhere.",
    );
    how_to_verify(&mut page);
    page.reply()
}

fn how_to_verify(page: &mut Page) {
    page.label("Impact").text(
        "Clients show a warning for its messages. Clients that send only to verified devices do not send it keys, \
         so it cannot read their commands.",
    );
    page.label("Fix").text(
        "Put the identity's recovery key into the file `recovery-key` of the store and restart Kestrel. Or stop \
         Kestrel and run `kestrel login --recovery-key-file FILE`.",
    );
}

/// The server has other one-time keys of this device.
pub fn device_conflict(device: &DeviceId) -> Reply {
    let mut page = Page::default();
    page.line().text("🔴 Kestrel's own device ").code(device);
    page.text(" has a one-time key conflict. An admin must create a new device.");
    page.label("Why").text(
        "The homeserver rejects this device's one-time keys: Kestrel's crypto store lacks keys that this device has already \
         uploaded, for example because an older copy of the store was restored.",
    );
    page.label("Impact").text(
        "Kestrel may be unable to read some commands, and some of its messages may be unreadable.",
    );
    page.label("Fix").text(
        "Stop Kestrel, run `kestrel login`, and start it. With `[matrix] password_file` in the config, Kestrel \
         does this itself the next time.",
    );
    page.reply()
}

/// The password in the password file is no longer right.
pub fn password_changed(file: &Path) -> Reply {
    let mut page = Page::default();
    page.line().text("🔴 The bot's password was changed. Put the current one into ");
    page.code(file.display().to_string()).text(".");
    page.label("Why")
        .text("The homeserver rejects the password in that file (`matrix.password_file`).");
    page.label("Impact").text(
        "Kestrel works until its device is lost. Then it cannot create a new device, and it stops.",
    );
    page.reply()
}

/// The clocks are minutes apart; `clocks` says how far.
pub fn clocks_differ(clocks: &str) -> Reply {
    let mut page = Page::default();
    page.line().text(format!("🔴 Clocks differ: {clocks}. Set the clock."));
    page.label("Impact")
        .text("Commands can look too old, and log windows are shifted by the same amount.");
    page.label("Fix").text("Check time synchronisation on both machines (`timedatectl`).");
    page.reply()
}
