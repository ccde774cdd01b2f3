//! Reads a config into a checked `Config`. Unknown keys are rejected with the nearest known name, secrets
//! come from files, and all problems are reported at once with their keys.
//!
//! Nothing here opens a connection or reads a log, and no problem repeats a secret. Whether a log file exists
//! is checked by `kestrel doctor`: a config stays valid while a log is rotated.

mod bot_section;
mod cases;
mod database;
mod database_section;
mod database_url;
mod file;
mod flags;
mod limits;
mod logs;
mod matrix;
mod problems;
mod prometheus;
mod reports;
mod secret;
mod section;
mod server;
mod storm_watch;
mod time_zone;

pub use self::cases::Cases;
pub use self::database::Database;
pub use self::file::Config;
pub use self::flags::{database_url, prometheus_url, secret_file};
pub use self::limits::Limits;
pub use self::logs::LogSource;
pub use self::matrix::{Matrix, RequireVerified};
pub use self::problems::Problems;
pub use self::prometheus::{Access, Prometheus};
pub use self::reports::{Reports, Senders};
pub use self::server::Server;
pub use self::storm_watch::Watch;
pub use self::time_zone::timezone;

#[cfg(test)]
mod database_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
