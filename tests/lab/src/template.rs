//! Turns one slow first start into a database cluster that every later lab copies.
//!
//! Making Synapse's schema takes longer than all the rest of a start. The cluster is kept per version
//! of Synapse and of PostgreSQL; it is only ever copied, never run where it lies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::runtime::Handle;
use tokio_postgres::NoTls;
use tracing::info;

use crate::install;
use crate::lab::{free_port, run_folder};
use crate::postgres::{self, Programs, SUPERUSER};
use crate::synapse::{LogFormat, Synapse};
use crate::wire::Wire;

/// A fresh schema has a few of these; left undone, each lab would do them again while it is watched.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(90);

/// The folder of a cluster with Synapse's schema, made when it is not there yet.
pub fn cluster(
    runtime: &Handle,
    cache: &Path,
    version: &str,
    python: &Path,
    programs: &Programs,
) -> Result<PathBuf> {
    let postgres = install::postgres_version(&programs.folder).with_context(|| {
        format!("{} does not hold PostgreSQL's programs", programs.folder.display())
    })?;
    let folder = cache.join(format!("cluster-synapse-{version}-postgresql-{postgres}"));
    install::once(&folder, |folder| {
        info!("making the database that labs with Synapse {version} start from (once)");
        runtime.block_on(make(python, programs, &folder.join("data")))
    })?;
    Ok(folder.join("data"))
}

/// Copies a cluster that is not running.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let output = Command::new("cp").arg("-R").args([from, to]).output().context("cannot run cp")?;
    if !output.status.success() {
        bail!("cannot copy {}: {}", from.display(), String::from_utf8_lossy(&output.stderr));
    }
    // PostgreSQL insists on it, and a copy made under another umask may differ.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

async fn make(python: &Path, programs: &Programs, target: &Path) -> Result<()> {
    let (scratch, _lock) = run_folder()?;
    let data = scratch.path().join("postgres");
    programs.create_cluster(&data)?;
    let (port, database_port) = (free_port()?, free_port()?);
    let output = scratch.path().join("postgres.out");
    let mut postgres = programs.start(&data, database_port, output).await?;
    let admin = postgres::url(SUPERUSER, database_port, "postgres");
    postgres::run_sql(&admin, "CREATE ROLE synapse LOGIN").await?;
    postgres::run_sql(
        &admin,
        "CREATE DATABASE synapse OWNER synapse TEMPLATE template0 \
         ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    .await?;
    let without_pauses = serde_json::json!({"background_updates": {"sleep_enabled": false}});
    let synapse = Synapse {
        python,
        folder: scratch.path(),
        port,
        database_port,
        database: "synapse",
        database_role: "synapse",
        log_format: LogFormat::Precise,
        timezone: None,
        loggers: &[],
        config: without_pauses.as_object().context("not an object")?,
    };
    synapse.configure()?;
    let mut running = synapse.start(&Wire::new(&format!("http://127.0.0.1:{port}"))?).await?;
    background_done(&postgres::url(SUPERUSER, database_port, "synapse")).await?;
    running.stop();
    postgres.stop();
    copy(&data, target)
}

async fn background_done(url: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let deadline = Instant::now() + BACKGROUND_PATIENCE;
    while Instant::now() < deadline {
        let row = client.query_one("SELECT count(*) FROM background_updates", &[]).await?;
        if row.get::<_, i64>(0) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(client);
    driver.await??;
    Ok(())
}
