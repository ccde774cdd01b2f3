//! The lab's PostgreSQL, copied while it was stopped → a second server that streams from it: a hot standby as a
//! homeserver's admin runs one, which can be paused and cut off.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::NoTls;

use crate::leash::Leash;
use crate::postgres::{self, Programs, SUPERUSER};

const PATIENCE: Duration = Duration::from_secs(60);
/// What a primary has to write for a replica.
pub(crate) const PRIMARY: [&str; 3] =
    ["wal_level=replica", "max_wal_senders=3", "wal_keep_size=256MB"];

/// A running replica, stopped when this is dropped.
#[derive(Debug)]
pub struct Replica {
    leash: Leash,
    primary: String,
    port: u16,
    database: &'static str,
}

impl Replica {
    /// Starts a copy of a stopped primary's folder as its replica. The primary runs again by now.
    pub(crate) async fn start(
        programs: &Programs,
        data: &Path,
        (port, primary): (u16, u16),
        database: &'static str,
    ) -> Result<Self> {
        std::fs::write(data.join("standby.signal"), "")?;
        // In the file, so that `ALTER SYSTEM` can change it.
        std::fs::write(
            data.join("postgresql.auto.conf"),
            format!("primary_conninfo = 'host=127.0.0.1 port={primary} user={SUPERUSER}'\n"),
        )?;
        programs.own(data)?;
        let output = data.with_extension("out");
        let settings = [PRIMARY[0], PRIMARY[1], "hot_standby=on"];
        let leash = programs.start_with(data, port, output, &settings).await?;
        let primary = postgres::url(SUPERUSER, primary, database);
        Ok(Self { leash, primary, port, database })
    }

    pub fn url_as(&self, role: &str) -> String {
        postgres::url(role, self.port, self.database)
    }

    /// Stops the replay; what comes is received and kept.
    pub async fn pause(&self) -> Result<()> {
        self.sql("SELECT pg_wal_replay_pause()").await?;
        self.until("pg_get_wal_replay_pause_state() = 'paused'").await
    }

    pub async fn resume(&self) -> Result<()> {
        self.sql("SELECT pg_wal_replay_resume()").await
    }

    /// Ends the connection to the primary for good: all that was received is replayed, and nothing comes.
    pub async fn cut_off(&self) -> Result<()> {
        self.sql("ALTER SYSTEM SET wal_retrieve_retry_interval = '1h'").await?;
        self.sql("ALTER SYSTEM SET primary_conninfo = ''").await?;
        self.sql("SELECT pg_reload_conf()").await?;
        self.until("NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await
    }

    /// Waits until everything that the primary has written by now is replayed.
    pub async fn caught_up(&self) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.primary, NoTls).await?;
        tokio::spawn(connection);
        // `synchronous_commit` is off: what is committed may not be flushed, and so not sent, yet.
        let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
        let position: String = row.get(0);
        client.batch_execute("CHECKPOINT").await?;
        self.until(&format!("pg_last_wal_replay_lsn() >= '{position}'")).await
    }

    async fn until(&self, condition: &str) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.url_as(SUPERUSER), NoTls).await?;
        tokio::spawn(connection);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let row = client.query_one(&format!("SELECT {condition}"), &[]).await?;
            if row.get(0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let said = self.leash.last_words();
                bail!("{condition} does not hold on the replica after {PATIENCE:?}:\n{said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn sql(&self, sql: &str) -> Result<()> {
        postgres::run_sql(&self.url_as(SUPERUSER), sql).await.context("on the replica")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.leash.stop();
    }
}
