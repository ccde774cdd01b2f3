//! The database's URL and the files with secrets, and what is said about them.

use std::path::Path;

use super::Config;
use super::tests::{BOT, LOTUS, folder, good, secret};

/// The problems of a `[database]` section in an otherwise good config.
fn database_problems(section: &str, folder: &Path) -> String {
    match Config::parse(&format!("{BOT}\n[database]\n{section}"), folder) {
        Ok(config) => format!("accepted: {:?}", config.database),
        Err(problems) => problems.list.join("; "),
    }
}

#[test]
fn a_database_url_without_a_password() {
    let folder = folder();
    for (section, wanted) in [
        ("url = \"postgresql://k:hunter2@h/synapse\"", "database.url: contains a password; put"),
        (
            "url = \"postgresql://k@h/synapse?password=hunter2\"",
            "database.url: contains a password",
        ),
        ("url = \"mysql://k@h/hunter2\"", "database.url: must begin with postgresql://"),
        ("url = \"hunter2\"", "database.url: is not a URL like"),
        ("url = \"postgresql://k@h\"", "database.url: has no database name"),
        (
            "url = \"postgresql://k@h/s?sslmode=verify\"",
            "database.url: sslmode=verify is not one of disable, ",
        ),
        ("url = \"postgresql://k@h/s\"\nurl_file = \"x\"", "database.url_file: replaces url"),
        (
            "url_file = \"database-url\"\npassword_file = \"database-password\"",
            "database.password_file: is not allowed: the URL",
        ),
        (
            "url = \"postgresql:///s?host=/run/postgresql\"\npassword_file = \"database-password\"",
            "database.password_file: has no effect",
        ),
    ] {
        let told = database_problems(section, folder.path());
        assert!(told.starts_with(wanted), "{section}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_secret_stays_in_a_file_of_its_own() {
    let folder = folder();
    secret(folder.path(), "open", "hunter2", 0o644);
    secret(folder.path(), "empty", "\n", 0o600);
    secret(folder.path(), "two", "hunter2\nhunter3\n", 0o600);
    secret(folder.path(), "crlf", "hunter2 \r\n", 0o440);
    for (name, wanted) in [
        ("open", "can be read by everyone on this machine; run: chmod o= "),
        ("empty", "is empty"),
        ("two", "has more than one line"),
        ("absent", "cannot be read: No such file"),
        (".", "is not a file"),
    ] {
        let section = format!("url = \"postgresql://k@h/s\"\npassword_file = \"{name}\"");
        let told = database_problems(&section, folder.path());
        assert!(told.starts_with("database.password_file: /") && told.contains(wanted), "{told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    let text = format!("{BOT}\n[database]\nurl = \"postgresql://k@h/s\"\npassword_file = \"crlf\"");
    let database = good(&text, folder.path()).database.expect("a database");
    assert_eq!(database.url.as_str(), "postgresql://k:hunter2%20@h/s");
}

/// Any password must come out of the URL as it went in, read by whoever connects.
#[test]
fn a_password_survives_the_url() {
    let folder = folder();
    for password in ["p@ss%25/w:rd", "%", "a b", "ä€😀", "'\"\\?#[]&=+;", "%%41"] {
        secret(folder.path(), "database-password", password, 0o600);
        let database = good(LOTUS, folder.path()).database.expect("a database");
        let written = database.url.password().expect("a password");
        assert_eq!(percent_decoded(written), password, "{}", database.url);
    }
}

/// As a PostgreSQL client reads the parts of a URL.
fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("hex"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}
