//! Reads a config section by section. Every section is read even if another is wrong, so that one run reports
//! all problems.

use std::path::{Path, PathBuf};

use toml::Table;

use super::bot_section::BotSection;
use super::cases::{self, Cases};
use super::database::Database;
use super::database_section;
use super::limits::{self, Limits};
use super::logs::{self, LogSource};
use super::matrix::{self, Matrix};
use super::problems::Problems;
use super::prometheus::{self, Prometheus};
use super::reports::{self, Reports};
use super::section::Section;
use super::server::{self, Server};
use super::storm_watch::{self, Watch};

const FILE: &[&str] = &[
    "store",
    "matrix",
    "server",
    "logs",
    "database",
    "prometheus",
    "watch",
    "reports",
    "cases",
    "limits",
];

/// `store` without the key: next to the folder of the config, as in the source tree.
pub(super) const STORE: &str = "../store";

/// Everything that `config/example.toml` can say, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where run-time state lives.
    pub store: PathBuf,
    /// What the bot needs; `None` for a terminal without a config file.
    pub matrix: Option<Matrix>,
    pub server: Server,
    pub logs: Vec<LogSource>,
    pub database: Option<Database>,
    pub prometheus: Option<Prometheus>,
    pub watch: Watch,
    pub reports: Reports,
    pub cases: Cases,
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
        config(text, base)
    }
}

/// Reads and checks everything.
fn config(text: &str, base: &Path) -> Result<Config, Problems> {
    let table: Table = text.parse().map_err(|error| Problems::one(syntax(text, &error)))?;
    let mut problems = Vec::new();

    let mut file = Section::new(Some(&table), "", FILE, &mut problems);
    let store = base.join(file.text("store").unwrap_or(STORE));
    let matrix_table = file.table("matrix");
    let server_table = file.table("server");
    let log_tables = file.tables("logs");
    let database_table = file.table("database");
    let prometheus_table = file.table("prometheus");
    let watch_table = file.table("watch");
    let reports_table = file.table("reports");
    let cases_table = file.table("cases");
    let limits_table = file.table("limits");

    let matrix = matrix_table.map(|table| matrix::matrix(table, base, &mut problems));
    let bot = matrix.as_ref().and_then(|(user, _)| user.as_ref());
    let server = server::server(server_table, bot, &mut problems);
    let logs = logs::logs(&log_tables, base, &mut problems);
    let database =
        database_table.map(|table| database_section::database(table, base, &mut problems));
    let prometheus =
        prometheus_table.map(|table| prometheus::prometheus(table, base, &mut problems));
    let seen = match &matrix {
        None => BotSection::Absent,
        Some((_, Some(matrix))) => BotSection::Read(matrix),
        Some((_, None)) => BotSection::Unread,
    };
    let watch = storm_watch::watch(watch_table, seen, &mut problems);
    let reports = reports::reports(reports_table, seen, &mut problems);
    let cases = cases::cases(cases_table, &mut problems);
    let limits = limits::limits(limits_table, &mut problems);
    let config = Config {
        store,
        matrix: matrix.and_then(|(_, matrix)| matrix),
        server,
        logs,
        database: database.flatten(),
        prometheus: prometheus.flatten(),
        watch,
        reports,
        cases,
        limits,
    };
    if problems.is_empty() { Ok(config) } else { Err(Problems { list: problems }) }
}

/// Where the text is not valid TOML. Without the line itself, which may contain a password.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}: {message}")
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
/// Each section's name in the file, and every key it may hold.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("", FILE),
    ("matrix", matrix::MATRIX),
    ("server", server::SERVER),
    ("logs", logs::LOG),
    ("database", database_section::DATABASE),
    ("prometheus", prometheus::PROMETHEUS),
    ("watch", storm_watch::WATCH),
    ("reports", reports::REPORTS),
    ("cases", cases::CASES),
    ("limits", limits::LIMITS),
];
