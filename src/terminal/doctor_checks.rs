//! The other checks of `kestrel doctor`: whether the logs could show trouble, the store folder, and the
//! database's role and session. They change nothing.

use kestrel::collect::postgres::{limit_binds, reads_only};
use kestrel::config::Config;
use kestrel::store;
use kestrel_core::evidence::blind::{Blind, Why, blind, blind_answers, key_logs};
use kestrel_core::evidence::visibility::Logger;
use kestrel_core::evidence::{Evidence, Need};

/// One check.
pub(super) struct DoctorCheck {
    pub(super) name: &'static str,
    /// A sentence; an error if there is something to do.
    pub(super) found: Result<String, String>,
    /// Whether the result is certain.
    pub(super) sure: bool,
}

impl DoctorCheck {
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

/// Whether a source failed only because a logger wrote nothing, as on an idle server.
pub(super) fn is_quiet(evidence: &Evidence, need: Need, why: &str) -> bool {
    let all: Vec<_> = evidence.answers(need).collect();
    let blind = blind_answers(&all, need);
    blind.is_some_and(|blind| matches!(blind.why, Why::Loggers(_)) && blind.text() == why)
}

/// Whether the logs could show trouble. Unreadable logs are left out; their answers say why.
pub(super) fn visible(evidence: &Evidence) -> Vec<DoctorCheck> {
    let logs = key_logs(evidence);
    // Each log for the level; a logger that one process lacks may be in another.
    let mut found: Vec<_> = logs.iter().filter_map(|log| blind(&[*log], &[])).collect();
    if found.is_empty() {
        found.extend(blind(&logs, &Logger::ALL));
    }
    let check = |of: Blind| DoctorCheck {
        name: "log level",
        found: Err(format!("{}. Fix: {}", of.text(), of.how())),
        // On an idle server a logger may write nothing for a day.
        sure: !matches!(of.why, Why::Loggers(_)),
    };
    found.into_iter().map(check).collect()
}

/// All of them.
pub(super) async fn checks(config: &Config) -> Vec<DoctorCheck> {
    let mut checks = vec![DoctorCheck::new("store folder", store::health(&config.store))];
    if let Some(database) = &config.database {
        let deadline = config.limits.deadline;
        checks.push(DoctorCheck::new("database role", reads_only(database, deadline).await));
        checks.push(DoctorCheck::new("database session", limit_binds(database, deadline).await));
    }
    checks
}
