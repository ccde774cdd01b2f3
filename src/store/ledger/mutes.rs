//! What is muted, and until when.

use anyhow::Result;
use jiff::Timestamp;
use kestrel_core::storm::{Mute, Muted};
use rusqlite::params;

use super::connection::Ledger;

impl Ledger {
    /// Adds a mute; a later one of the same subject replaces it.
    pub fn mute(&self, mute: &Mute) -> Result<()> {
        let what = name(&mute.what)?;
        let until = mute.until.as_microsecond();
        let sql = "INSERT INTO mute (what, until, asked) VALUES (?1, ?2, ?3)
                   ON CONFLICT (what) DO UPDATE SET until = excluded.until, asked = excluded.asked";
        self.write(|tx| Ok(tx.execute(sql, params![what, until, mute.by]).map(drop)?))
    }

    /// Removes a mute; returns whether there was one.
    pub fn unmute(&self, what: &Muted) -> Result<bool> {
        let what = name(what)?;
        self.write(|tx| Ok(tx.execute("DELETE FROM mute WHERE what = ?1", params![what])? > 0))
    }

    /// Removes all mutes; returns how many there were.
    pub fn unmute_everything(&self) -> Result<usize> {
        self.write(|tx| Ok(tx.execute("DELETE FROM mute", [])?))
    }

    /// Active mutes, the first to end first. Expired ones are deleted.
    pub fn mutes(&self, now: Timestamp) -> Result<Vec<Mute>> {
        let rows =
            self.rows("SELECT what, until, asked FROM mute ORDER BY until, what", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
            })?;
        let mut hold = Vec::new();
        let mut ended = false;
        for (what, until, by) in rows {
            let until = Timestamp::from_microsecond(until).unwrap_or(Timestamp::MAX);
            match serde_json::from_str(&what) {
                Ok(what) if until > now => hold.push(Mute { what, until, by }),
                Ok(_) => ended = true,
                Err(error) => tracing::warn!("a mute was written by another version: {error}"),
            }
        }
        if ended {
            let sql = "DELETE FROM mute WHERE until <= ?1";
            self.write(|tx| Ok(tx.execute(sql, params![now.as_microsecond()])?))?;
        }
        Ok(hold)
    }
}

/// What is muted, as a key: its JSON, which is unique for each subject.
fn name(what: &Muted) -> Result<String> {
    Ok(serde_json::to_string(what)?)
}
