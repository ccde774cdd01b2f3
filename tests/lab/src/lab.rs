//! Turns options into one running homeserver: PostgreSQL and Synapse together, on ports of their own.
//!
//! Any number run side by side. Dropping a lab stops all of it and removes its folder; a lab that was
//! attached to belongs to another process and is left running.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::install;
use crate::leash::Leash;
use crate::postgres::{self, Programs};
use crate::replica::{self, Replica};
use crate::synapse::{LogFormat, SERVER_NAME, Synapse};
use crate::template;
use crate::wire::Wire;

pub const DEFAULT_SYNAPSE: &str = "1.155.0";
const DATABASE: &str = "synapse";
const DATABASE_OWNER: &str = "synapse";
const FOLDER_PREFIX: &str = "kestrel-lab-";
/// Held for a lab's life: a folder whose lock is free was left by one that was killed.
const LOCK_NAME: &str = "lock";
/// Below the range the system hands out to outgoing connections, so a restart finds its port free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const LOG_PATIENCE: Duration = Duration::from_secs(10);

/// What kind of lab to start.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// As PyPI writes it.
    pub synapse_version: String,
    pub log_format: LogFormat,
    /// Synapse's local time, as `TZ` takes it; the machine's own without.
    pub timezone: Option<String>,
    /// Loggers raised above INFO: name and level.
    pub loggers: Vec<(String, String)>,
    /// Keys of homeserver.yaml that replace the lab's own.
    pub config: Map<String, Value>,
    /// Whether a replica of the database runs beside it.
    pub replica: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            synapse_version: DEFAULT_SYNAPSE.into(),
            log_format: LogFormat::Precise,
            timezone: None,
            loggers: Vec::new(),
            config: Map::new(),
            replica: false,
        }
    }
}

/// A user with one logged-in device.
#[derive(Clone, Debug)]
pub struct Account {
    pub user_id: String,
    pub password: String,
    pub access_token: String,
    pub device_id: String,
}

/// A running homeserver and its database.
#[derive(Debug)]
pub struct Lab {
    facts: Facts,
    wire: Wire,
    running: Option<Running>,
    scratch: TempDir,
    names: AtomicU32,
}

/// What another process needs to use this lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Facts {
    homeserver: String,
    database_port: u16,
    log_path: PathBuf,
    synapse_version: String,
}

/// The processes, in the hands of the process that started them.
#[derive(Debug)]
struct Running {
    synapse: Mutex<Option<Leash>>,
    postgres: Leash,
    replica: Option<Replica>,
    python: PathBuf,
    port: u16,
    options: LabOptions,
    _lock: File,
}

impl Lab {
    /// Installs what is missing, then starts PostgreSQL and Synapse and waits until both answer.
    pub async fn start(options: LabOptions) -> Result<Self> {
        refuse_a_test_of_another_name()?;
        let version = options.synapse_version.clone();
        let runtime = tokio::runtime::Handle::current();
        let (python, programs, template) = tokio::task::spawn_blocking(move || {
            let cache = install::cache_folder()?;
            sweep();
            let python = install::synapse(&cache, &version)?;
            let programs = Programs::find(&cache)?;
            let template = template::cluster(&runtime, &cache, &version, &python, &programs)?;
            anyhow::Ok((python, programs, template))
        })
        .await??;
        let (scratch, lock) = run_folder()?;
        let folder = scratch.path();
        let (port, database_port) = (free_port()?, free_port()?);
        let data = folder.join("postgres");
        template::copy(&template, &data)?;
        programs.own(&data)?;
        let (postgres, replica) = match options.replica {
            false => {
                let output = folder.join("postgres.out");
                (programs.start(&data, database_port, output).await?, None)
            }
            true => {
                let (postgres, replica) = with_replica(&programs, &data, database_port).await?;
                (postgres, Some(replica))
            }
        };
        let homeserver = format!("http://127.0.0.1:{port}");
        let synapse = Mutex::new(None);
        let running = Running { synapse, postgres, replica, python, port, options, _lock: lock };
        let lab = Self {
            wire: Wire::new(&homeserver)?,
            facts: Facts {
                homeserver,
                database_port,
                log_path: folder.join("homeserver.log"),
                synapse_version: running.options.synapse_version.clone(),
            },
            running: Some(running),
            scratch,
            names: AtomicU32::new(0),
        };
        let (running, synapse) = lab.synapse()?;
        synapse.configure()?;
        *running.synapse.lock().await = Some(synapse.start(&lab.wire).await?);
        Ok(lab)
    }

