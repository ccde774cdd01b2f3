//! The database's URL, and the file with its password. Kestrel reads the file again when the database rejects
//! the password, so that a new one needs no restart. This opens no connection and never shows a password.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use url::Url;

use super::database_url::{database_url, set_password};
use super::secret;

/// How to reach Synapse's database.
#[derive(Clone)]
pub struct Database {
    /// The `postgresql://` URL from the config. It may contain a password, so it is never printed.
    pub url: Url,
    file: Option<SecretFile>,
    /// The URL with a newer password that worked; shared by all clones.
    renewed: Arc<Mutex<Option<Url>>>,
}

/// The file that holds a secret of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretFile {
    /// `database.password_file`
    Password(PathBuf),
    /// `database.url_file`
    Url(PathBuf),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Database({})", self.shown())
    }
}

impl Database {
    /// A database with just a URL.
    pub fn new(url: Url) -> Self {
        Self { url, file: None, renewed: Arc::default() }
    }

    /// A database whose URL contains a secret from this file.
    pub(super) fn with_secret_file(url: Url, file: Option<SecretFile>) -> Self {
        Self { file, ..Self::new(url) }
    }

    /// The URL for a person: without its password.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }

    /// The URL as it worked last.
    pub fn current(&self) -> Url {
        self.lock().clone().unwrap_or_else(|| self.url.clone())
    }

    /// The config key of the secret's file, if there is one.
    pub fn secret_key(&self) -> Option<&'static str> {
        Some(match self.file.as_ref()? {
            SecretFile::Password(_) => "database.password_file",
            SecretFile::Url(_) => "database.url_file",
        })
    }

    /// The URL with the current content of the file; without a file, the URL that worked last. The error is
    /// the second half of a sentence.
    pub fn reread(&self) -> Result<Url, String> {
        match &self.file {
            None => Ok(self.current()),
            Some(SecretFile::Password(path)) => {
                let mut url = self.url.clone();
                set_password(&mut url, &secret::read(path)?);
                Ok(url)
            }
            Some(SecretFile::Url(path)) => database_url(&secret::read(path)?),
        }
    }

    /// This URL worked: it is the current one from now on.
    pub fn worked(&self, url: Url) {
        *self.lock() = Some(url);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Url>> {
        // It always contains a complete URL, even after a panic.
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_new_password_is_read_and_kept_by_every_clone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        write(&path, "second%41");
        let url: Url = "postgresql://k:first@h/s".parse().unwrap();
        let database =
            Database::with_secret_file(url.clone(), Some(SecretFile::Password(path.clone())));
        let clone = database.clone();
        assert_eq!(database.current(), url);
        let read = database.reread().unwrap();
        assert_eq!(read.as_str(), "postgresql://k:second%2541@h/s");
        assert_eq!(clone.current(), url, "it has not worked yet");
        database.worked(read.clone());
        assert_eq!(clone.current(), read);
        assert!(!format!("{clone:?}").contains("second"), "{clone:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = database.reread().unwrap_err();
        assert!(refused.contains("can be read by everyone"), "{refused}");
    }

    #[test]
    fn a_url_file_is_read_whole_and_no_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        write(&path, "postgresql://other:new@h2/s");
        let url: Url = "postgresql://k:first@h/s".parse().unwrap();
        let database = Database::with_secret_file(url.clone(), Some(SecretFile::Url(path.clone())));
        assert_eq!(database.reread().unwrap().as_str(), "postgresql://other:new@h2/s");
        assert_eq!(database.secret_key(), Some("database.url_file"));
        write(&path, "hunter2");
        let refused = database.reread().unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
        let plain = Database::new(url.clone());
        assert_eq!((plain.reread(), plain.secret_key()), (Ok(url), None));
    }
}
