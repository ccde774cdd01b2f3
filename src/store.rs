//! Everything under `store/`: what Kestrel knows → files that outlive it, and back.
//!
//! One process holds the folder; a second one is refused and told who holds it. Every file is written
//! beside its place and renamed, so a crash leaves the old one or the new one. A file's name is ours or
//! a digest, never foreign text. Nothing here asks the time or speaks to anything but the disk.
//! `store/README.md` says what each file is and what losing it means.

mod handled;
mod ledger;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use ruma::{EventId, RoomId, UserId};
use sha2::{Digest, Sha256};

use crate::evidence::{Evidence, SCHEMA};
use handled::Handled;
pub use handled::Standing;
pub use ledger::{Due, Known, Ledger, Owed, Step};

/// How many cases are kept; the oldest go first. A case is some tens of kilobytes.
const KEPT_CASES: usize = 1000;

/// A judged question, to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewCase<'a> {
    pub cause: &'a EventId,
    pub thread: &'a EventId,
    pub room: &'a RoomId,
    pub asker: &'a UserId,
    pub verdict: &'a str,
    pub certainty: &'a str,
    pub evidence: &'a Evidence,
    pub now: Timestamp,
}

/// The store, held by this process until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    handled: Mutex<Handled>,
    ledger: Ledger,
    /// Closing it lets go of the folder; the file itself stays.
    _lock: File,
}

impl Store {
    /// Takes the folder for this process; makes it when it is not there.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self> {
        let shown = folder.display();
        make_folder(folder).with_context(|| format!("cannot make the store folder {shown}"))?;
        let lock = take_lock(folder, now)?;
        let handled = Handled::open(&folder.join("handled"), now)
            .with_context(|| format!("cannot read the list of handled events in {shown}"))?;
        let ledger = Ledger::open(folder)?;
        Ok(Self {
            inner: Arc::new(Inner {
                folder: folder.to_owned(),
                handled: Mutex::new(handled),
                ledger,
                _lock: lock,
            }),
        })
    }

    /// The Matrix client's own folder, made when it is not there: its files are as open as it is.
    pub fn crypto_folder(&self) -> Result<PathBuf> {
        let path = self.crypto_path();
        make_folder(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Where the Matrix client's own folder is.
    fn crypto_path(&self) -> PathBuf {
        self.inner.folder.join("matrix")
    }

    /// Removes the Matrix client's own folder; fine when there is none.
    pub fn forget_crypto(&self) -> Result<()> {
        let path = self.crypto_path();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The session's text, as the bot wrote it.
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
        self.inner.folder.join("session.json")
    }

    /// Where the recovery key is: outside of the client's folder, so that it outlives its loss.
    pub fn recovery_key_path(&self) -> PathBuf {
        self.inner.folder.join("recovery-key")
    }

    pub fn recovery_key(&self) -> Result<Option<String>> {
        let text = read_text(&self.recovery_key_path())?;
        Ok(text.map(|text| text.trim().to_owned()))
    }

    pub fn save_recovery_key(&self, key: &str) -> Result<()> {
        write_whole(&self.recovery_key_path(), format!("{key}\n").as_bytes())
    }

    /// Keeps a case's evidence under the thread it was answered in; a later case of the same thread
    /// takes its place.
    pub fn save_case(&self, thread: &EventId, evidence: &Evidence) -> Result<()> {
        let text = serde_json::to_vec_pretty(evidence).context("cannot write a case as JSON")?;
        let folder = self.cases_path();
        make_folder(&folder)?;
        write_whole(&self.case_path(thread), &text)?;
        drop_oldest(&folder, KEPT_CASES)
    }

    /// Keeps a judged question under the next number, with its evidence; the same cause gives the same number
    /// again.
    pub fn open_case(&self, new: &NewCase<'_>) -> Result<u64> {
        self.save_case(new.thread, new.evidence)?;
        let path = self.inner.folder.join("numbers");
        let mut numbers: Vec<String> =
            read_text(&path)?.unwrap_or_default().lines().map(str::to_owned).collect();
        let cause = digest(new.cause);
        let known = numbers.iter().position(|number| *number == cause);
        let at = known.unwrap_or(numbers.len());
        if known.is_none() {
            numbers.push(cause);
            write_whole(&path, numbers.join("\n").as_bytes())?;
        }
        Ok(at as u64 + 1)
    }

    /// The evidence of the case in this thread. A torn file, or one of another version, is as good as
    /// none: the log says why.
    pub fn case_of(&self, thread: &EventId) -> Option<Evidence> {
        let path = self.case_path(thread);
        let shown = path.display();
        let text = match read_text(&path) {
            Ok(text) => text?,
            Err(error) => {
                tracing::warn!("case {shown} is unreadable: {error:#}");
                return None;
            }
        };
        match serde_json::from_str::<Evidence>(&text) {
            Ok(evidence) if evidence.schema == SCHEMA => Some(evidence),
            Ok(evidence) => {
                let schema = evidence.schema;
                tracing::warn!("case {shown} has schema {schema}, this version reads {SCHEMA}");
                None
            }
            Err(error) => {
                tracing::warn!("case {shown} is torn or of another version: {error}");
                None
            }
        }
    }

    fn cases_path(&self) -> PathBuf {
        self.inner.folder.join("cases")
    }

    fn case_path(&self, thread: &EventId) -> PathBuf {
        self.cases_path().join(format!("{}.json", digest(thread)))
    }

    /// Everything of the storm watch that outlives the process.
    pub fn ledger(&self) -> Ledger {
        self.inner.ledger.clone()
    }

    /// When this store began. What was sent before it is history: whether it was answered is not known.
    pub fn since(&self) -> Timestamp {
        self.handled(|handled| handled.since())
    }

    /// Notes that an event is being answered, unless it is or was.
    pub fn begin(&self, event: &EventId) -> Result<Standing> {
        self.handled(|handled| handled.begin(&digest(event)))
    }

    /// Notes that an event needs nothing any more.
    pub fn finish(&self, event: &EventId) -> Result<()> {
        self.handled(|handled| handled.finish(&digest(event)))
    }

    fn handled<T>(&self, work: impl FnOnce(&mut Handled) -> T) -> T {
        // A panic elsewhere while it was held leaves at worst a line that is noted twice.
        let mut handled = (self.inner.handled.lock()).unwrap_or_else(PoisonError::into_inner);
        work(&mut handled)
    }
}

/// An event id as a name: 64 hex digits.
fn digest(event: &EventId) -> String {
    let sum = Sha256::digest(event.as_bytes());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The folder may have been there before, open to others.
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    Ok(())
}

/// Takes the lock of `folder`, or says who has it. The lock belongs to the open file, so a crash lets
/// go of it; the text in the file is for the person who reads the refusal.
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
            bail!("another Kestrel holds the store {}: {holder}", folder.display());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {shown}"));
        }
    }
    file.set_len(0)?;
    writeln!(file, "pid {} since {now:.0}", std::process::id())?;
    file.sync_all()?;
    Ok(file)
}

fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file that only its owner can read: beside its place first, then renamed, and the folder is
/// flushed too, so that after a power cut it is there whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        // Left by a crash; its mode may be another.
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes the files of `folder` that were written first, until `kept` are left.
fn drop_oldest(folder: &Path, kept: usize) -> Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let surplus = files.len().saturating_sub(kept);
    for (_, path) in files.into_iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{About, Subject, Symptom, Window};
    use ruma::{event_id, user_id};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn evidence() -> Evidence {
        Evidence {
            schema: SCHEMA,
            symptom: Symptom::Ke1,
            subject: About::Device(Subject {
                user: user_id!("@a:example.org").to_owned(),
                device: "DEV ICE/../x".into(),
            }),
            window: Window { from: at(10), to: at(20) },
            now: at(20),
            gathered: Vec::new(),
        }
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

    #[test]
    fn a_case_comes_back_and_hostile_ids_name_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        let hostile = event_id!("$../../../etc/passwd");
        store.save_case(hostile, &evidence()).unwrap();
        assert_eq!(store.case_of(hostile).unwrap().subject, evidence().subject);
        assert!(store.case_path(hostile).starts_with(folder.path()));
        assert_eq!(store.case_path(hostile).parent().unwrap(), store.cases_path());
        assert!(store.case_of(event_id!("$other")).is_none());
    }

    #[test]
    fn a_torn_or_foreign_case_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        let thread = event_id!("$thread");
        store.save_case(thread, &evidence()).unwrap();
        let path = store.case_path(thread);
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, whole.len() / 2] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(store.case_of(thread).is_none());
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(store.case_of(thread).is_none());
        let newer = Evidence { schema: SCHEMA + 1, ..evidence() };
        store.save_case(thread, &newer).unwrap();
        assert!(store.case_of(thread).is_none());
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..5 {
            let path = folder.path().join(number.to_string());
            let file = File::create(path).unwrap();
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(number);
            file.set_modified(written).unwrap();
        }
        drop_oldest(folder.path(), 2).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["3", "4"]);
    }
}