    /// The lab that `cargo lab up` is running, if one is.
    pub async fn attach() -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(state_path()?) else {
            return Ok(None);
        };
        let Ok(facts) = serde_json::from_str::<Facts>(&text) else {
            return Ok(None);
        };
        let wire = Wire::new(&facts.homeserver)?;
        if wire.get("/_matrix/client/versions", None).await.is_err() {
            return Ok(None);
        }
        Ok(Some(Self {
            facts,
            wire,
            running: None,
            scratch: tempfile::tempdir()?,
            names: AtomicU32::new(0),
        }))
    }

    /// Lets `attach` find this lab for as long as the returned value lives.
    pub fn announce(&self) -> Result<Announced> {
        let path = state_path()?;
        let note = serde_json::to_string_pretty(&self.facts)?;
        fs::write(&path, &note)?;
        Ok(Announced { path, note })
    }

    pub fn homeserver(&self) -> &str {
        &self.facts.homeserver
    }

    pub fn server_name(&self) -> &'static str {
        SERVER_NAME
    }

    pub fn synapse_version(&self) -> &str {
        &self.facts.synapse_version
    }

    /// The superuser's URL.
    pub fn database_url(&self) -> String {
        self.database_url_as(postgres::SUPERUSER)
    }

    pub fn database_url_as(&self, role: &str) -> String {
        postgres::url(role, self.facts.database_port, DATABASE)
    }

    /// The database's replica, where the options ask for one.
    pub fn replica(&self) -> Result<&Replica> {
        let running = self.running.as_ref();
        running.and_then(|running| running.replica.as_ref()).context("this lab has no replica")
    }

    pub fn log_path(&self) -> &Path {
        &self.facts.log_path
    }

    /// A folder that goes when this lab does.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Requests that no client makes on demand.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Makes an account with a device whose id the server chooses.
    pub async fn register(&self, localpart: &str) -> Result<Account> {
        self.register_on(localpart, None).await
    }

    /// Makes an account with a device of this id.
    pub async fn register_on(&self, localpart: &str, device_id: Option<&str>) -> Result<Account> {
        let password = format!("{localpart}-password");
        let mut body = json!({
            "auth": {"type": "m.login.dummy"},
            "username": localpart,
            "password": password,
        });
        if let Some(device_id) = device_id {
            body["device_id"] = device_id.into();
        }
        let answer = self.wire.post("/_matrix/client/v3/register", None, body).await?;
        account(&answer, password)
    }

    /// Logs an account in on one more device, or on the named one again.
    pub async fn login(&self, localpart: &str, device_id: Option<&str>) -> Result<Account> {
        let password = format!("{localpart}-password");
        let mut body = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": localpart},
            "password": password,
        });
        if let Some(device_id) = device_id {
            body["device_id"] = device_id.into();
        }
        let answer = self.wire.post("/_matrix/client/v3/login", None, body).await?;
        account(&answer, password)
    }

    /// A name no account has yet, also when several processes use one lab.
    pub fn fresh_name(&self, base: &str) -> String {
        let nanos =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let count = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{base}-{:05x}{count}", (nanos >> 10) & 0xf_ffff)
    }

    /// Runs SQL as the superuser.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        postgres::run_sql(&self.database_url(), sql).await
    }

    /// Waits until all that has happened so far is in the log file.
    pub async fn log_written(&self) -> Result<()> {
        let mark = self.fresh_name("mark");
        let path = format!("/_matrix/client/versions?{mark}");
        self.wire.get(&path, None).await?;
        let deadline = Instant::now() + LOG_PATIENCE;
        while Instant::now() < deadline {
            let log = fs::read(self.log_path()).unwrap_or_default();
            if String::from_utf8_lossy(&log).contains(&mark) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("a request did not reach {} in {LOG_PATIENCE:?}", self.log_path().display())
    }

    pub async fn stop_synapse(&self) -> Result<()> {
        let (running, _) = self.synapse()?;
        if let Some(mut leash) = running.synapse.lock().await.take() {
            tokio::task::spawn_blocking(move || leash.stop()).await?;
        }
        Ok(())
    }

    /// Stops Synapse when it runs, and starts it on the same port, log and database.
    pub async fn restart_synapse(&self) -> Result<()> {
        self.stop_synapse().await?;
        let (running, synapse) = self.synapse()?;
        *running.synapse.lock().await = Some(synapse.start(&self.wire).await?);
        Ok(())
    }

    /// Holds PostgreSQL still for so many seconds, as a disk or a hypervisor does.
    pub async fn freeze_postgres(&self, seconds: u32) -> Result<()> {
        let (running, _) = self.synapse()?;
        thaw(running.postgres.freeze(seconds)?).await
    }

    /// Holds Synapse still for so many seconds.
    pub async fn freeze_synapse(&self, seconds: u32) -> Result<()> {
        let (running, _) = self.synapse()?;
        let shell = match &*running.synapse.lock().await {
            Some(leash) => leash.freeze(seconds)?,
            None => bail!("Synapse is not running"),
        };
        thaw(shell).await
    }

    fn synapse(&self) -> Result<(&Running, Synapse<'_>)> {
        let running = self.running.as_ref().context(
            "this lab belongs to another process, which alone may stop or start its parts",
        )?;
        let options = &running.options;
        let synapse = Synapse {
            python: &running.python,
            folder: self.scratch.path(),
            port: running.port,
            database_port: self.facts.database_port,
            database: DATABASE,
            database_role: DATABASE_OWNER,
            log_format: options.log_format,
            timezone: options.timezone.as_deref(),
            loggers: &options.loggers,
            config: &options.config,
        };
        Ok((running, synapse))
    }
}

