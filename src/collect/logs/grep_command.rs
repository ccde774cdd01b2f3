//! A `grep` command that shows again what was read from a log. IDs are quoted for the shell and cut at their
//! first unusual character: nothing in the command can hide or act.

use std::path::Path;

use kestrel_core::evidence::{About, Need, Subject};

/// The lines of one device's keys.
pub(super) fn for_keys(path: &Path, subject: &Subject) -> String {
    let uploads = format!("for user '{}' at", subject.user);
    let claims = format!("for {}:{}", subject.user, plain(subject.device.as_str()));
    grep(path, &["already exists. Old key", &uploads, &claims])
}

/// The lines that another need is read from.
pub(super) fn for_need(need: Need, path: &Path, about: &About) -> String {
    let user = about.user().map_or("", |user| plain(user.as_str()));
    let device = about.device().map_or("", |subject| plain(subject.device.as_str()));
    match need {
        Need::ToDeviceLog => {
            let debug = format!("'{user}/{device} (msgid");
            let large = format!("To-device message for {user}:{device} is too large");
            grep(path, &[&debug, &large])
        }
        Need::DelayLog => {
            grep(path, &["/delayed_events", "msc4140.delay=", "rc_delayed_event_mgmt"])
        }
        Need::AuthLog => {
            let removed = format!("for '{user}'");
            grep(path, &["Failed to introspect token", "Unable to introspect", &removed])
        }
        Need::FleetLog => {
            grep(path, &["already exists. Old key", "would leave the device holding"])
        }
        _ => String::new(),
    }
}

/// The start of a text, up to the first unsafe character.
fn plain(text: &str) -> &str {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    text.split(|c| !plain(c)).next().unwrap_or("")
}

fn grep(path: &Path, needles: &[&str]) -> String {
    let needles: Vec<_> = needles.iter().map(|text| format!("-e {}", quoted(text))).collect();
    format!("grep -n -F {} \\\n -- {}", needles.join(" \\\n "), quoted(&path.to_string_lossy()))
}

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
