//! Accepted commands, open until their answer is queued or sent, and how far each room was read.
//!
//! A row is written before the work starts, so a process that dies loses nothing: the next one resumes open
//! rows. A settled row keeps only the event's digest, so that the same event is not answered twice. The
//! command itself is deleted with the answer.

use anyhow::Result;
use jiff::Timestamp;
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::connection::Ledger;
use super::outgoing::{NewMessage, owe};
use crate::store::files::digest;

/// How many settled events are remembered. An event that arrives again after a restart was sent in the last
/// minutes, or is after the newest event that was read in its room; this need only exceed both.
const REMEMBERED: i64 = 4000;

/// An accepted command without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its place in the queue; never used twice.
    pub number: i64,
    pub room: OwnedRoomId,
    /// When it was accepted, by this machine's clock.
    pub at: Timestamp,
    /// How many processes started it.
    pub tries: u32,
    /// The command; opaque text.
    pub task: String,
}

/// The result of handing in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandedIn {
    Accepted,
    /// It was handed in before.
    Known,
    /// Too many are open.
    Full,
}

impl Ledger {
    /// When this store was created. Earlier messages are history: whether they were answered is unknown.
    pub fn since(&self) -> Result<Option<Timestamp>> {
        let at: Option<i64> =
            self.read(|tx| tx.query_row("SELECT at FROM began", [], |row| row.get(0)).optional())?;
        Ok(at.map(Timestamp::from_microsecond).transpose()?)
    }

    /// Records when this store was created, and digests of events that an older Kestrel answered. Does
    /// nothing if that is already recorded.
    pub(crate) fn begin_at(&self, at: Timestamp, answered: &[String]) -> Result<()> {
        self.write(|tx| {
            let sql = "INSERT OR IGNORE INTO began (one, at) VALUES (1, ?1)";
            if tx.execute(sql, params![at.as_microsecond()])? == 0 {
                return Ok(());
            }
            let sql = "INSERT OR IGNORE INTO accepted (event, room, at) VALUES (?1, '', ?2)";
            for event in answered {
                tx.execute(sql, params![event, at.as_microsecond()])?;
            }
            Ok(())
        })
    }

    /// Records a command as open, unless `most` are open already.
    pub fn accept(
        &self,
        event: &EventId,
        room: &RoomId,
        (task, most): (&str, usize),
        now: Timestamp,
    ) -> Result<HandedIn> {
        self.write(|tx| {
            if is_noted(tx, event)? {
                return Ok(HandedIn::Known);
            }
            if count_open(tx)? >= most {
                return Ok(HandedIn::Full);
            }
            let sql = "INSERT INTO accepted (event, room, at, task) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, params![digest(event), room.as_str(), now.as_microsecond(), task])?;
            Ok(HandedIn::Accepted)
        })
    }

    /// Records an event that needs no work, with its messages. If the event is known, it changes nothing and
    /// returns `false`.
    pub fn answer_at_once(
        &self,
        event: &EventId,
        room: &RoomId,
        now: Timestamp,
        messages: &[NewMessage],
    ) -> Result<bool> {
        self.write(|tx| {
            let sql = "INSERT OR IGNORE INTO accepted (event, room, at) VALUES (?1, ?2, ?3)";
            let row = params![digest(event), room.as_str(), now.as_microsecond()];
            if tx.execute(sql, row)? == 0 {
                return Ok(false);
            }
            messages.iter().try_for_each(|message| owe(tx, message))?;
            prune(tx)?;
            Ok(true)
        })
    }

    /// Whether an event is known, open or settled.
    pub fn is_noted(&self, event: &EventId) -> Result<bool> {
        self.read(|tx| is_noted(tx, event))
    }

    /// Open commands, the first accepted first.
    pub fn open_tasks(&self, most: usize) -> Result<Vec<Accepted>> {
        let sql = "SELECT number, room, at, tries, task FROM accepted WHERE task IS NOT NULL
                   ORDER BY number LIMIT ?1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.rows(sql, params![most], OpenRow::read)?;
        rows.into_iter().map(OpenRow::accepted).collect()
    }

