//! Messages that the storm watch owes a room, until they are sent.

use anyhow::Result;
use kestrel_core::storm::Event;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::connection::Ledger;

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// What is new of a storm.
    Storm(Event),
    /// Words of its own.
    Words(String),
}

/// A message that is due and was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Never given twice.
    pub id: i64,
    pub due: Due,
    /// As it will be sent, once composed.
    pub text: Option<String>,
}

impl Ledger {
    /// Messages that are due and not sent, oldest first. One of another version's shape is passed over.
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

    /// The message's text as it will be sent, so that a retry says the same.
    pub fn compose(&self, id: i64, text: &str) -> Result<()> {
        let sql = "UPDATE owed SET text = ?2 WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id, text]).map(drop)?))
    }

    /// Writes a message that is due as it stands: an error where nothing can be written now.
    pub fn touch(&self, id: i64) -> Result<()> {
        let sql = "UPDATE owed SET due = due WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id]).map(drop)?))
    }

    /// It was sent, or is not to be sent any more.
    pub fn settle(&self, id: i64) -> Result<()> {
        self.write(|tx| Ok(tx.execute("DELETE FROM owed WHERE id = ?1", params![id]).map(drop)?))
    }
}