/// A primary and its replica. The replica begins with a copy of the stopped primary, so no program but the server's
/// own is needed; the first start writes into the copy that its log is one for replicas.
async fn with_replica(programs: &Programs, data: &Path, port: u16) -> Result<(Leash, Replica)> {
    let output = || data.with_extension("out");
    let mut first = programs.start_with(data, port, output(), &replica::PRIMARY).await?;
    tokio::task::spawn_blocking(move || first.stop()).await?;
    let copy = data.with_file_name("replica");
    template::copy(data, &copy)?;
    let postgres = programs.start_with(data, port, output(), &replica::PRIMARY).await?;
    let ports = (free_port()?, port);
    let replica = Replica::start(programs, &copy, ports, DATABASE).await?;
    Ok((postgres, replica))
}

/// Waits until a frozen process continues.
async fn thaw(mut shell: std::process::Child) -> Result<()> {
    let ended = tokio::task::spawn_blocking(move || shell.wait()).await??;
    if !ended.success() {
        bail!("a process could not be frozen: {ended}");
    }
    Ok(())
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        // Synapse first: it would fill its log with the database's absence.
        drop(running.synapse.get_mut().take());
        drop(running.replica.take());
        running.postgres.stop();
    }
}

/// The note that a lab is running. Dropped, it goes, unless a later lab has written its own.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
    note: String,
}

impl Drop for Announced {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|note| note == self.note) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn account(answer: &Value, password: String) -> Result<Account> {
    let text = |key: &str| {
        answer[key]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("Synapse's answer has no {key}: {answer}"))
    };
    Ok(Account {
        user_id: text("user_id")?,
        password,
        access_token: text("access_token")?,
        device_id: text("device_id")?,
    })
}

/// Tests that start servers are named `lab_…`, so that a machine without them can leave those tests out. The test
/// harness names a test's thread after the test.
fn refuse_a_test_of_another_name() -> Result<()> {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    if name.contains("::") && !name.contains("lab_") {
        bail!("{name} starts servers: put lab_ before its name");
    }
    Ok(())
}

fn state_path() -> Result<PathBuf> {
    Ok(install::cache_folder()?.join("running.json"))
}

/// A folder for one run, open to PostgreSQL's user, locked for as long as the file lives.
pub fn run_folder() -> Result<(TempDir, File)> {
    let folder = tempfile::Builder::new()
        .prefix(FOLDER_PREFIX)
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .context("cannot make a temporary folder for the lab")?;
    let lock = File::create(folder.path().join(LOCK_NAME))?;
    lock.lock()?;
    Ok((folder, lock))
}

/// Removes the folders of labs that were killed. Best effort: whoever owns one may still hold it.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX);
        let Ok(lock) = File::open(entry.path().join(LOCK_NAME)) else {
            continue;
        };
        if ours && lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A port nobody listens on. Each process walks the range from a place of its own.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    let start = std::process::id().wrapping_mul(61) % u32::from(width);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (start + u32::from(step)) % u32::from(width);
        let port = PORTS.start + u16::try_from(offset)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}

#[cfg(test)]
mod tests {
    use super::refuse_a_test_of_another_name;

    #[test]
    fn a_test_of_another_name_starts_no_server() {
        refuse_a_test_of_another_name().unwrap_err();
        for name in ["verdicts::lab_each_fault", "main", "tokio-runtime-worker"] {
            let thread = std::thread::Builder::new().name(name.into());
            thread.spawn(refuse_a_test_of_another_name).unwrap().join().unwrap().unwrap();
        }
    }
}
