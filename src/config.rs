//! Config text → a checked `Config`. Unknown keys are refused with the nearest known name, secrets come
//! from files, and all problems are reported at once with their keys.
//!
//! Nothing here opens a connection or reads a log.

use std::path::PathBuf;
use std::time::Duration;

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
