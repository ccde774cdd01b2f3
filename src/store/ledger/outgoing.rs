//! Answers as rows that stay until the homeserver has accepted them.
//!
//! A row contains the message and its transaction ID, so that a message that is sent again after a crash is
//! the same event. A message that could not be sent in time loses its text but keeps a summary line, until
//! the room was told.

use anyhow::Result;
use jiff::Timestamp;
use ruma::OwnedRoomId;
use rusqlite::{Row, Transaction, params};

use super::connection::Ledger;

/// In microseconds.
const WEEK: i64 = 7 * 24 * 60 * 60 * 1_000_000;

/// A new message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its transaction ID: the same for the same cause, in every process.
    pub txn: String,
    pub room: OwnedRoomId,
    /// Opaque text.
    pub message: String,
    /// When its cause was sent.
    pub asked: Timestamp,
    /// The command in one line; empty if a dropped message need not be reported.
    pub summary: String,
    /// The case that it is about: it is deleted with the case.
    pub case: Option<u64>,
}

/// An unsent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The order of sending.
    pub id: i64,
    pub txn: String,
    pub room: OwnedRoomId,
    pub message: String,
    pub asked: Timestamp,
    pub case: Option<u64>,
}

/// A message that was dropped unsent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub id: i64,
    pub room: OwnedRoomId,
    pub asked: Timestamp,
    pub summary: String,
}

impl Ledger {
    /// Unsent messages, in the order of sending. An unreadable row is skipped.
    pub fn outgoing(&self) -> Result<Vec<Outgoing>> {
        let sql = "SELECT id, room, asked, txn, message, kase FROM outgoing
                   WHERE message IS NOT NULL ORDER BY id";
        let rows = self.rows(sql, [], |row| {
            Ok((OutgoingRow::read(row)?, row.get(3)?, row.get(4)?, row.get::<_, Option<i64>>(5)?))
        })?;
        let read = |(row, txn, message, case): (OutgoingRow, String, String, Option<i64>)| {
            let (id, room, asked) = row.checked()?;
            let case = case.and_then(|case| u64::try_from(case).ok());
            Some(Outgoing { id, txn, room, message, asked, case })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Adds messages that belong to no command.
    pub fn owe_messages(&self, messages: &[NewMessage]) -> Result<()> {
        self.write(|tx| messages.iter().try_for_each(|message| owe(tx, message)))
    }

    /// Deletes a message that was sent, or never will be.
    pub fn sent(&self, id: i64) -> Result<()> {
        self.write(|tx| {
            Ok(tx.execute("DELETE FROM outgoing WHERE id = ?1", params![id]).map(drop)?)
        })
    }

    /// Drops messages for commands before `oldest`; deletes messages that were dropped a week before that,
    /// because nobody could be told. Returns how many messages were dropped.
    pub fn drop_unsent(&self, oldest: Timestamp) -> Result<usize> {
        self.write(|tx| {
            let untold = "DELETE FROM outgoing WHERE asked < ?1 AND message IS NULL";
            tx.execute(untold, params![oldest.as_microsecond().saturating_sub(WEEK)])?;
            let oldest = params![oldest.as_microsecond()];
            // An answer is one line in the list, however many messages it has.
            let silent = "DELETE FROM outgoing WHERE asked < ?1 AND message IS NOT NULL AND
                          (summary = '' OR EXISTS (SELECT 1 FROM outgoing AS other
                           WHERE other.room = outgoing.room AND other.asked = outgoing.asked
                             AND other.summary = outgoing.summary AND other.id > outgoing.id))";
            let gone = tx.execute(silent, oldest)?;
            let told =
                "UPDATE outgoing SET message = NULL WHERE asked < ?1 AND message IS NOT NULL";
            Ok(gone + tx.execute(told, oldest)?)
        })
    }

    /// Dropped messages that were not reported yet, the oldest first.
    pub fn dropped(&self) -> Result<Vec<Dropped>> {
        let sql = "SELECT id, room, asked, summary FROM outgoing WHERE message IS NULL ORDER BY id";
        let rows = self.rows(sql, [], |row| Ok((OutgoingRow::read(row)?, row.get(3)?)))?;
        let read = |(row, summary): (OutgoingRow, String)| {
            let (id, room, asked) = row.checked()?;
            Some(Dropped { id, room, asked, summary })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

/// Adds one message. The same transaction ID is added once.
pub(super) fn owe(tx: &Transaction<'_>, new: &NewMessage) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO outgoing (txn, room, message, asked, summary, kase)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let case = new.case.and_then(|case| i64::try_from(case).ok());
    let room = new.room.as_str();
    let asked = new.asked.as_microsecond();
    tx.execute(sql, params![new.txn, room, new.message, asked, new.summary, case])?;
    Ok(())
}

/// What every row has: its ID, its room, and the time of the command.
struct OutgoingRow {
    id: i64,
    room: String,
    asked: i64,
}

impl OutgoingRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, room: row.get(1)?, asked: row.get(2)? })
    }

    fn checked(self) -> Option<(i64, OwnedRoomId, Timestamp)> {
        let room = self.room.try_into().ok();
        let read = room.zip(Timestamp::from_microsecond(self.asked).ok());
        if read.is_none() {
            tracing::warn!("unsent message {} was written by another version", self.id);
        }
        read.map(|(room, asked)| (self.id, room, asked))
    }
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + second).unwrap()
    }

    fn message(txn: &str, second: i64, summary: &str) -> NewMessage {
        NewMessage {
            txn: txn.into(),
            room: room_id!("!ops:x").to_owned(),
            message: format!("{txn}'s text"),
            asked: at(second),
            summary: summary.into(),
            case: None,
        }
    }

    #[test]
    fn what_is_owed_is_sent_in_order_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let all = [message("a", 0, "!ke1"), message("b", 1, "!ke2"), message("a", 2, "again")];
        ledger.owe_messages(&all).unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        let owed = ledger.outgoing().unwrap();
        let txns: Vec<_> = owed.iter().map(|owed| owed.txn.as_str()).collect();
        assert_eq!(txns, ["a", "b"]);
        ledger.sent(owed[0].id).unwrap();
        assert_eq!(ledger.outgoing().unwrap().len(), 1);
    }

    #[test]
    fn what_waited_too_long_is_one_line_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let all = [
            message("evidence", 0, "!ke1"),
            message("answer", 0, "!ke1"),
            message("stranger", 0, ""),
            message("young", 50, "!ke2"),
        ];
        ledger.owe_messages(&all).unwrap();
        assert_eq!(ledger.drop_unsent(at(10)).unwrap(), 3);
        assert_eq!(ledger.drop_unsent(at(10)).unwrap(), 0);
        let dropped = ledger.dropped().unwrap();
        assert_eq!(dropped.len(), 1, "{dropped:?}");
        assert_eq!((dropped[0].summary.as_str(), dropped[0].asked), ("!ke1", at(0)));
        assert_eq!(ledger.outgoing().unwrap()[0].txn, "young");
        let week = 7 * 24 * 60 * 60;
        assert_eq!(ledger.drop_unsent(at(week)).unwrap(), 1, "the young one grew old");
        assert_eq!(ledger.dropped().unwrap().len(), 2);
        assert_eq!(ledger.drop_unsent(at(week + 10)).unwrap(), 0);
        assert_eq!(ledger.dropped().unwrap().len(), 1, "a room that is never told");
        ledger.sent(ledger.dropped().unwrap()[0].id).unwrap();
        assert!(ledger.dropped().unwrap().is_empty());
    }
}
