//! Cases as numbered rows, and their real deletion.
//!
//! A case is one row with its evidence inside, so that one transaction creates or deletes both, and a crash
//! never leaves a file. SQLite overwrites deleted data with zeros (`secure_delete`), but copies remain where
//! it had moved rows to another page. So the file is rewritten (`VACUUM`) and the write-ahead log truncated
//! before a deletion is reported as done. A number is never used twice, not even after the newest case was
//! deleted.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use rusqlite::{OptionalExtension, Row, params};

use super::connection::Ledger;
use kestrel_core::evidence::{About, Evidence, SCHEMA, Symptom};

/// A case, without its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub number: u64,
    pub at: Timestamp,
    pub about: About,
    pub symptom: Symptom,
    /// The verdict's name at that time.
    pub verdict: String,
    pub certainty: String,
    pub room: Option<OwnedRoomId>,
    /// The root of the thread it was answered in.
    pub thread: Option<OwnedEventId>,
    pub asker: Option<OwnedUserId>,
}

/// A case to store.
#[derive(Debug, Clone, Copy)]
pub struct NewCase<'a> {
    /// The event that caused it: the command. The same cause gives the same case.
    pub cause: &'a EventId,
    pub thread: &'a EventId,
    pub room: &'a RoomId,
    pub asker: &'a UserId,
    pub verdict: &'a str,
    pub certainty: &'a str,
    pub evidence: &'a Evidence,
    pub now: Timestamp,
}

const KEPT: &str = "number, at, subject, symptom, verdict, certainty, room, thread, asker";

