//! The folder `captures/<number>/` of a capture: reports, measurements and the bundle. Everything is redacted
//! before it gets here, readable by the owner only, and deleted with its case or at its age.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use super::files::{make_folder, read_text, write_whole};
use super::folder::Store;

impl Store {
    /// Stores a file of a capture under a name of ours, replacing the previous one.
    pub fn keep_part(&self, number: u64, name: &str, content: &[u8]) -> Result<PathBuf> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
            bail!("a capture's file cannot have this name");
        }
        let folder = self.capture_folder(number);
        make_folder(&self.inner.folder.join("captures"))
            .and_then(|()| make_folder(&folder))
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(name);
        write_whole(&path, content)?;
        Ok(path)
    }

    /// The text of a capture's file; `None` where there is none.
    pub fn part(&self, number: u64, name: &str) -> Result<Option<String>> {
        read_text(&self.capture_folder(number).join(name))
    }

    /// The names of a capture's files, in their order.
    pub fn parts(&self, number: u64) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.capture_folder(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names: Vec<_> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        // Incomplete after a crash.
        names.retain(|name| !name.ends_with(".new"));
        names.sort();
        Ok(names)
    }

    /// Deletes a capture: its row, then its files. A crash in between leaves files, which the next cleanup
    /// deletes.
    pub fn forget_capture(&self, number: u64) -> Result<()> {
        self.inner.ledger.forget_capture(number)?;
        let folder = self.capture_folder(number);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Deletes finished captures that started before a time, and folders without a row.
    pub(super) fn forget_captures(&self, at: Timestamp) -> Result<()> {
        let ledger = &self.inner.ledger;
        for number in ledger.captures_before(at)?.into_iter().chain(ledger.captures_left_over()?) {
            self.forget_capture(number)?;
        }
        let Ok(entries) = fs::read_dir(self.inner.folder.join("captures")) else { return Ok(()) };
        for entry in entries.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if let Some(number) = number
                && self.inner.ledger.capture(number)?.is_none()
            {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn capture_folder(&self, number: u64) -> PathBuf {
        self.inner.folder.join("captures").join(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use ruma::{event_id, room_id};

    #[test]
    fn files_are_the_owner_s_and_go_with_their_capture() {
        let folder = tempfile::tempdir().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        let ledger = store.ledger();
        let begun = ledger.begin_capture(room_id!("!a:x"), event_id!("$r"), "{}", at(1)).unwrap();
        let number = begun.unwrap();
        let path = store.keep_part(number, "01-report.json", b"{}").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for name in ["", ".x", "../x", "a/b", "a b"] {
            assert!(store.keep_part(number, name, b"").is_err(), "{name}");
        }
        assert_eq!(store.parts(number).unwrap(), ["01-report.json"]);
        store.keep_part(99, "left-by-a-crash", b"").unwrap();
        store.forget_captures(at(100)).unwrap();
        assert!(path.exists(), "it goes on");
        assert_eq!(store.parts(99).unwrap(), Vec::<String>::new());
        ledger.judge_capture(number, 5).unwrap();
        ledger.end_capture(number, at(2)).unwrap();
        assert!(!store.forget_case(5).unwrap());
        assert!(!path.exists(), "its case is deleted and its files are not");
    }
}
