//! The database's URL: what it must be, and its password.

use url::Url;

const SSLMODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];

/// Never shows the text, which may contain a password. The problem is the second half of a sentence.
pub(super) fn database_url(text: &str) -> Result<Url, String> {
    let Ok(url) = text.parse::<Url>() else {
        return Err("is not a URL like \"postgresql://kestrel@db.example.org/synapse\"".to_owned());
    };
    if !matches!(url.scheme(), "postgresql" | "postgres") {
        return Err("must begin with postgresql://".to_owned());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("has no database name; it is the last part, as in …/synapse".to_owned());
    }
    match url.query_pairs().find(|(name, _)| name == "sslmode") {
        Some((_, mode)) if !SSLMODES.contains(&mode.as_ref()) => {
            let known = SSLMODES.join(", ");
            Err(format!("sslmode={mode} is not one of {known}"))
        }
        _ => Ok(url),
    }
}

pub(super) fn has_password(url: &Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
}

/// Puts a password into a URL; returns whether the URL can have one.
pub(super) fn set_password(url: &mut Url, password: &str) -> bool {
    // The url crate leaves `%` as it is, and the reader of the URL would decode it.
    url.set_password(Some(&password.replace('%', "%25"))).is_ok()
}
