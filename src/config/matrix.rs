//! `[matrix]`: the bot's account, its rooms, and who can use it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ruma::{OwnedRoomId, OwnedUserId};
use toml::Table;
use url::Url;

use super::section::{Section, duration};

pub(super) const MATRIX: &[&str] = &[
    "homeserver",
    "user",
    "rooms",
    "admins",
    "min_power_level",
    "max_command_age",
    "allow_unencrypted",
    "require_verified",
    "password_file",
];

/// `max_command_age` without the key: longer than a restart, shorter than anyone waits.
const MAX_COMMAND_AGE: &str = "5m";

const USER_ID: &str = "a Matrix user ID like \"@you:example.org\"";

/// The bot's account and its rooms.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub homeserver: Url,
    pub user: OwnedUserId,
    pub rooms: Vec<OwnedRoomId>,
    pub admins: Vec<OwnedUserId>,
    /// Room members with at least this power level can use the bot too.
    pub min_power_level: Option<i64>,
    pub max_command_age: Duration,
    /// Whether unencrypted rooms accept commands.
    pub allow_unencrypted: bool,
    pub require_verified: RequireVerified,
    /// The file with the account's password, for creating a new device without a person. It is read when
    /// needed: only the bot's user can read it, and it may change while the bot runs.
    pub password_file: Option<PathBuf>,
}

/// Which commands need a device that its owner cross-signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequireVerified {
    Never,
    /// Commands that mute, delete, or start and stop a capture.
    #[default]
    Destructive,
    Always,
}

impl RequireVerified {
    /// Whether it applies to a command.
    pub fn covers(self, destructive: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Destructive => destructive,
            Self::Always => true,
        }
    }

    /// As the config file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Destructive => "destructive",
            Self::Always => "always",
        }
    }
}

impl FromStr for RequireVerified {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Never, Self::Destructive, Self::Always];
        all.into_iter().find(|one| one.name() == text).ok_or(())
    }
}

/// The bot's user ID is returned separately, because the server name comes from it even if another key is
/// wrong.
pub(super) fn matrix(
    table: &Table,
    base: &Path,
    problems: &mut Vec<String>,
) -> (Option<OwnedUserId>, Option<Matrix>) {
    let mut section = Section::new(Some(table), "matrix", MATRIX, problems);
    for key in ["homeserver", "user", "rooms"] {
        if !section.has(key) {
            section.missing(key);
        }
    }
    let homeserver =
        section.parsed::<Url>("homeserver", "an address like \"https://matrix.example.org\"");
    if let Some(url) = &homeserver {
        check_homeserver(url, &mut section);
    }
    let user: Option<OwnedUserId> = section.parsed("user", USER_ID);
    let rooms = section.list(
        "rooms",
        "a room ID like \"!opsroom:example.org\" (not an alias #…; the room's settings show the ID)",
    );
    if rooms.is_empty() && section.is_empty_list("rooms") {
        section.problem("rooms", "is empty; list at least one ops room");
    }
    let admins = section.list("admins", USER_ID);
    let min_power_level = section.integer("min_power_level");
    if min_power_level.is_some_and(|level| level < 0) {
        section.problem("min_power_level", "is negative; 0 already includes every member");
    }
    let nobody = !section.has("min_power_level")
        && (!section.has("admins") || section.is_empty_list("admins"));
    if nobody {
        section.problem(
            "admins",
            "is empty: nobody could use the bot; list at least one admin, or set min_power_level",
        );
    }
    let max_command_age = section.duration("max_command_age", "1s", "7d");
    let allow_unencrypted = section.flag("allow_unencrypted");
    let require_verified =
        section.parsed("require_verified", "\"never\", \"destructive\" or \"always\"");
    let password_file = section.text("password_file").map(|path| base.join(path));
    let matrix = homeserver.zip(user.clone()).map(|(homeserver, user)| Matrix {
        homeserver,
        user,
        rooms,
        admins,
        min_power_level,
        max_command_age: max_command_age.or_else(|| duration(MAX_COMMAND_AGE)).unwrap_or_default(),
        allow_unencrypted: allow_unencrypted.unwrap_or_default(),
        require_verified: require_verified.unwrap_or_default(),
        password_file,
    });
    (user, matrix)
}

fn check_homeserver(url: &Url, section: &mut Section<'_, '_>) {
    // Plain http is allowed: a bot on Synapse's machine talks to its listener locally.
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        section.problem("homeserver", "must begin with https:// or http://");
    } else if !url.username().is_empty() || url.password().is_some() {
        section.problem(
            "homeserver",
            "contains a user name or password; remove it. `kestrel login` creates the session",
        );
    }
}
