//! Turns PostgreSQL's programs into a running cluster that only loopback can reach.
//!
//! The data folder is thrown away with the lab, so nothing is ever flushed to disk with care. It
//! never runs as root: there it becomes `postgres` or `nobody` and gives that user the data folder.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::NoTls;

use crate::leash::{Leash, Spec, UserId};

pub const SUPERUSER: &str = "postgres";
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Which programs to run, and as whom.
#[derive(Clone, Debug)]
pub struct Programs {
    pub folder: PathBuf,
    pub user: Option<UserId>,
}

impl Programs {
    pub fn find(cache: &Path) -> Result<Self> {
        let user = other_user()?;
        let folder = crate::install::postgres(cache, user.is_some())?;
        Ok(Self { folder, user })
    }

    /// Makes an empty cluster in a folder that does not exist yet.
    pub fn create_cluster(&self, data: &Path) -> Result<()> {
        std::fs::create_dir_all(data)?;
        self.own(data)?;
        let mut command = self.command("initdb");
        command
            .args([
                "--no-sync",
                "--no-instructions",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--username={SUPERUSER}"))
            // The default segment of 16 MB would be most of what each lab copies.
            .arg("--wal-segsize=1")
            .arg("--pgdata")
            .arg(data)
            .current_dir(data);
        let output = command.output().context("cannot run initdb")?;
        if !output.status.success() {
            bail!("PostgreSQL's initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Starts the cluster and waits until it answers.
    pub async fn start(&self, data: &Path, port: u16, output: PathBuf) -> Result<Leash> {
        self.start_with(data, port, output, &[]).await
    }

    /// The same with settings that replace the lab's own.
    pub async fn start_with(
        &self,
        data: &Path,
        port: u16,
        output: PathBuf,
        own: &[&str],
    ) -> Result<Leash> {
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=60",
            "shared_buffers=32MB",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "autovacuum_naptime=1h",
        ];
        let mut arguments = vec!["-D".to_owned(), path_text(data)?, "-p".into(), port.to_string()];
        // Of a setting that is given twice the last one holds.
        for setting in settings.iter().chain(own) {
            arguments.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let mut leash = Leash::hold(Spec {
            name: "PostgreSQL",
            program: &self.folder.join("postgres"),
            arguments,
            environment: vec![("LC_ALL".into(), "C".into())],
            folder: data,
            output,
            // "Fast" shutdown: sessions end, the cluster stays whole. A template is made this way.
            stop_signal: "INT",
            user: self.user,
        })?;
        wait_until_up(&mut leash, port).await?;
        Ok(leash)
    }

    /// Gives a folder and all in it to the user PostgreSQL runs as.
    pub fn own(&self, path: &Path) -> Result<()> {
        let Some(user) = self.user else {
            return Ok(());
        };
        chown(path, Some(user.user), Some(user.group))
            .with_context(|| format!("cannot give {} to PostgreSQL's user", path.display()))?;
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(self.folder.join(program));
        command.env("LC_ALL", "C");
        if let Some(user) = self.user {
            command.uid(user.user).gid(user.group);
        }
        command
    }
}

/// A connection URL; every local user is trusted.
pub fn url(role: &str, port: u16, database: &str) -> String {
    format!("postgresql://{role}@127.0.0.1:{port}/{database}")
}

/// Runs SQL, one simple query string.
pub async fn run_sql(url: &str, sql: &str) -> Result<()> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("cannot reach the lab's database")?;
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.context("the SQL was refused")?;
    drop(client);
    driver.await??;
    Ok(())
}

async fn wait_until_up(leash: &mut Leash, port: u16) -> Result<()> {
    let deadline = Instant::now() + START_PATIENCE;
    let url = url(SUPERUSER, port, "postgres");
    loop {
        leash.check()?;
        match tokio_postgres::connect(&url, NoTls).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| {
                    format!(
                        "PostgreSQL does not answer after {START_PATIENCE:?}:\n{}",
                        leash.last_words()
                    )
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}

/// The user to become when we are root; none when we are not.
fn other_user() -> Result<Option<UserId>> {
    // Our own user id without a system call of our own: a file we make belongs to us.
    let probe = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    if probe.as_file().metadata()?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    ["postgres", "nobody"].into_iter().find_map(|name| find_user(&users, name)).map(Some).context(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` \
             user to run it as; run the lab as an ordinary user",
    )
}

fn find_user(users: &str, name: &str) -> Option<UserId> {
    let fields: Vec<&str> = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))?;
    Some(UserId { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
}

fn path_text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("the lab's folder is not valid UTF-8")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var:/bin/bash\n";
        let found = find_user(users, "postgres");
        assert_eq!(found, Some(UserId { user: 101, group: 104 }));
        assert_eq!(find_user(users, "nobody"), None);
    }
}
