//! Capture sessions as numbered rows: their thread, their state, and where the bundle is.
//!
//! The state is opaque text here; it is written before anything that depends on it is posted. A room has at
//! most one running capture, and a number is never used twice.

use anyhow::{Context, Result};
use jiff::Timestamp;
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};
use rusqlite::{OptionalExtension, Row, params};

use super::connection::Ledger;

/// A capture in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCapture {
    pub number: u64,
    pub room: OwnedRoomId,
    /// The command that started it: the root of its thread.
    pub root: OwnedEventId,
    /// The checklist message, once it is posted.
    pub checklist: Option<OwnedEventId>,
    /// Opaque.
    pub state: String,
    /// The bundle's file below the capture's folder.
    pub bundle: Option<String>,
    /// The case of its verdict.
    pub case: Option<u64>,
}

const KEPT: &str = "number, room, root, checklist, state, bundle, kase";

impl Ledger {
    /// Starts a capture, unless the room has a running one: then that is returned, and nothing is written.
    pub fn begin_capture(
        &self,
        room: &RoomId,
        root: &EventId,
        state: &str,
        now: Timestamp,
    ) -> Result<Result<u64, KeptCapture>> {
        let going_on = self.capture_in(room)?;
        if let Some(going_on) = going_on {
            return Ok(Err(going_on));
        }
        let sql = "INSERT INTO capture (room, root, state, began) VALUES (?1, ?2, ?3, ?4)";
        let row = params![room.as_str(), root.as_str(), state, now.as_microsecond()];
        let number = self.write(|tx| {
            tx.execute(sql, row)?;
            Ok(tx.last_insert_rowid())
        })?;
        Ok(Ok(u64::try_from(number).context("the ledger returned no number for a capture")?))
    }

    /// Saves its current state.
    pub fn save_capture(&self, number: u64, state: &str) -> Result<()> {
        self.set_capture("state = ?2", number, state)
    }

    /// Records its checklist message.
    pub fn list_capture(&self, number: u64, checklist: &EventId) -> Result<()> {
        self.set_capture("checklist = ?2", number, checklist.as_str())
    }

    /// Records the case of its verdict.
    pub fn judge_capture(&self, number: u64, case: u64) -> Result<()> {
        self.set_capture("kase = CAST(?2 AS INTEGER)", number, &case.to_string())
    }

    /// Records where its bundle is.
    pub fn bundle_capture(&self, number: u64, bundle: &str) -> Result<()> {
        self.set_capture("bundle = ?2", number, bundle)
    }

    /// Records that it is finished, with nothing left to do.
    pub fn end_capture(&self, number: u64, now: Timestamp) -> Result<()> {
        let now = now.as_microsecond().to_string();
        self.set_capture("ended = CAST(?2 AS INTEGER)", number, &now)
    }

    fn set_capture(&self, what: &str, number: u64, text: &str) -> Result<()> {
        let sql = format!("UPDATE capture SET {what} WHERE number = ?1");
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.write(|tx| Ok(tx.execute(&sql, params![number, text]).map(drop)?))
    }

    /// The room's running capture.
    pub fn capture_in(&self, room: &RoomId) -> Result<Option<KeptCapture>> {
        Ok(self.captures("WHERE room = ?1 AND ended IS NULL", room.as_str())?.pop())
    }

    /// All running captures.
    pub fn captures_going_on(&self) -> Result<Vec<KeptCapture>> {
        self.captures("WHERE ended IS NULL AND ?1 = ''", "")
    }

    /// The newest capture with this checklist or root.
    pub fn capture_of(&self, event: &EventId) -> Result<Option<KeptCapture>> {
        Ok(self.captures("WHERE checklist = ?1 OR root = ?1", event.as_str())?.pop())
    }

    /// The captures of a case.
    pub fn captures_of_case(&self, case: u64) -> Result<Vec<u64>> {
        let all = self.captures("WHERE kase = CAST(?1 AS INTEGER)", &case.to_string())?;
        Ok(all.into_iter().map(|one| one.number).collect())
    }