    /// Counts one more process that starts it. Durable before the work starts: a command that crashes every
    /// process is given up in the end.
    pub fn count_try(&self, number: i64) -> Result<()> {
        let sql = "UPDATE accepted SET tries = tries + 1 WHERE number = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![number]).map(drop)?))
    }

    /// Puts it back as if this process had not started it: the command is not the reason that it did not
    /// finish.
    pub fn put_back(&self, number: i64) -> Result<()> {
        let sql = "UPDATE accepted SET tries = max(tries - 1, 0) WHERE number = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![number]).map(drop)?))
    }

    /// Settles a command with its answer, all or nothing: after this it is not run again, and its answer is
    /// not lost.
    pub fn settle_task(&self, number: i64, messages: &[NewMessage]) -> Result<()> {
        self.write(|tx| {
            let sql = "UPDATE accepted SET task = NULL WHERE number = ?1 AND task IS NOT NULL";
            if tx.execute(sql, params![number])? == 0 {
                return Ok(());
            }
            messages.iter().try_for_each(|message| owe(tx, message))?;
            prune(tx)
        })
    }

    /// The newest event of a room up to which everything was read.
    pub fn heard(&self, room: &RoomId) -> Result<Option<OwnedEventId>> {
        let sql = "SELECT event FROM heard WHERE room = ?1";
        let event: Option<String> =
            self.read(|tx| tx.query_row(sql, params![room.as_str()], |row| row.get(0)).optional())?;
        Ok(event.and_then(|event| event.try_into().ok()))
    }

    /// Records that a room was read up to this event.
    pub fn note_heard(&self, room: &RoomId, event: &EventId) -> Result<()> {
        let sql = "INSERT INTO heard (room, event) VALUES (?1, ?2)
                   ON CONFLICT (room) DO UPDATE SET event = excluded.event";
        let row = params![room.as_str(), event.as_str()];
        self.write(|tx| Ok(tx.execute(sql, row).map(drop)?))
    }
}

fn is_noted(tx: &Connection, event: &EventId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM accepted WHERE event = ?1)";
    tx.query_row(sql, params![digest(event)], |row| row.get(0))
}

fn count_open(tx: &Connection) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM accepted WHERE task IS NOT NULL";
    let count: i64 = tx.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Deletes the oldest settled rows.
fn prune(tx: &Transaction<'_>) -> Result<()> {
    let sql = "DELETE FROM accepted WHERE task IS NULL AND number <=
               (SELECT number FROM accepted WHERE task IS NULL ORDER BY number DESC LIMIT 1 OFFSET ?1)";
    Ok(tx.execute(sql, params![REMEMBERED]).map(drop)?)
}

/// A row in the database.
struct OpenRow {
    number: i64,
    room: String,
    at: i64,
    tries: i64,
    task: String,
}

