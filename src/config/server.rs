//! `[server]`: the name of the monitored homeserver.

use ruma::{OwnedServerName, OwnedUserId};
use toml::Table;

use super::section::Section;

pub(super) const SERVER: &[&str] = &["name"];

/// The monitored homeserver.
#[derive(Debug, Clone)]
pub struct Server {
    /// The part after the colon of its users' IDs; `None` only on a terminal without a config file.
    pub name: Option<OwnedServerName>,
}

pub(super) fn server(
    table: Option<&Table>,
    bot: Option<&OwnedUserId>,
    problems: &mut Vec<String>,
) -> Server {
    let mut section = Section::new(table, "server", SERVER, problems);
    let name = section.parsed("name", "a server name like \"example.org\"");
    if !section.has("name") && bot.is_none() {
        section.problem("name", "is missing, and there is no matrix.user to derive it from");
    }
    Server { name: name.or_else(|| bot.map(|user| user.server_name().to_owned())) }
}
