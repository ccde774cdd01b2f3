//! What `kestrel doctor` checks besides the sources' answers → lines for a person: the store folder, and the
//! role and the session in the database. Changes nothing.

use kestrel::collect::postgres::{limit_binds, reads_only};
use kestrel::config::Config;
use kestrel::store;

/// One check.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Words for a person; an error where something is to be done.
    pub(super) found: Result<String, String>,
}

impl Check {
    fn new(name: &'static str, found: Result<String, String>) -> Self {
        Self { name, found }
    }

    /// As `kestrel doctor` prints it.
    pub(super) fn line(&self) -> String {
        let (mark, words) = match &self.found {
            Ok(words) => ("ok", words),
            Err(words) => ("FAILED", words),
        };
        format!("{mark:>14}  {}: {words}\n", self.name)
    }
}

/// All of them.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let mut checks = vec![Check::new("store folder", store::health(&config.store))];
    if let Some(database) = &config.database {
        let deadline = config.limits.deadline;
        checks.push(Check::new("database role", reads_only(database, deadline).await));
        checks.push(Check::new("database session", limit_binds(database, deadline).await));
    }
    checks
}
