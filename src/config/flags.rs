//! Values from command-line flags, checked like those of a config file.

use std::path::Path;

use url::Url;

use super::problems::Problems;
use super::{database_url as database, prometheus, secret};

/// A database URL from a flag; unlike the config's it may contain a password.
pub fn database_url(text: &str) -> Result<Url, Problems> {
    database::database_url(text).map_err(|says| Problems::one(format!("--database {says}")))
}

/// Prometheus's address as a flag gives it.
pub fn prometheus_url(text: &str) -> Result<Url, Problems> {
    prometheus::prometheus_url(text).map_err(|says| Problems::one(format!("--prometheus {says}")))
}

/// The secret in a file with nothing else. A file that everyone can read is rejected.
pub fn secret_file(path: &Path) -> Result<String, Problems> {
    secret::read(path).map_err(Problems::one)
}
