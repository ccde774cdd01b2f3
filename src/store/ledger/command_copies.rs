//! Records in which event each encrypted command came first, so that a copy of the ciphertext in another
//! event is recognised. Also which warnings were given.
//!
//! A message is identified by its Megolm session and index: without the key, nobody can create a second one
//! with the same. Only digests are stored.

use anyhow::Result;
use ruma::{EventId, RoomId};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::connection::Ledger;

impl Ledger {
    /// Whether the event is the first one of its message.
    pub fn is_first_event(&self, event: &EventId) -> Result<bool> {
        let sql = "SELECT 1 FROM command_message WHERE event = ?1";
        let event = Sha256::digest(event.as_bytes());
        let row = self.read(|tx| {
            tx.query_row(sql, params![event.as_slice()], |row| row.get::<_, i64>(0)).optional()
        })?;
        Ok(row.is_some())
    }

    /// Records the event of a message, unless the message is known; returns whether this event is the first.
    pub fn note_message(&self, session: &str, index: u32, event: &EventId) -> Result<bool> {
        // The length separates the session's name from the index.
        let length = u64::try_from(session.len()).unwrap_or(u64::MAX);
        let mut message = Sha256::new();
        message.update(length.to_be_bytes());
        message.update(session);
        message.update(index.to_be_bytes());
        let message = message.finalize();
        let event = Sha256::digest(event.as_bytes());
        self.write(|tx| {
            let sql = "INSERT INTO command_message (message, event) VALUES (?1, ?2)
                       ON CONFLICT (message) DO NOTHING";
            tx.execute(sql, params![message.as_slice(), event.as_slice()])?;
            let sql = "SELECT event FROM command_message WHERE message = ?1";
            let first: Vec<u8> =
                tx.query_row(sql, params![message.as_slice()], |row| row.get(0))?;
            Ok(first == event.as_slice())
        })
    }

    /// Whether the room got the warning that it is not encrypted.
    pub fn was_warned(&self, room: &RoomId) -> Result<bool> {
        self.was_said(&unencrypted(room))
    }

    /// Records that warning.
    pub fn note_warned(&self, room: &RoomId) -> Result<()> {
        self.note_said(&unencrypted(room))
    }

    /// Whether a warning was given. `what` names it.
    pub fn was_said(&self, what: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM warned WHERE what = ?1";
        let row = self
            .read(|tx| tx.query_row(sql, params![what], |row| row.get::<_, i64>(0)).optional())?;
        Ok(row.is_some())
    }

    /// Records a warning, for good.
    pub fn note_said(&self, what: &str) -> Result<()> {
        let sql = "INSERT INTO warned (what) VALUES (?1) ON CONFLICT (what) DO NOTHING";
        self.write(|tx| Ok(tx.execute(sql, params![what]).map(drop)?))
    }
}

fn unencrypted(room: &RoomId) -> String {
    format!("unencrypted {room}")
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id};

    use super::*;

    #[test]
    fn a_copy_of_a_message_is_told_from_the_first_event_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = event_id!("$first");
        let copy = event_id!("$copy");
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(!ledger.is_first_event(first).unwrap());
        assert!(ledger.note_message("session", 7, first).unwrap());
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(!ledger.note_message("session", 7, copy).unwrap(), "a copy was taken");
        assert!(!ledger.is_first_event(copy).unwrap());
        // The first one comes again when the process looks back.
        assert!(ledger.note_message("session", 7, first).unwrap());
        assert!(ledger.is_first_event(first).unwrap());
        assert!(ledger.note_message("session", 8, copy).unwrap());
        assert!(ledger.note_message("other", 7, event_id!("$third")).unwrap());
    }

    #[test]
    fn a_room_is_warned_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let one = room_id!("!one:x");
        let two = room_id!("!two:x");
        ledger.note_warned(one).unwrap();
        ledger.note_warned(one).unwrap();
        assert!(ledger.was_warned(one).unwrap() && !ledger.was_warned(two).unwrap());
    }
}
