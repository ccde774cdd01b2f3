//! The first messages of storms. A storm has one, and a copy in another room while it is posted in two: after
//! a room upgrade.

use anyhow::Result;
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};
use rusqlite::{OptionalExtension, params};

use super::connection::Ledger;

impl Ledger {
    /// Records a storm's first message in a room. The first room is the storm's own; one in another room is a
    /// copy.
    pub fn rooted(&self, number: u64, room: &RoomId, root: &EventId) -> Result<()> {
        let Ok(number) = i64::try_from(number) else { return Ok(()) };
        let own = "UPDATE storm SET room = ?2, root = ?3
                   WHERE number = ?1 AND (room IS NULL OR room = ?2)";
        let copy = "INSERT OR REPLACE INTO storm_copy (number, room, root)
                    SELECT number, ?2, ?3 FROM storm WHERE number = ?1";
        let named = params![number, room.as_str(), root.as_str()];
        self.write(|tx| {
            if tx.execute(own, named)? == 0 {
                tx.execute(copy, named)?;
            }
            Ok(())
        })
    }

    /// The storm with this first message, in any room.
    pub fn storm_of(&self, root: &EventId) -> Result<Option<u64>> {
        let sql = "SELECT number FROM storm WHERE root = ?1
                   UNION SELECT number FROM storm_copy WHERE root = ?1 ORDER BY number DESC";
        let number: Option<i64> =
            self.read(|tx| tx.query_row(sql, params![root.as_str()], |row| row.get(0)).optional())?;
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// A storm's first message in a room.
    pub fn root_in(&self, number: u64, room: &RoomId) -> Result<Option<OwnedEventId>> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let sql = "SELECT root FROM storm WHERE number = ?1 AND room = ?2
                   UNION SELECT root FROM storm_copy WHERE number = ?1 AND room = ?2";
        let named = params![number, room.as_str()];
        let root: Option<String> =
            self.read(|tx| tx.query_row(sql, named, |row| row.get(0)).optional())?;
        Ok(root.and_then(|root| root.try_into().ok()))
    }

    /// The first message in the storm's own room, for a copy of it. Its case belongs to that message.
    pub fn original_root(&self, copy: &EventId) -> Result<Option<(OwnedRoomId, OwnedEventId)>> {
        let sql = "SELECT storm.room, storm.root FROM storm_copy JOIN storm USING (number)
                   WHERE storm_copy.root = ?1";
        let row: Option<(String, String)> = self.read(|tx| {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            tx.query_row(sql, params![copy.as_str()], read).optional()
        })?;
        Ok(row.and_then(|(room, root)| room.try_into().ok().zip(root.try_into().ok())))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ruma::{event_id, room_id};

    use super::*;
    use crate::store::Step;
    use kestrel_core::storm::{Change, Event, StormKind, Whose};

    fn event(first: i64) -> Event {
        let at = Timestamp::from_second(first).unwrap();
        Event {
            at,
            storm: 1,
            change: Change::Started,
            kind: StormKind::OtkConflict,
            whose: Whose::Device {
                user: ruma::user_id!("@a:example.org").into(),
                device: "DEV".into(),
            },
            trigger: kestrel_core::storm::Trigger::Unnamed,
            count: 3,
            devices: 1,
            first: at,
            last: at,
        }
    }

    #[test]
    fn a_storm_has_one_first_message_a_room_and_each_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let old = room_id!("!old:x");
        let new = room_id!("!new:x");
        let first = event_id!("$first");
        let copy = event_id!("$copy");
        ledger.rooted(1, new, copy).unwrap();
        assert_eq!(ledger.storm_of(copy).unwrap(), None, "of a storm that is not known");
        ledger.record(&Step { storms: &[event(0)], ..Step::default() }).unwrap();
        ledger.rooted(1, old, first).unwrap();
        for _ in 0..2 {
            ledger.rooted(1, new, copy).unwrap();
        }
        assert_eq!(ledger.storm(1).unwrap().unwrap().root, Some((old.into(), first.into())));
        assert_eq!(ledger.storm_of(first).unwrap(), Some(1));
        assert_eq!(ledger.storm_of(copy).unwrap(), Some(1));
        assert_eq!(ledger.root_in(1, old).unwrap().as_deref(), Some(first));
        assert_eq!(ledger.root_in(1, new).unwrap().as_deref(), Some(copy));
        assert_eq!(ledger.root_in(1, room_id!("!other:x")).unwrap(), None);
        assert_eq!(ledger.original_root(copy).unwrap(), Some((old.into(), first.into())));
        assert_eq!(ledger.original_root(first).unwrap(), None);
        // The number is given anew: nothing of the old storm holds.
        ledger.record(&Step { storms: &[event(9)], ..Step::default() }).unwrap();
        assert_eq!(ledger.storm_of(copy).unwrap(), None);
    }
}
