//! A config's text → `Config`, section by section. Each section is read even if another is wrong, so
//! that one run names everything there is to mend.

use std::path::{Path, PathBuf};

use ruma::OwnedUserId;
use toml::Table;
use url::Url;

use super::database::{SecretFile, set_password};
use super::section::Section;
use super::{
    Config, Database, Limits, LogSource, Matrix, Problems, Server, cases, prometheus, reports,
    secret, storm_watch,
};

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
const MATRIX: &[&str] = &[
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
const SERVER: &[&str] = &["name"];
const LOG: &[&str] = &["name", "path", "timezone"];
const DATABASE: &[&str] = &["url", "password_file", "url_file"];
pub(super) const PROMETHEUS: &[&str] = &["url", "user", "password_file", "token_file", "labels"];
const LIMITS: &[&str] = &["deadline", "window", "timezone", "show_addresses"];

/// `store` without the key: beside the folder that holds the config, as in the source tree.
pub(super) const STORE: &str = "../store";
/// `max_command_age` without the key: longer than a restart, shorter than anyone still waits.
pub(super) const MAX_COMMAND_AGE: &str = "5m";

const SSLMODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];

const USER_ID: &str = "a Matrix user id like \"@you:example.org\"";

/// Reads and checks everything.
pub(super) fn config(text: &str, base: &Path) -> Result<Config, Problems> {
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

    let matrix = matrix_table.map(|table| matrix(table, base, &mut problems));
    let bot = matrix.as_ref().and_then(|(user, _)| user.as_ref());
    let server = server(server_table, bot, &mut problems);
    let logs = logs(&log_tables, base, &mut problems);
    let database = database_table.map(|table| database(table, base, &mut problems));
    let prometheus =
        prometheus_table.map(|table| prometheus::prometheus(table, base, &mut problems));
    let seen = match &matrix {
        None => storm_watch::BotSection::Absent,
        Some((_, Some(matrix))) => storm_watch::BotSection::Read(matrix),
        Some((_, None)) => storm_watch::BotSection::Unread,
    };
    let watch = storm_watch::watch(watch_table, seen, &mut problems);
    let reports = reports::reports(reports_table, seen, &mut problems);
    let cases = cases::cases(cases_table, &mut problems);
    let limits = limits(limits_table, &mut problems);
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

/// Where the text stops being TOML. Without the line itself, which toml would show: it may hold a
/// password.
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

/// The bot's id comes apart, because the server's name derives from it even when another key is wrong.
fn matrix(
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
        "a room id like \"!opsroom:example.org\" (an alias #… is not one; room settings show the id)",
    );
    if rooms.is_empty() && section.is_empty_list("rooms") {
        section.problem("rooms", "is empty; name at least one ops room");
    }
    let admins = section.list("admins", USER_ID);
    let min_power_level = section.integer("min_power_level");
    if min_power_level.is_some_and(|level| level < 0) {
        section.problem("min_power_level", "is negative; 0 already is every member");
    }
    let nobody = !section.has("min_power_level")
        && (!section.has("admins") || section.is_empty_list("admins"));
    if nobody {
        section.problem(
            "admins",
            "names nobody, and without min_power_level nobody could command the bot",
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
        max_command_age: max_command_age
            .or_else(|| super::section::duration(MAX_COMMAND_AGE))
            .unwrap_or_default(),
        allow_unencrypted: allow_unencrypted.unwrap_or_default(),
        require_verified: require_verified.unwrap_or_default(),
        password_file,
    });
    (user, matrix)
}

fn check_homeserver(url: &Url, section: &mut Section<'_, '_>) {
    // Plain http is allowed: a bot beside Synapse talks to its listener without leaving the machine.
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        section.problem("homeserver", "must begin with https:// or http://");
    } else if !url.username().is_empty() || url.password().is_some() {
        section.problem(
            "homeserver",
            "holds a login; leave it out, `kestrel login` makes the session",
        );
    }
}

fn server(table: Option<&Table>, bot: Option<&OwnedUserId>, problems: &mut Vec<String>) -> Server {
    let mut section = Section::new(table, "server", SERVER, problems);
    let name = section.parsed("name", "a server name like \"example.org\"");
    if !section.has("name") && bot.is_none() {
        section.problem("name", "is missing, and there is no matrix.user to take it from");
    }
    Server { name: name.or_else(|| bot.map(|user| user.server_name().to_owned())) }
}

