//! `[prometheus]`: the Prometheus with the homeserver's metrics, and its login.

use std::path::Path;

use toml::{Table, Value};
use url::Url;

use super::secret::from_file;
use super::section::Section;

pub(super) const PROMETHEUS: &[&str] = &["url", "user", "password_file", "token_file", "labels"];

/// The Prometheus with the homeserver's metrics.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// The part of the URL before `/api/v1`, such as `http://127.0.0.1:9090`.
    pub url: Url,
    pub access: Access,
    /// The labels of this homeserver's series, if one Prometheus stores several: names and values.
    pub labels: Vec<(String, String)>,
}

impl Prometheus {
    /// A Prometheus without a login, for one homeserver.
    pub fn open(url: Url) -> Self {
        Self { url, access: Access::Open, labels: Vec::new() }
    }
}

/// The login for Prometheus. It may contain a secret, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// No login.
    Open,
    Password {
        user: String,
        password: String,
    },
    Token(String),
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Open => "Open",
            Self::Password { .. } => "Password(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// Reads and checks the section.
pub(super) fn prometheus(
    table: &Table,
    base: &Path,
    problems: &mut Vec<String>,
) -> Option<Prometheus> {
    let mut section = Section::new(Some(table), "prometheus", PROMETHEUS, problems);
    if !section.has("url") {
        section.problem("url", "is missing; if there is no Prometheus, remove the whole section");
    }
    let url = section.text("url").and_then(|text| match prometheus_url(text) {
        Ok(url) => Some(url),
        Err(says) => {
            section.problem("url", says);
            None
        }
    });
    let access = access(&mut section, base);
    let labels = labels(&mut section);
    Some(Prometheus { url: url?, access: access?, labels })
}

/// A problem is the second half of a sentence, and never shows the text, which may contain a password.
pub(super) fn prometheus_url(text: &str) -> Result<Url, String> {
    let url = text
        .parse::<Url>()
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err("must begin with http:// or https://, as in \"http://127.0.0.1:9090\"".into());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or password; use user and password_file instead".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query; give only the part before /api/v1".into());
    }
    Ok(url)
}

fn access(section: &mut Section<'_, '_>, base: &Path) -> Option<Access> {
    let user = section.text("user").map(str::to_owned);
    let has = (section.has("user"), section.has("password_file"), section.has("token_file"));
    match has {
        (true, false, _) => section.problem("user", "also needs password_file"),
        (false, true, _) => section.problem("password_file", "also needs user"),
        (true, true, true) => {
            section.problem("token_file", "is not allowed together with user");
        }
        (true, true, false) => {
            let password = from_file("password_file", base, section)?;
            return Some(Access::Password { user: user?, password });
        }
        (false, false, true) => return from_file("token_file", base, section).map(Access::Token),
        (false, false, false) => return Some(Access::Open),
    }
    None
}

/// `{ server_name = "example.org" }`: label names of Prometheus, with any values.
fn labels(section: &mut Section<'_, '_>) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for (name, value) in section.table("labels").into_iter().flatten() {
        let named = name.bytes().enumerate().all(|(at, byte)| {
            byte.is_ascii_alphabetic() || byte == b'_' || at > 0 && byte.is_ascii_digit()
        });
        match value {
            Value::String(value) if named && !name.is_empty() => {
                labels.push((name.clone(), value.clone()));
            }
            Value::String(_) => {
                section.problem("labels", format_args!("{name:?} is not a label name"));
            }
            _ => section.problem("labels", format_args!("{name}: must be a string in quotes")),
        }
    }
    labels
}
