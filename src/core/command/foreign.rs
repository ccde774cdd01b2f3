//! A command → a kind word, where it asks about a user whose keys another homeserver keeps.

use ruma::ServerName;

use super::usage_error::{self, Slip};
use super::{Capture, Command, Ke1, Ke2, Ke4, Triage};

/// The line about a user of another homeserver, whose keys this server cannot judge: it only holds
/// copies of the public ones, and none of the log lines.
pub fn foreign_user(command: &Command, server_name: &ServerName) -> Option<Slip> {
    let user = match command {
        Command::Ke1(Ke1 { user, .. })
        | Command::Ke2(Ke2 { user, .. })
        | Command::Ke4(Ke4 { user, .. })
        | Command::Triage(Triage { user, .. })
        | Command::Capture(Capture::Start { user, .. }) => user,
        _ => return None,
    };
    let theirs = user.server_name();
    (theirs != server_name).then(|| {
        Slip::new(format!(
            "{} lives on {}: the keys and the log are kept there, not on {server_name}. Ask the admins of {} to look.",
            usage_error::shown(user.as_str()),
            usage_error::shown(theirs.as_str()),
            usage_error::shown(theirs.as_str()),
        ))
    })
}
