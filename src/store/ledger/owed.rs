//! Messages of the storm watch, until they are sent.

use anyhow::Result;
use kestrel_core::storm::Event;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::connection::Ledger;

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// News of a storm.
    Storm(Event),
    /// Any other text.
    Words(String),
}

/// An unsent message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Never used twice.
    pub id: i64,
    pub due: Due,
    /// The final text, once composed.
    pub text: Option<String>,
}

impl Ledger {
    /// Unsent messages that are due, oldest first. A row of another version is skipped.
    pub fn owed(&self) -> Result<Vec<Owed>> {
        let rows = self.rows("SELECT id, due, text FROM owed ORDER BY id", [], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        let read = |(id, due, text): (i64, String, Option<String>)| match serde_json::from_str(&due)
        {
            Ok(due) => Some(Owed { id, due, text }),
            Err(error) => {
                tracing::warn!("unsent message {id} was written by another version: {error}");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Saves the final text of a message, so that a retry sends the same.
    pub fn compose(&self, id: i64, text: &str) -> Result<()> {
        let sql = "UPDATE owed SET text = ?2 WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id, text]).map(drop)?))
    }

    /// Writes a message unchanged: an error means that nothing can be written now.
    pub fn touch(&self, id: i64) -> Result<()> {
        let sql = "UPDATE owed SET due = due WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id]).map(drop)?))
    }

    /// Deletes a message that was sent, or is not needed any more.
    pub fn settle(&self, id: i64) -> Result<()> {
        self.write(|tx| Ok(tx.execute("DELETE FROM owed WHERE id = ?1", params![id]).map(drop)?))
    }
}
