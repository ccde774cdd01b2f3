//! `[[logs]]`: the log files of Synapse's processes.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use toml::Table;

use super::section::Section;

pub(super) const LOG: &[&str] = &["name", "path", "timezone"];

/// One Synapse process's log file.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// Its name in answers.
    pub name: String,
    pub path: PathBuf,
    /// The zone of the log's local times; `None` to derive it from the log.
    pub timezone: Option<TimeZone>,
}

pub(super) fn logs(tables: &[&Table], base: &Path, problems: &mut Vec<String>) -> Vec<LogSource> {
    let mut names: Vec<&str> = Vec::new();
    let mut logs = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let mut section = Section::new(Some(*table), format!("logs[{at}]"), LOG, problems);
        for key in ["name", "path"] {
            if !section.has(key) {
                section.missing(key);
            }
        }
        let name = section.text("name");
        if let Some(name) = name {
            if names.contains(&name) {
                section.problem(
                    "name",
                    format_args!("{name:?} is used twice; each log needs its own name"),
                );
            }
            if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
                section.problem("name", format_args!("{name:?} must be one word"));
            }
            names.push(name);
        }
        let path = section.text("path").map(|path| base.join(path));
        let timezone = section.zone("timezone");
        if let Some((name, path)) = name.zip(path) {
            logs.push(LogSource { name: name.to_owned(), path, timezone });
        }
    }
    logs
}
