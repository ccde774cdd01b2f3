//! Upgrades of ops rooms that the bot followed, and ops rooms that it is not in any more. Whether to follow
//! an upgrade is decided elsewhere.

use anyhow::Result;
use jiff::Timestamp;
use ruma::{OwnedRoomId, RoomId};
use rusqlite::params;

use super::connection::Ledger;

/// A room that replaced another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    pub old: OwnedRoomId,
    pub new: OwnedRoomId,
    /// Whether an admin sent an encrypted command from the new room. Until then only a plain event says that
    /// it is the ops room.
    pub proven: bool,
}

/// An ops room that the bot was in and is not in any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    pub room: OwnedRoomId,
    /// In words: `kicked by @admin:example.org`.
    pub how: String,
    pub since: Timestamp,
}

impl Ledger {
    /// The upgrades that were followed, in no order.
    pub fn upgrades(&self) -> Result<Vec<Upgrade>> {
        let rows = self.rows("SELECT old, new, proven FROM upgrade", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        let read = |(old, new, proven): (String, String, bool)| {
            let old = old.try_into().ok()?;
            let new = new.try_into().ok()?;
            Some(Upgrade { old, new, proven })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Follows an upgrade.
    pub fn follow_upgrade(&self, upgrade: &Upgrade, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO upgrade (old, new, proven, at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (old) DO UPDATE SET new = excluded.new, proven = excluded.proven, at = excluded.at";
        let old = upgrade.old.as_str();
        let new = upgrade.new.as_str();
        let row = params![old, new, upgrade.proven, now.as_microsecond()];
        self.write(|tx| Ok(tx.execute(sql, row).map(drop)?))
    }

    /// Records that an admin sent an encrypted command from the new room.
    pub fn prove_upgrade(&self, new: &RoomId) -> Result<()> {
        let sql = "UPDATE upgrade SET proven = 1 WHERE new = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![new.as_str()]).map(drop)?))
    }

    /// Stops following an upgrade, unless it was proven.
    pub fn unfollow_upgrade(&self, new: &RoomId) -> Result<()> {
        let sql = "DELETE FROM upgrade WHERE new = ?1 AND proven = 0";
        self.write(|tx| Ok(tx.execute(sql, params![new.as_str()]).map(drop)?))
    }

    /// Ops rooms that the bot is not in any more, the longest absence first.
    pub fn absences(&self) -> Result<Vec<Absence>> {
        let rows = self.rows("SELECT room, how, since FROM absence ORDER BY since", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        })?;
        let read = |(room, how, since): (String, String, i64)| {
            let room = room.try_into().ok()?;
            Some(Absence { room, how, since: Timestamp::from_microsecond(since).ok()? })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Records that the bot is not in an ops room any more.
    pub fn note_absence(&self, absence: &Absence) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO absence (room, how, since) VALUES (?1, ?2, ?3)";
        let room = absence.room.as_str();
        let since = absence.since.as_microsecond();
        self.write(|tx| Ok(tx.execute(sql, params![room, absence.how, since]).map(drop)?))
    }

    /// Deletes that record: the bot is back, or the room is no ops room any more.
    pub fn end_absence(&self, room: &RoomId) -> Result<()> {
        let sql = "DELETE FROM absence WHERE room = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![room.as_str()]).map(drop)?))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_room_id, room_id};

    use super::*;

    #[test]
    fn an_upgrade_outlives_the_process_and_stays_when_it_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let upgrade = |new: &str, proven| Upgrade {
            old: owned_room_id!("!old:x"),
            new: new.try_into().unwrap(),
            proven,
        };
        ledger.follow_upgrade(&upgrade("!new:x", false), Timestamp::UNIX_EPOCH).unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.upgrades().unwrap(), [upgrade("!new:x", false)]);
        ledger.unfollow_upgrade(room_id!("!new:x")).unwrap();
        assert_eq!(ledger.upgrades().unwrap(), []);
        // The id of a room of version 12 names no server.
        let modern = "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM";
        ledger.follow_upgrade(&upgrade(modern, false), Timestamp::UNIX_EPOCH).unwrap();
        let new: OwnedRoomId = modern.try_into().unwrap();
        ledger.prove_upgrade(&new).unwrap();
        ledger.unfollow_upgrade(&new).unwrap();
        assert_eq!(ledger.upgrades().unwrap(), [upgrade(modern, true)]);
    }

    #[test]
    fn an_absence_is_noted_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let absence = Absence {
            room: owned_room_id!("!ops:x"),
            how: "kicked by @a:x".into(),
            since: Timestamp::from_second(5).unwrap(),
        };
        ledger.note_absence(&absence).unwrap();
        assert_eq!(ledger.absences().unwrap(), [absence]);
        ledger.end_absence(room_id!("!ops:x")).unwrap();
        assert_eq!(ledger.absences().unwrap(), []);
    }
}
