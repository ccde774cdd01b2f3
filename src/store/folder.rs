//! The store folder, used by one process: its lock, the session, the lease and the recovery key.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use super::files::{make_folder, read_text, write_whole};
use super::ledger::Ledger;
use super::old_handled;

const SESSION: &str = "session.json";
const LEASE: &str = "lease.json";
const RECOVERY_KEY: &str = "recovery-key";

/// What a command can read about the account while the bot runs. It locks, creates and opens nothing.
#[derive(Clone)]
pub struct AccountFiles {
    pub session: Option<String>,
    pub lease: Option<String>,
    pub has_recovery_key: bool,
}

impl std::fmt::Debug for AccountFiles {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("AccountFiles(…)")
    }
}

/// Reads it from a store folder. A missing folder has nothing.
pub fn account_files(folder: &Path) -> Result<AccountFiles> {
    Ok(AccountFiles {
        session: read_text(&folder.join(SESSION))?,
        lease: read_text(&folder.join(LEASE))?,
        has_recovery_key: folder.join(RECOVERY_KEY).try_exists()?,
    })
}

/// The store, locked by this process until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) folder: PathBuf,
    since: Timestamp,
    pub(super) ledger: Ledger,
    /// Closing it unlocks the folder; the file itself stays.
    _lock: File,
}

impl Store {
    /// Locks the folder for this process, and creates it if needed.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self> {
        let shown = folder.display();
        make_folder(folder).with_context(|| format!("cannot create the store folder {shown}"))?;
        let lock = take_lock(folder, now)?;
        let ledger = Ledger::open(folder)?;
        old_handled::take_over(&folder.join("handled"), &ledger, now)
            .with_context(|| format!("cannot read the list of handled events in {shown}"))?;
        let since = ledger.since()?.unwrap_or(now);
        let folder = folder.to_owned();
        Ok(Self { inner: Arc::new(Inner { folder, since, ledger, _lock: lock }) })
    }

    /// The Matrix client's own folder, created if needed; its files have the folder's permissions.
    pub fn crypto_folder(&self) -> Result<PathBuf> {
        let path = self.crypto_path();
        make_folder(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// Where the Matrix client's own folder is.
    fn crypto_path(&self) -> PathBuf {
        self.inner.folder.join("matrix")
    }

    /// Deletes the Matrix client's own folder, if there is one.
    pub fn forget_crypto(&self) -> Result<()> {
        let path = self.crypto_path();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The session, as the bot wrote it.
    pub fn session(&self) -> Result<Option<String>> {
        read_text(&self.session_path())
    }

    pub fn save_session(&self, text: &str) -> Result<()> {
        write_whole(&self.session_path(), text.as_bytes())
    }

    pub fn forget_session(&self) -> Result<()> {
        let path = self.session_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn session_path(&self) -> PathBuf {
        self.inner.folder.join(SESSION)
    }

    /// The account's lease, as the bot wrote it.
    pub fn lease(&self) -> Result<Option<String>> {
        read_text(&self.inner.folder.join(LEASE))
    }

    pub fn save_lease(&self, text: &str) -> Result<()> {
        write_whole(&self.inner.folder.join(LEASE), text.as_bytes())
    }

    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The recovery key's file: outside of the client's folder, so that it survives the loss of that folder.
    pub fn recovery_key_path(&self) -> PathBuf {
        self.inner.folder.join(RECOVERY_KEY)
    }

    pub fn recovery_key(&self) -> Result<Option<String>> {
        let text = read_text(&self.recovery_key_path())?;
        Ok(text.map(|text| text.trim().to_owned()))
    }

    pub fn save_recovery_key(&self, key: &str) -> Result<()> {
        write_whole(&self.recovery_key_path(), format!("{key}\n").as_bytes())
    }

    /// The database.
    pub fn ledger(&self) -> Ledger {
        self.inner.ledger.clone()
    }

    /// When this store was created. Earlier messages are history: whether they were answered is unknown.
    pub fn since(&self) -> Timestamp {
        self.inner.since
    }
}

/// Locks `folder`, or says who uses it. The lock belongs to the open file, so a crash releases it; the text
/// in the file is for the error message.
fn take_lock(folder: &Path, now: Timestamp) -> Result<File> {
    let path = folder.join("lock");
    let shown = path.display();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {shown}"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&file).take(200).read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "unknown",
                holder => holder,
            };
            bail!("another Kestrel uses the store {}: {holder}", folder.display());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {shown}"));
        }
    }
    let mut note = || -> std::io::Result<()> {
        file.set_len(0)?;
        writeln!(file, "pid {} since {now:.0}", std::process::id())?;
        file.sync_all()
    };
    note().with_context(|| format!("cannot write {shown}, so nothing can be stored"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_second_process_is_refused_and_told_who_holds_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path(), at(0)).unwrap();
        let refused = Store::open(folder.path(), at(60)).unwrap_err().to_string();
        let holder = format!("pid {} since 1970-01-01T00:00:00Z", std::process::id());
        assert!(refused.ends_with(&holder), "{refused}");
        drop(first);
        Store::open(folder.path(), at(60)).unwrap();
    }

    #[test]
    fn folder_and_secrets_are_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(&path, at(0)).unwrap();
        store.save_session("{}").unwrap();
        store.save_recovery_key("EsTx").unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&store.session_path()), 0o600);
        assert_eq!(mode(&store.recovery_key_path()), 0o600);
        assert_eq!(store.recovery_key().unwrap().as_deref(), Some("EsTx"));
        store.forget_session().unwrap();
        store.forget_session().unwrap();
        assert_eq!(store.session().unwrap(), None);
    }
}
