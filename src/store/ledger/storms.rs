//! Storms, by number: the newest event, the verdict, and the thread.

use anyhow::{Context, Result};
use jiff::Timestamp;
use kestrel_core::storm::{Change, Confirmation, Event};
use ruma::{OwnedEventId, OwnedRoomId};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::connection::Ledger;

/// How many storms are kept; the lowest numbers are deleted first. A storm is about half a kilobyte.
const KEPT_STORMS: i64 = 1000;

/// A storm in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStorm {
    /// The newest event: counts, last time.
    pub event: Event,
    /// When it was first reported; `event.first` is the time of its first line.
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// A verdict's name.
    pub verdict: Option<String>,
    pub sure: Option<Confirmation>,
    /// The room and the root message of its thread.
    pub root: Option<(OwnedRoomId, OwnedEventId)>,
}

impl Ledger {
    /// Storms, the newest number first. A row of another version is skipped; the log says so.
    pub fn storms(&self, most: usize) -> Result<Vec<StoredStorm>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.known("ORDER BY number DESC LIMIT ?1", most)
    }

    /// One storm.
    pub fn storm(&self, number: u64) -> Result<Option<StoredStorm>> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        Ok(self.known("WHERE number = ?1", number)?.pop())
    }

    /// Records the verdict on a storm. An unknown storm stays unknown.
    pub fn judged(&self, number: u64, verdict: &str, sure: &Confirmation) -> Result<()> {
        let Ok(number) = i64::try_from(number) else { return Ok(()) };
        let sure = serde_json::to_string(sure)?;
        let sql = "UPDATE storm SET verdict = ?2, sure = ?3 WHERE number = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![number, verdict, sure]).map(drop)?))
    }

    fn known(&self, which: &str, number: i64) -> Result<Vec<StoredStorm>> {
        let sql = format!(
            "SELECT number, event, started, ended, verdict, sure, room, root FROM storm {which}"
        );
        let rows = self.rows(&sql, params![number], StormRow::read)?;
        Ok(rows.into_iter().filter_map(StormRow::known).collect())
    }
}

/// Records news of a storm. If the number belonged to a storm with another start, the watch's state was lost
/// and the number was reused: nothing of the old storm applies.
pub(super) fn note(tx: &Transaction<'_>, event: &Event) -> Result<()> {
    let number = i64::try_from(event.storm)
        .with_context(|| format!("storm {} has a number that cannot be kept", event.storm))?;
    let held = "SELECT event FROM storm WHERE number = ?1";
    let held: Option<String> = tx.query_row(held, params![number], |row| row.get(0)).optional()?;
    let same = held.as_deref().and_then(|text| serde_json::from_str::<Event>(text).ok());
    let same = same.is_some_and(|old| (old.kind, old.first) == (event.kind, event.first));
    let text = serde_json::to_string(event)?;
    let at = event.at.as_microsecond();
    if !same {
        let sql = "INSERT OR REPLACE INTO storm (number, event, started) VALUES (?1, ?2, ?3)";
        tx.execute(sql, params![number, text, at])?;
        tx.execute("DELETE FROM storm_copy WHERE number = ?1", params![number])?;
    } else {
        tx.execute("UPDATE storm SET event = ?2 WHERE number = ?1", params![number, text])?;
    }
    let ended = match event.change {
        Change::Ended => Some(at),
        Change::Started | Change::Resumed => None,
        Change::Worse | Change::Spread | Change::Cause => return prune(tx),
    };
    tx.execute("UPDATE storm SET ended = ?2 WHERE number = ?1", params![number, ended])?;
    prune(tx)
}

fn prune(tx: &Transaction<'_>) -> Result<()> {
    let sql = "DELETE FROM storm WHERE number <=
               (SELECT number FROM storm ORDER BY number DESC LIMIT 1 OFFSET ?1)";
    Ok(tx.execute(sql, params![KEPT_STORMS]).map(drop)?)
}

/// A storm's row in the database.
struct StormRow {
    number: i64,
    event: String,
    started: i64,
    ended: Option<i64>,
    verdict: Option<String>,
    sure: Option<String>,
    room: Option<String>,
    root: Option<String>,
}

impl StormRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            event: row.get(1)?,
            started: row.get(2)?,
            ended: row.get(3)?,
            verdict: row.get(4)?,
            sure: row.get(5)?,
            room: row.get(6)?,
            root: row.get(7)?,
        })
    }

    fn known(self) -> Option<StoredStorm> {
        let number = self.number;
        self.checked()
            .inspect_err(|error| {
                tracing::warn!("storm {number} was written by another version: {error:#}")
            })
            .ok()
    }

    fn checked(self) -> Result<StoredStorm> {
        Ok(StoredStorm {
            event: serde_json::from_str(&self.event)?,
            started: Timestamp::from_microsecond(self.started)?,
            ended: self.ended.map(Timestamp::from_microsecond).transpose()?,
            verdict: self.verdict,
            sure: self.sure.as_deref().map(serde_json::from_str).transpose()?,
            root: match self.room.zip(self.root) {
                Some((room, root)) => Some((room.try_into()?, root.try_into()?)),
                None => None,
            },
        })
    }
}