impl OpenRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            room: row.get(1)?,
            at: row.get(2)?,
            tries: row.get(3)?,
            task: row.get(4)?,
        })
    }

    fn accepted(self) -> Result<Accepted> {
        Ok(Accepted {
            number: self.number,
            room: self.room.try_into()?,
            at: Timestamp::from_microsecond(self.at)?,
            tries: u32::try_from(self.tries).unwrap_or(u32::MAX),
            task: self.task,
        })
    }
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + second).unwrap()
    }

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        (folder, ledger)
    }

    fn message(txn: &str) -> NewMessage {
        NewMessage {
            txn: txn.into(),
            room: room_id!("!ops:x").to_owned(),
            message: "text".into(),
            asked: at(0),
            summary: "!help".into(),
            case: None,
        }
    }

    #[test]
    fn what_is_accepted_is_open_until_its_answer_is_owed() {
        let (folder, ledger) = ledger();
        let room = room_id!("!ops:x");
        let one = event_id!("$one");
        let two = event_id!("$two");
        let hand_in =
            |event, task, second| ledger.accept(event, room, (task, 2), at(second)).unwrap();
        assert_eq!(hand_in(one, "!ke1", 1), HandedIn::Accepted);
        assert_eq!(hand_in(one, "!ke1", 2), HandedIn::Known);
        assert_eq!(hand_in(two, "!ke2", 3), HandedIn::Accepted);
        assert_eq!(hand_in(event_id!("$three"), "!ke1", 4), HandedIn::Full);
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        let open = ledger.open_tasks(10).unwrap();
        assert_eq!((open[0].task.as_str(), open[0].at, open[0].tries), ("!ke1", at(1), 0));
        assert_eq!(open.len(), 2);
        assert_eq!(ledger.open_tasks(1).unwrap().len(), 1);
        ledger.count_try(open[0].number).unwrap();
        ledger.count_try(open[0].number).unwrap();
        ledger.put_back(open[0].number).unwrap();
        assert_eq!(ledger.open_tasks(1).unwrap()[0].tries, 1);
        ledger.settle_task(open[0].number, &[message("a"), message("b")]).unwrap();
        // A second settlement, as after a task that was taken up twice, owes nothing more.
        ledger.settle_task(open[0].number, &[message("c")]).unwrap();
        assert_eq!(ledger.outgoing().unwrap().len(), 2);
        assert_eq!(ledger.open_tasks(10).unwrap()[0].task, "!ke2");
        let again = ledger.accept(one, room, ("!ke1", 2), at(9)).unwrap();
        assert_eq!(again, HandedIn::Known, "a settled event came again");
    }

    #[test]
    fn what_needs_no_work_is_noted_with_its_answer() {
        let (_folder, ledger) = ledger();
        let room = room_id!("!ops:x");
        let event = event_id!("$slip");
        assert!(!ledger.is_noted(event).unwrap());
        assert!(ledger.answer_at_once(event, room, at(0), &[message("a")]).unwrap());
        assert!(!ledger.answer_at_once(event, room, at(0), &[message("b")]).unwrap());
        assert!(ledger.is_noted(event).unwrap());
        let open = ledger.open_tasks(10).unwrap().len();
        assert_eq!((open, ledger.outgoing().unwrap().len()), (0, 1));
    }

    #[test]
    fn open_tasks_are_never_forgotten_and_settled_ones_in_the_end() {
        let (_folder, ledger) = ledger();
        let room = room_id!("!ops:x");
        ledger.accept(event_id!("$open"), room, ("!ke1", 1), at(0)).unwrap();
        let event = |number: i64| EventId::parse(format!("$settled{number}")).unwrap();
        for number in 0..REMEMBERED + 2 {
            ledger.answer_at_once(&event(number), room, at(1), &[]).unwrap();
        }
        assert!(ledger.is_noted(event_id!("$open")).unwrap());
        assert!(!ledger.is_noted(&event(1)).unwrap());
        assert!(ledger.is_noted(&event(2)).unwrap());
    }

    #[test]
    fn each_room_is_heard_up_to_an_event_of_its_own() {
        let (_folder, ledger) = ledger();
        let ops = room_id!("!ops:x");
        let other = room_id!("!other:x");
        assert_eq!(ledger.heard(ops).unwrap(), None);
        ledger.note_heard(ops, event_id!("$one")).unwrap();
        ledger.note_heard(other, event_id!("$three")).unwrap();
        ledger.note_heard(ops, event_id!("$two")).unwrap();
        assert_eq!(ledger.heard(ops).unwrap().unwrap(), "$two");
        assert_eq!(ledger.heard(other).unwrap().unwrap(), "$three");
    }

    #[test]
    fn a_store_begins_once() {
        let (_folder, ledger) = ledger();
        assert_eq!(ledger.since().unwrap(), None);
        let answered = [digest(event_id!("$old"))];
        ledger.begin_at(at(5), &answered).unwrap();
        ledger.begin_at(at(9), &[digest(event_id!("$late"))]).unwrap();
        assert_eq!(ledger.since().unwrap(), Some(at(5)));
        assert!(ledger.is_noted(event_id!("$old")).unwrap());
        assert!(!ledger.is_noted(event_id!("$late")).unwrap());
    }
}
