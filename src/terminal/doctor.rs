//! What `kestrel doctor` checks besides the sources' answers → lines for a person: whether the logs could show
//! trouble, the store folder, and the role and the session in the database. Changes nothing.

use kestrel::collect::postgres::{limit_binds, reads_only};
use kestrel::config::Config;
use kestrel::store;
use kestrel_core::evidence::blind::{Blind, Why, blind, blind_answers, key_logs};
use kestrel_core::evidence::visibility::Logger;
use kestrel_core::evidence::{Evidence, Need};

/// One check.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Words for a person; an error where something is to be done.
    pub(super) found: Result<String, String>,
    /// What was found is certain.
    pub(super) sure: bool,
}

impl Check {
    fn new(name: &'static str, found: Result<String, String>) -> Self {
        Self { name, found, sure: true }
    }

    /// As `kestrel doctor` prints it.
    pub(super) fn line(&self) -> String {
        let (mark, words) = match &self.found {
            Ok(words) => ("ok", words),
            Err(words) if self.sure => ("FAILED", words),
            Err(words) => ("unknown", words),
        };
        format!("{mark:>14}  {}: {words}\n", self.name)
    }
}

/// Whether a source's failure is only that a logger wrote nothing, as on a server without much to do.
pub(super) fn is_quiet(evidence: &Evidence, need: Need, why: &str) -> bool {
    let all: Vec<_> = evidence.answers(need).collect();
    let blind = blind_answers(&all, need);
    blind.is_some_and(|blind| matches!(blind.why, Why::Loggers(_)) && blind.text() == why)
}

/// Whether the logs could show trouble; nothing of logs that could not be read, whose answers say why.
pub(super) fn visible(evidence: &Evidence) -> Vec<Check> {
    let logs = key_logs(evidence);
    // One by one for the level; of single loggers one process may have what another lacks.
    let mut found: Vec<_> = logs.iter().filter_map(|log| blind(&[*log], &[])).collect();
    if found.is_empty() {
        found.extend(blind(&logs, &Logger::ALL));
    }
    let check = |of: Blind| Check {
        name: "log level",
        found: Err(format!("{}. What to do: {}", of.text(), of.how())),
        // A server without much to do writes nothing from a logger for a day.
        sure: !matches!(of.why, Why::Loggers(_)),
    };
    found.into_iter().map(check).collect()
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
