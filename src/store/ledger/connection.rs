//! The open database: every read and write goes through here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior};

use super::schema;

/// The file's name in the store.
pub(super) const FILE: &str = "ledger.sqlite";

/// The open database. Its calls wait for the disk, some milliseconds each.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) path: PathBuf,
    pub(super) connection: Mutex<Connection>,
}

impl Ledger {
    /// Opens the ledger in a store folder, for the process that uses the store, or for a terminal command.
    /// Creates it if needed.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let connection = Mutex::new(schema::open(&path)?);
        Ok(Self { inner: Arc::new(Inner { path, connection }) })
    }

    /// Whether a store folder has a ledger: a command that only reads creates none.
    pub fn is_in(folder: &Path) -> Result<bool> {
        let path = folder.join(FILE);
        path.try_exists().with_context(|| format!("cannot check for {}", path.display()))
    }

    /// The rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        with: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.read(|db| db.prepare(sql)?.query_map(with, row)?.collect())
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|error| schema::explain(&self.inner.path, error))
    }

    /// Applies `work` completely or not at all. It waits for another process's write first, which a
    /// transaction that starts as a read cannot.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        // A panic elsewhere has already rolled back its transaction.
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |error: anyhow::Error| match error.downcast::<rusqlite::Error>() {
            Ok(error) => schema::explain(&self.inner.path, error),
            Err(error) => error,
        };
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = tx.map_err(|error| plain(error.into()))?;
        let came = work(&tx).map_err(plain)?;
        tx.commit().map_err(|error| plain(error.into()))?;
        Ok(came)
    }
}
