//! `[database]`: the database's URL and the file with its password.

use std::path::Path;

use toml::Table;
use url::Url;

use super::database::{Database, SecretFile};
use super::database_url::{database_url, has_password, set_password};
use super::secret::from_file;
use super::section::Section;

pub(super) const DATABASE: &[&str] = &["url", "password_file", "url_file"];

pub(super) fn database(table: &Table, base: &Path, problems: &mut Vec<String>) -> Option<Database> {
    let mut section = Section::new(Some(table), "database", DATABASE, problems);
    let url = match (section.has("url"), section.has("url_file")) {
        (true, true) => {
            section.problem("url_file", "replaces url; keep only one of the two");
            return None;
        }
        (false, false) => {
            section.problem("url", "is missing; if there is no database, remove the whole section");
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
        section.problem(
            "password_file",
            "is not allowed: the URL in url_file already contains a password",
        );
        return None;
    }
    if let Some(password) = password
        && !set_password(&mut url, &password)
    {
        section.problem("password_file", "has no effect: the database URL has no host");
    }
    Some(Database::with_secret_file(url, file))
}

/// The URL in the config, which everyone may read.
fn inline_url(section: &mut Section<'_, '_>) -> Option<Url> {
    let text = section.text("url")?;
    let url = checked_url("url", text, section)?;
    if has_password(&url) {
        section.problem(
            "url",
            "contains a password; put the password alone into a file and name it in password_file, or the \
             whole URL in url_file",
        );
        return None;
    }
    Some(url)
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
