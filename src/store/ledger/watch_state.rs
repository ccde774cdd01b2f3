//! Steps of the storm watch: positions in the logs, the state, storms and messages, in one transaction.

use anyhow::Result;
use kestrel_core::storm::Event;
use rusqlite::params;

use super::connection::Ledger;
use super::owed::Due;
use super::storms::note;

/// One step of the watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step<'a> {
    /// Source name and position, for sources that moved; opaque text.
    pub places: &'a [(String, String)],
    /// The watch's new state, if it changed; opaque text.
    pub watch: Option<&'a str>,
    /// News of storms, oldest first.
    pub storms: &'a [Event],
    /// New messages, oldest first.
    pub owed: &'a [Due],
}

impl Ledger {
    /// Writes one step of the watch, completely or not at all; durable when this returns.
    pub fn record(&self, step: &Step<'_>) -> Result<()> {
        self.write(|tx| {
            for (source, position) in step.places {
                let sql = "INSERT INTO place (source, position) VALUES (?1, ?2)
                           ON CONFLICT (source) DO UPDATE SET position = excluded.position";
                tx.execute(sql, params![source, position])?;
            }
            if let Some(state) = step.watch {
                let sql = "INSERT INTO watch (one, state) VALUES (1, ?1)
                           ON CONFLICT (one) DO UPDATE SET state = excluded.state";
                tx.execute(sql, params![state])?;
            }
            step.storms.iter().try_for_each(|event| note(tx, event))?;
            for due in step.owed {
                let due = serde_json::to_string(due)?;
                tx.execute("INSERT INTO owed (due) VALUES (?1)", params![due])?;
            }
            Ok(())
        })
    }

    /// Source name and position, from the newest steps.
    pub fn places(&self) -> Result<Vec<(String, String)>> {
        self.rows("SELECT source, position FROM place ORDER BY source", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The state of the watch, from the newest step.
    pub fn watch(&self) -> Result<Option<String>> {
        let state = self.rows("SELECT state FROM watch", [], |row| row.get(0));
        Ok(state?.pop())
    }
}