    /// Finished captures whose case is gone: deleted by hand, or above the limit.
    pub fn captures_left_over(&self) -> Result<Vec<u64>> {
        let left = "WHERE ?1 = '' AND ended IS NOT NULL AND kase IS NOT NULL
                    AND kase NOT IN (SELECT number FROM kase)";
        Ok(self.captures(left, "")?.into_iter().map(|one| one.number).collect())
    }

    /// Finished captures that started before a time.
    pub fn captures_before(&self, at: Timestamp) -> Result<Vec<u64>> {
        let at = at.as_microsecond().to_string();
        let old = "WHERE ended IS NOT NULL AND began < CAST(?1 AS INTEGER)";
        Ok(self.captures(old, &at)?.into_iter().map(|one| one.number).collect())
    }

    /// Deletes a capture's row for good, like cases.
    pub fn forget_capture(&self, number: u64) -> Result<()> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.forget("DELETE FROM capture WHERE number = ?1", &[number])?;
        self.wipe()
    }

    fn captures(&self, which: &str, with: &str) -> Result<Vec<KeptCapture>> {
        let sql = format!("SELECT {KEPT} FROM capture {which} ORDER BY number");
        let rows = self.rows(&sql, params![with], read)?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// One of them.
    pub fn capture(&self, number: u64) -> Result<Option<KeptCapture>> {
        let sql = format!("SELECT {KEPT} FROM capture WHERE number = ?1");
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let row = self.read(|tx| tx.query_row(&sql, params![number], read).optional())?;
        Ok(row.flatten())
    }
}

/// A row; `None` if another version wrote it.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<KeptCapture>> {
    let (number, case): (i64, Option<i64>) = (row.get(0)?, row.get(6)?);
    let (room, root): (String, String) = (row.get(1)?, row.get(2)?);
    let checklist: Option<String> = row.get(3)?;
    let (Ok(number), Ok(room), Ok(root)) =
        (u64::try_from(number), OwnedRoomId::try_from(room), OwnedEventId::try_from(root))
    else {
        return Ok(None);
    };
    Ok(Some(KeptCapture {
        number,
        room,
        root,
        checklist: checklist.and_then(|event| event.try_into().ok()),
        state: row.get(4)?,
        bundle: row.get(5)?,
        case: case.and_then(|case| u64::try_from(case).ok()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{event_id, room_id};

    #[test]
    fn a_room_has_one_capture_that_outlives_the_process_and_goes_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let room = room_id!("!ops:x");
        let root = event_id!("$root");
        let ledger = Ledger::open(folder.path()).unwrap();
        let number = ledger.begin_capture(room, root, "one", at(1)).unwrap().unwrap();
        let second = ledger.begin_capture(room, event_id!("$other"), "two", at(2)).unwrap();
        assert_eq!(second.unwrap_err().root, root);
        let elsewhere = ledger.begin_capture(room_id!("!b:x"), event_id!("$b"), "", at(2)).unwrap();
        assert_eq!(elsewhere.unwrap(), number + 1);
        ledger.list_capture(number, event_id!("$list")).unwrap();
        ledger.save_capture(number, "a secret'); DROP TABLE capture; --").unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        let kept = ledger.capture_of(event_id!("$list")).unwrap().unwrap();
        assert_eq!((kept.number, kept.root.as_str()), (number, "$root"));
        assert!(kept.state.starts_with("a secret"));
        assert_eq!(ledger.captures_going_on().unwrap().len(), 2);
        assert_eq!(ledger.captures_before(at(9)).unwrap(), Vec::<u64>::new());
        ledger.judge_capture(number, 7).unwrap();
        ledger.bundle_capture(number, "a.zip").unwrap();
        ledger.end_capture(number, at(5)).unwrap();
        assert_eq!(ledger.capture_in(room).unwrap(), None);
        assert_eq!(ledger.captures_of_case(7).unwrap(), [number]);
        assert_eq!(ledger.captures_before(at(9)).unwrap(), [number]);
        ledger.forget_capture(number).unwrap();
        assert_eq!(ledger.capture(number).unwrap(), None);
        let next = ledger.begin_capture(room, root, "", at(10)).unwrap().unwrap();
        assert!(next > number + 1, "a number was given twice");
        drop(ledger);
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(memchr::memmem::find(&bytes, b"a secret").is_none(), "{:?}", file.path());
        }
    }
}
