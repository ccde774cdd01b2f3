//! Numbered cases in the ledger, and the unnumbered files of an older Kestrel in `cases/`.
//!
//! Before cases had numbers, each case's evidence was in a file named by a digest of its thread. The digest
//! does not reveal the thread, so those files get no number: they are found from their thread as long as they
//! exist, and nothing is added to them.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;
use ruma::{EventId, UserId};

use super::files::{digest, read_text};
use super::folder::Store;
use super::ledger::{Kept, NewCase};
use kestrel_core::evidence::{Evidence, SCHEMA};

impl Store {
    /// Stores a case under the next number, with its evidence. The same cause returns the same number. Until
    /// the answer is posted, a newer verdict replaces the older one.
    pub fn open_case(&self, new: &NewCase<'_>) -> Result<u64> {
        self.inner.ledger.open_case(new)
    }

    /// Records the event that answered a case, so that a reply to it finds the case.
    pub fn answered(&self, number: u64, answer: &EventId) -> Result<()> {
        self.inner.ledger.answered(number, answer)
    }

    /// Moves a storm's cases to its thread, once the thread exists.
    pub fn rethread(&self, from: &EventId, to: &EventId) -> Result<()> {
        self.inner.ledger.rethread(from, to)
    }

    pub fn case(&self, number: u64) -> Result<Option<(Kept, Evidence)>> {
        self.inner.ledger.case(number)
    }

    /// The newest case of a thread, found by its root, an answer or a command.
    pub fn case_number_of(&self, event: &EventId) -> Option<u64> {
        self.inner.ledger.case_number_of(event).unwrap_or_else(|error| {
            tracing::warn!("cannot look up the case of {event}: {error:#}");
            None
        })
    }

    /// The newest cases, of one user or of all; the newest first.
    pub fn cases(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Kept>> {
        self.inner.ledger.cases(user, limit)
    }

    /// Deletes a case for good, along with its capture; returns whether there was one.
    pub fn forget_case(&self, number: u64) -> Result<bool> {
        for capture in self.inner.ledger.captures_of_case(number)? {
            self.forget_capture(capture)?;
        }
        self.inner.ledger.forget_case(number)
    }

    /// Deletes for good what is older than `at`, and all but the newest `most` of the rest. Returns how many
    /// were deleted.
    pub fn forget_before(&self, at: Timestamp, most: usize) -> Result<usize> {
        let files = self.forget_files(at)?;
        self.forget_captures(at)?;
        Ok(files + self.inner.ledger.forget_before(at, most)?)
    }

    /// The evidence of the newest case of a thread, numbered or not. Unreadable evidence counts as none; the
    /// log says why.
    pub fn evidence_of(&self, event: &EventId) -> Option<Evidence> {
        let Some(number) = self.case_number_of(event) else { return self.unnumbered(event) };
        let case = self.case(number).unwrap_or_else(|error| {
            tracing::warn!("case {number} is unreadable: {error:#}");
            None
        });
        case.map(|(_, evidence)| evidence)
    }

    /// The evidence of an older Kestrel for this thread.
    fn unnumbered(&self, thread: &EventId) -> Option<Evidence> {
        let path = self.unnumbered_path(thread);
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
                tracing::warn!(
                    "case {shown} is damaged or was written by another version: {error}"
                );
                None
            }
        }
    }

    /// Deletes files from before `at`, and the folder once it is empty.
    fn forget_files(&self, at: Timestamp) -> Result<usize> {
        let folder = self.unnumbered_folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
        };
        let at = SystemTime::from(at);
        let mut gone = 0;
        for entry in entries {
            let entry = entry?;
            if entry.metadata()?.modified()? < at {
                fs::remove_file(entry.path())?;
                gone += 1;
            }
        }
        // This fails while the folder has files.
        let _ = fs::remove_dir(&folder);
        Ok(gone)
    }

    fn unnumbered_folder(&self) -> PathBuf {
        self.inner.folder.join("cases")
    }

    fn unnumbered_path(&self, thread: &EventId) -> PathBuf {
        self.unnumbered_folder().join(format!("{}.json", digest(thread)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kestrel_core::evidence::{About, Subject, Symptom, Window};
    use ruma::{event_id, room_id, user_id};

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

    /// As the Kestrel before this one kept it.
    fn keep_unnumbered(store: &Store, thread: &EventId, text: &[u8]) {
        fs::create_dir_all(store.unnumbered_folder()).unwrap();
        fs::write(store.unnumbered_path(thread), text).unwrap();
    }

    #[test]
    fn an_older_kestrel_s_case_is_found_and_hostile_ids_name_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        let hostile = event_id!("$../../../etc/passwd");
        keep_unnumbered(&store, hostile, &serde_json::to_vec_pretty(&evidence()).unwrap());
        assert_eq!(store.evidence_of(hostile).unwrap().subject, evidence().subject);
        assert_eq!(store.unnumbered_path(hostile).parent().unwrap(), store.unnumbered_folder());
        assert!(store.evidence_of(event_id!("$other")).is_none());
        // A case of the same thread that has a number is newer.
        let newer = Evidence { symptom: Symptom::All, ..evidence() };
        let new = NewCase {
            cause: event_id!("$again"),
            thread: hostile,
            room: room_id!("!ops:example.org"),
            asker: user_id!("@admin:example.org"),
            verdict: "otk-healthy",
            certainty: "consistent",
            evidence: &newer,
            now: at(30),
        };
        assert_eq!(store.open_case(&new).unwrap(), 1);
        assert_eq!(store.evidence_of(hostile).unwrap().symptom, Symptom::All);
    }

    #[test]
    fn a_torn_or_foreign_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        let thread = event_id!("$thread");
        let whole = serde_json::to_vec(&evidence()).unwrap();
        for length in [0, 1, whole.len() / 2] {
            keep_unnumbered(&store, thread, &whole[..length]);
            assert!(store.evidence_of(thread).is_none());
        }
        keep_unnumbered(&store, thread, &[0xff, 0xfe]);
        assert!(store.evidence_of(thread).is_none());
        let newer = Evidence { schema: SCHEMA + 1, ..evidence() };
        keep_unnumbered(&store, thread, &serde_json::to_vec(&newer).unwrap());
        assert!(store.evidence_of(thread).is_none());
    }

    #[test]
    fn old_files_go_with_their_age() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), at(0)).unwrap();
        for (thread, second) in [(event_id!("$old"), 100), (event_id!("$new"), 300)] {
            keep_unnumbered(&store, thread, &serde_json::to_vec(&evidence()).unwrap());
            let file =
                fs::File::options().append(true).open(store.unnumbered_path(thread)).unwrap();
            file.set_modified(at(second).into()).unwrap();
        }
        assert_eq!(store.forget_before(at(200), 1000).unwrap(), 1);
        assert!(store.evidence_of(event_id!("$old")).is_none());
        assert!(store.evidence_of(event_id!("$new")).is_some());
        assert_eq!(store.forget_before(at(400), 1000).unwrap(), 1);
        assert!(!store.unnumbered_folder().exists());
        assert_eq!(store.forget_before(at(400), 1000).unwrap(), 0);
    }
}