fn logs(tables: &[&Table], base: &Path, problems: &mut Vec<String>) -> Vec<LogSource> {
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
                section
                    .problem("name", format_args!("{name:?} is taken; answers name a log by it"));
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

fn database(table: &Table, base: &Path, problems: &mut Vec<String>) -> Option<Database> {
    let mut section = Section::new(Some(table), "database", DATABASE, problems);
    let url = match (section.has("url"), section.has("url_file")) {
        (true, true) => {
            section.problem("url_file", "takes the place of url; keep one of the two");
            return None;
        }
        (false, false) => {
            section.problem("url", "is missing; without a database leave the whole section out");
            return None;
        }
        (true, false) => inline_url(&mut section),
        (false, true) => from_file("url_file", base, &mut section)
            .and_then(|text| checked_url("url_file", &text, &mut section)),
    };
    let password = from_file("password_file", base, &mut section);
    let file = section.text("password_file").map(|path| SecretFile::Password(base.join(path)));
    let file =
        file.or_else(|| section.text("url_file").map(|path| SecretFile::Url(base.join(path))));
    let mut url = url?;
    if section.has("password_file") && has_password(&url) {
        section.problem("password_file", "is one password too many: url_file already holds one");
        return None;
    }
    if let Some(password) = password
        && !set_password(&mut url, &password)
    {
        section.problem("password_file", "has no use: the database's url names no host");
    }
    Some(Database::with_secret_file(url, file))
}

/// The URL that stands in the config, which everyone may read.
fn inline_url(section: &mut Section<'_, '_>) -> Option<Url> {
    let text = section.text("url")?;
    let url = checked_url("url", text, section)?;
    if has_password(&url) {
        section.problem(
            "url",
            "holds a password; put the password alone into a file and name it as password_file (or the whole URL, as url_file)",
        );
        return None;
    }
    Some(url)
}

/// Never shows the text: it may hold a password. The problem is a sentence's second half.
pub(super) fn database_url(text: &str) -> Result<Url, String> {
    let Ok(url) = text.parse::<Url>() else {
        return Err("is not a URL like \"postgresql://kestrel@db.example.org/synapse\"".to_owned());
    };
    if !matches!(url.scheme(), "postgresql" | "postgres") {
        return Err("must begin with postgresql://".to_owned());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("names no database; it is the last part, as in …/synapse".to_owned());
    }
    match url.query_pairs().find(|(name, _)| name == "sslmode") {
        Some((_, mode)) if !SSLMODES.contains(&mode.as_ref()) => {
            let known = SSLMODES.join(", ");
            Err(format!("sslmode={mode} is none of {known}"))
        }
        _ => Ok(url),
    }
}

fn checked_url(key: &str, text: &str, section: &mut Section<'_, '_>) -> Option<Url> {
    match database_url(text) {
        Ok(url) => Some(url),
        Err(says) => {
            section.problem(key, says);
            None
        }
    }
}

fn has_password(url: &Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
}

pub(super) fn from_file(key: &str, base: &Path, section: &mut Section<'_, '_>) -> Option<String> {
    let path: PathBuf = base.join(section.text(key)?);
    match secret::read(&path) {
        Ok(secret) => Some(secret),
        Err(says) => {
            section.problem(key, says);
            None
        }
    }
}

fn limits(table: Option<&Table>, problems: &mut Vec<String>) -> Limits {
    let mut section = Section::new(table, "limits", LIMITS, problems);
    let unsaid = Limits::default();
    Limits {
        // An answer that takes longer than this comes too late to be of use in a call.
        deadline: section.duration("deadline", "1s", "5m").unwrap_or(unsaid.deadline),
        // The longest window that a command may name.
        window: section.duration("window", "1m", "31d").unwrap_or(unsaid.window),
        timezone: section.zone("timezone").unwrap_or(unsaid.timezone),
        show_addresses: section.flag("show_addresses").unwrap_or(unsaid.show_addresses),
    }
}

#[cfg(test)]
/// Each section's name in the file, and every key it may hold.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("", FILE),
    ("matrix", MATRIX),
    ("server", SERVER),
    ("logs", LOG),
    ("database", DATABASE),
    ("prometheus", PROMETHEUS),
    ("watch", storm_watch::WATCH),
    ("reports", reports::REPORTS),
    ("cases", cases::CASES),
    ("limits", LIMITS),
];