impl Ledger {
    /// Stores a case under the next number, with its evidence. The same cause returns the same number. Until
    /// the answer is posted, a newer verdict replaces the older one.
    pub fn open_case(&self, new: &NewCase<'_>) -> Result<u64> {
        let evidence = serde_json::to_vec(new.evidence).context("cannot write a case as JSON")?;
        let subject = serde_json::to_string(&new.evidence.subject)?;
        let user = new.evidence.subject.user().map(UserId::as_str);
        let number: i64 = self.write(|tx| {
            let known = "SELECT number FROM kase WHERE cause = ?1";
            let cause = new.cause.as_str();
            let known: Option<i64> =
                tx.query_row(known, params![cause], |row| row.get(0)).optional()?;
            if let Some(number) = known {
                let sql = "UPDATE kase SET at = ?2, verdict = ?3, certainty = ?4, evidence = ?5
                           WHERE number = ?1 AND answer IS NULL";
                let at = new.now.as_microsecond();
                tx.execute(sql, params![number, at, new.verdict, new.certainty, evidence])?;
                return Ok(number);
            }
            let sql = "INSERT INTO kase (cause, at, symptom, subject, user, verdict, certainty,
                                         room, thread, asker, evidence)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let row = params![
                cause,
                new.now.as_microsecond(),
                new.evidence.symptom.name(),
                subject,
                user,
                new.verdict,
                new.certainty,
                new.room.as_str(),
                new.thread.as_str(),
                new.asker.as_str(),
                evidence,
            ];
            tx.execute(sql, row)?;
            Ok(tx.last_insert_rowid())
        })?;
        u64::try_from(number).context("the ledger returned no number for a case")
    }

    /// Records the event that answered a case: a reply to it is about the case.
    pub fn answered(&self, number: u64, answer: &EventId) -> Result<()> {
        let sql = "UPDATE kase SET answer = ?2 WHERE number = ?1";
        let number = rowid(number);
        self.write(|tx| Ok(tx.execute(sql, params![number, answer.as_str()]).map(drop)?))
    }

    /// Moves the cases of one thread to another: a storm is judged before its first message is posted.
    pub fn rethread(&self, from: &EventId, to: &EventId) -> Result<()> {
        let sql = "UPDATE kase SET thread = ?2 WHERE thread = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![from.as_str(), to.as_str()]).map(drop)?))
    }

    /// A case and its evidence; `None` if there is none with this number. Evidence of another version is an
    /// error: the row stays, but this Kestrel cannot evaluate it.
    pub fn case(&self, number: u64) -> Result<Option<(Kept, Evidence)>> {
        let sql = format!("SELECT {KEPT}, evidence FROM kase WHERE number = ?1");
        let read = |row: &Row<'_>| Ok((KeptRow::read(row)?, row.get::<_, Vec<u8>>(9)?));
        let row = self.read(|tx| tx.query_row(&sql, params![rowid(number)], read).optional())?;
        let Some((row, evidence)) = row else { return Ok(None) };
        let kept = row.kept()?;
        let evidence: Evidence = serde_json::from_slice(&evidence).with_context(|| {
            format!("the evidence of case {number} was written by another version")
        })?;
        if evidence.schema != SCHEMA {
            let theirs = evidence.schema;
            bail!("the evidence of case {number} has schema {theirs}, this version reads {SCHEMA}");
        }
        Ok(Some((kept, evidence)))
    }

    /// The newest case of a thread, found by its root, the answer in it or the command.
    pub fn case_number_of(&self, event: &EventId) -> Result<Option<u64>> {
        // Each part uses its own index.
        let sql = "SELECT max(number) FROM (
                       SELECT number FROM kase WHERE thread = ?1
                       UNION ALL SELECT number FROM kase WHERE answer = ?1
                       UNION ALL SELECT number FROM kase WHERE cause = ?1)";
        let number: Option<i64> =
            self.read(|tx| tx.query_row(sql, params![event.as_str()], |row| row.get(0)))?;
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// The newest cases, of one user or of all; the newest first.
    pub fn cases(&self, user: Option<&UserId>, limit: usize) -> Result<Vec<Kept>> {
        let which = if user.is_some() { "WHERE user = ?2" } else { "WHERE ?2 IS NULL" };
        let sql = format!("SELECT {KEPT} FROM kase {which} ORDER BY number DESC LIMIT ?1");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let user = user.map(UserId::as_str);
        let rows = self.rows(&sql, params![limit, user], KeptRow::read)?;
        let read = |row: KeptRow| {
            row.kept().map_err(|error| tracing::warn!("a case is skipped: {error:#}")).ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Deletes a case with its evidence; returns whether there was one. After that, the ledger's files
    /// contain nothing of it.
    pub fn forget_case(&self, number: u64) -> Result<bool> {
        let sql = "DELETE FROM kase WHERE number = ?1";
        let gone = self.forget(sql, &[rowid(number)])?;
        self.wipe()?;
        Ok(gone > 0)
    }

    /// Deletes cases older than `at`, and all but the newest `most` of the rest. Returns how many were
    /// deleted.
    pub fn forget_before(&self, at: Timestamp, most: usize) -> Result<usize> {
        let at = at.as_microsecond();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let sql = "DELETE FROM kase WHERE at < ?1 OR number <=
                   (SELECT number FROM kase ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        let gone = self.forget(sql, &[at, most])?;
        self.wipe()?;
        Ok(gone)
    }

    /// Deletes, and records in the same transaction that the files must be wiped.
    pub(super) fn forget(&self, sql: &str, with: &[i64]) -> Result<usize> {
        self.write(|tx| {
            let gone = tx.execute(sql, rusqlite::params_from_iter(with))?;
            if gone > 0 {
                tx.execute("INSERT OR IGNORE INTO unwiped (one) VALUES (1)", [])?;
            }
            Ok(gone)
        })
    }

    /// Removes deleted data from the files, if needed: after this deletion, or after one that a crash
    /// interrupted. The file is rewritten, and the write-ahead log, which contains the old pages, is
    /// checkpointed and truncated.
    pub(super) fn wipe(&self) -> Result<()> {
        let due = "SELECT EXISTS (SELECT 1 FROM unwiped)";
        if !self.read(|tx| tx.query_row(due, [], |row| row.get::<_, bool>(0)))? {
            return Ok(());
        }
        let busy: i64 = self.read(|tx| {
            tx.execute_batch("VACUUM")?;
            tx.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        })?;
        if busy != 0 {
            bail!(
                "the case is deleted, but {}-wal still contains it because another process reads the ledger. \
                 The next deletion removes it, within the hour at the latest",
                self.inner.path.display()
            );
        }
        self.write(|tx| Ok(tx.execute("DELETE FROM unwiped", []).map(drop)?))
    }
}

fn rowid(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A case's row in the database.
struct KeptRow {
    number: i64,
    at: i64,
    subject: String,
    symptom: String,
    verdict: String,
    certainty: String,
    room: String,
    thread: String,
    asker: String,
}

impl KeptRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            at: row.get(1)?,
            subject: row.get(2)?,
            symptom: row.get(3)?,
            verdict: row.get(4)?,
            certainty: row.get(5)?,
            room: row.get(6)?,
            thread: row.get(7)?,
            asker: row.get(8)?,
        })
    }

    fn kept(self) -> Result<Kept> {
        let number = u64::try_from(self.number)?;
        let symptom = serde_json::from_value(self.symptom.into());
        Ok(Kept {
            number,
            at: Timestamp::from_microsecond(self.at)?,
            about: serde_json::from_str(&self.subject).with_context(|| {
                format!("the subject of case {number} was written by another version")
            })?,
            symptom: symptom.with_context(|| {
                format!("the symptom of case {number} was written by another version")
            })?,
            verdict: self.verdict,
            certainty: self.certainty,
            room: self.room.try_into().ok(),
            thread: self.thread.try_into().ok(),
            asker: self.asker.try_into().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ruma::{event_id, room_id, user_id};

    use super::*;
    use kestrel_core::evidence::{Gathered, Need, Shown, State, Subject, Window};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Evidence about a user's device whose text is `size` long, with the user's name all over it.
    fn evidence(user: &UserId, size: usize) -> Evidence {
        let what = user.as_str().repeat(size / user.as_str().len() + 1);
        let gathered = Gathered::answered(
            Need::Devices,
            "database",
            State::Found,
            Shown { what, query: format!("SELECT '{user}'") },
            None,
        );
        Evidence {
            schema: SCHEMA,
            symptom: Symptom::Ke1,
            subject: About::Device(Subject { user: user.to_owned(), device: "DEV ICE'\"".into() }),
            window: Window { from: at(10), to: at(20) },
            now: at(20),
            gathered: vec![gathered],
        }
    }

    fn user(number: u64) -> OwnedUserId {
        UserId::parse(format!("@user{number:05}:example.org")).unwrap()
    }

    fn event(number: u64) -> OwnedEventId {
        EventId::parse(format!("$cause{number:05}")).unwrap()
    }

    fn open(ledger: &Ledger, cause: &EventId, evidence: &Evidence, second: i64) -> u64 {
        let new = NewCase {
            cause,
            thread: cause,
            room: room_id!("!ops:example.org"),
            asker: user_id!("@admin:example.org"),
            verdict: "otk-recreated",
            certainty: "proven",
            evidence,
            now: at(second),
        };
        ledger.open_case(&new).unwrap()
    }

    /// The names that stand anywhere in a folder's files.
    fn named(folder: &Path, names: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut bytes = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            bytes.extend(fs::read(entry.unwrap().path()).unwrap());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        names.into_iter().filter(|name| text.contains(name.as_str())).collect()
    }

    #[test]
    fn a_case_comes_back_whole_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let evidence = evidence(&user(1), 10);
        assert_eq!(open(&ledger, &event(1), &evidence, 100), 1);
        ledger.answered(1, event_id!("$answer")).unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        let (kept, back) = ledger.case(1).unwrap().unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(&evidence).unwrap());
        assert_eq!((kept.number, kept.at, kept.symptom), (1, at(100), Symptom::Ke1));
        assert_eq!(kept.about, evidence.subject);
        assert_eq!((kept.verdict.as_str(), kept.certainty.as_str()), ("otk-recreated", "proven"));
        assert_eq!(kept.room.unwrap(), "!ops:example.org");
        assert_eq!(kept.thread.unwrap(), event(1));
        assert_eq!(kept.asker.unwrap(), "@admin:example.org");
        for event in [&*event(1), event_id!("$answer")] {
            assert_eq!(ledger.case_number_of(event).unwrap(), Some(1));
        }
        assert_eq!(ledger.case_number_of(event_id!("$other")).unwrap(), None);
        for number in [0, 2, u64::MAX] {
            assert!(ledger.case(number).unwrap().is_none());
        }
    }

    #[test]
    fn the_same_cause_is_the_same_case_and_the_newest_judgement_until_it_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(open(&ledger, &event(1), &evidence(&user(1), 10), 100), 1);
        assert_eq!(open(&ledger, &event(1), &evidence(&user(1), 500), 200), 1);
        assert_eq!(ledger.case(1).unwrap().unwrap().0.at, at(200));
        ledger.answered(1, event_id!("$answer")).unwrap();
        assert_eq!(open(&ledger, &event(1), &evidence(&user(1), 10), 300), 1);
        assert_eq!(ledger.case(1).unwrap().unwrap().0.at, at(200), "what was answered changed");
        assert_eq!(ledger.cases(None, 9).unwrap().len(), 1);
    }

    #[test]
    fn the_newest_come_first_of_one_or_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        for number in 1..=6 {
            open(&ledger, &event(number), &evidence(&user(number % 2), 10), 100);
        }
        let numbers = |user: Option<&UserId>, limit| {
            let cases = ledger.cases(user, limit).unwrap();
            cases.into_iter().map(|kept| kept.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(None, 4), [6, 5, 4, 3]);
        assert_eq!(numbers(Some(&user(1)), 9), [5, 3, 1]);
        assert_eq!(numbers(Some(user_id!("@' OR 1=1 --:example.org")), 9), [0; 0]);
        // A storm's cases move to its thread once that stands.
        ledger.rethread(&event(2), event_id!("$root")).unwrap();
        assert_eq!(ledger.case_number_of(event_id!("$root")).unwrap(), Some(2));
    }

    #[test]
    fn retention_is_by_age_and_by_count() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        for number in 1..=9 {
            open(&ledger, &event(number), &evidence(&user(number), 10), 100 * number as i64);
        }
        assert_eq!(ledger.forget_before(at(0), 9).unwrap(), 0);
        assert_eq!(ledger.forget_before(at(300), 100).unwrap(), 2);
        assert_eq!(ledger.forget_before(at(300), 3).unwrap(), 4);
        let left: Vec<_> = ledger.cases(None, 99).unwrap().iter().map(|kept| kept.number).collect();
        assert_eq!(left, [9, 8, 7]);
        assert_eq!(named(folder.path(), (1..=9).map(|n| user(n).to_string())).len(), 3);
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        open(&ledger, &event(1), &evidence(&user(1), 10), 100);
        assert_eq!(open(&ledger, &event(2), &evidence(&user(2), 10), 100), 2);
        assert!(ledger.forget_case(2).unwrap());
        assert!(!ledger.forget_case(2).unwrap());
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(open(&ledger, &event(2), &evidence(&user(2), 10), 100), 3);
        assert_eq!(ledger.forget_before(Timestamp::MAX, 0).unwrap(), 2);
        assert_eq!(open(&ledger, &event(3), &evidence(&user(3), 10), 100), 4);
    }

    /// Cases of all sizes come and go in a random order, from two processes' connections; after each
    /// deletion no byte of the deleted is in any file.
    #[test]
    fn what_is_deleted_is_in_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let beside = Ledger::open(folder.path()).unwrap();
        // A linear congruential generator (Knuth): the order is the same in each run.
        let mut state = 20_261_122_u64;
        let mut dice = move |sides: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % sides
        };
        let mut lives = Vec::new();
        let mut gone = Vec::new();
        for round in 1..=150 {
            let size = [10, 300, 900, 3_000, 5_000, 40_000][dice(6) as usize];
            let number = open(&ledger, &event(round), &evidence(&user(round), size), 100);
            lives.push((number, round));
            if dice(3) == 0 {
                beside.answered(number, &event(90_000 + round)).unwrap();
            }
            if dice(2) == 0 || lives.len() > 30 {
                let (number, round) = lives.swap_remove(dice(lives.len() as u64) as usize);
                let by = if dice(2) == 0 { &ledger } else { &beside };
                assert!(by.forget_case(number).unwrap());
                gone.push(round);
                if gone.len() % 5 == 0 {
                    let names = |round: &u64| [user(*round).to_string(), event(*round).to_string()];
                    let left = named(folder.path(), gone.iter().flat_map(names));
                    assert_eq!(left, [""; 0], "in round {round}");
                }
            }
        }
        ledger.forget_before(Timestamp::MAX, 0).unwrap();
        let all = (1..=150).map(|round| user(round).to_string()).chain(["@admin".into()]);
        assert_eq!(named(folder.path(), all), [""; 0]);
    }
}
