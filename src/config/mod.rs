//! Config text → a checked `Config`. Unknown keys are refused with the nearest known name, secrets come
//! from files, and all problems are reported at once with their keys.
//!
//! Nothing here opens a connection or reads a log, and no problem ever repeats a secret. That a log file
//! is there is `kestrel doctor`'s question: a config stays valid while a log is rotated away.

mod reading;
mod secret;
mod section;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId};
use url::Url;

/// Everything that `config/example.toml` can say, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where run-time state lives.
    pub store: PathBuf,
    /// What the bot needs; `None` for a terminal that has no config file.
    pub matrix: Option<Matrix>,
    pub server: Server,
    pub logs: Vec<LogSource>,
    pub database: Option<Database>,
    pub limits: Limits,
}

impl Config {
    /// Reads and checks a config file, and the secrets it names.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Problems::one(format!("{}: cannot be read: {error}", path.display()))
        })?;
        let base = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Self::parse(&text, base)
    }

    /// Checks a config's text. Relative paths in it start at `base`, the config file's folder.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Problems> {
        reading::config(text, base)
    }
}

/// Everything that is wrong with a config, in the order of its sections; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// One sentence each, beginning with the full key.
    pub list: Vec<String>,
}

impl Problems {
    fn one(problem: String) -> Self {
        Self { list: vec![problem] }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.list.as_slice() {
            [one] => write!(out, "the config has a problem:\n  {one}"),
            many => {
                write!(out, "the config has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for Problems {}

/// The bot's account and its rooms.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub homeserver: Url,
    pub user: OwnedUserId,
    pub rooms: Vec<OwnedRoomId>,
    pub admins: Vec<OwnedUserId>,
    /// Room members at or above it may command the bot too.
    pub min_power_level: Option<i64>,
    pub max_command_age: Duration,
}

/// The homeserver that is watched.
#[derive(Debug, Clone)]
pub struct Server {
    /// The part after the colon of its users' ids; `None` only on a terminal without a config file.
    pub name: Option<OwnedServerName>,
}

/// One Synapse process's log file.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// How answers name it.
    pub name: String,
    pub path: PathBuf,
    /// The zone of the log's local times; `None` to derive it from the log.
    pub timezone: Option<TimeZone>,
}

/// How to reach Synapse's database.
#[derive(Clone)]
pub struct Database {
    /// A `postgresql://` URL; may hold a password, so it is never printed.
    pub url: Url,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Database({})", self.shown())
    }
}

impl Database {
    /// A URL from a terminal's argument, where a password may stand. The problem does not repeat it.
    pub fn at(url: &str) -> Result<Self, String> {
        reading::database_url(url).map(|url| Self { url })
    }

    /// The URL for a person: without its password.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }
}

/// Bounds on one question.
#[derive(Debug, Clone)]
pub struct Limits {
    /// All sources together.
    pub deadline: Duration,
    /// The window of a command that names none.
    pub window: Duration,
    /// The zone that people write and read times in; UTC unless configured.
    pub timezone: TimeZone,
    pub show_addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            window: Duration::from_secs(24 * 60 * 60),
            timezone: TimeZone::UTC,
            show_addresses: false,
        }
    }
}

/// An IANA name, or an offset like `+05:30`.
pub fn time_zone(text: &str) -> Option<TimeZone> {
    DateTimeParser::new().parse_time_zone(text).ok()
}

#[cfg(test)]
mod tests;
