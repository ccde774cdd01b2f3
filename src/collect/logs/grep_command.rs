//! What was read of a log → a `grep` that a person can paste to see it again. Ids stand inside quotes of
//! the shell, and only up to their first odd character: nothing in the command can hide or act.

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

/// A text's beginning, as far as it is harmless on a screen.
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
