//! Turns an installed Synapse and a database into a running homeserver with a log like the real one.
//!
//! The log is buffered as Synapse's own default is, because Kestrel has to live with that; only the
//! period is shorter. The homeserver listens on loopback and never talks to another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::leash::{Leash, Spec};
use crate::wire::Wire;

pub const SERVER_NAME: &str = "lab.local";
/// Signs nothing that leaves this machine, so it may be here; a fixed one saves a start.
const SIGNING_KEY: &str = "ed25519 a_lab 1KDwx5H7nWKx3Zp1bqJp0dU9Yh8yWq3vB5mC7eF2gHk\n";
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Synapse's text format, local time.
    #[default]
    Precise,
    /// One JSON object a line, epoch seconds.
    Terse,
}

/// All that one Synapse needs to start.
pub struct Synapse<'a> {
    pub python: &'a Path,
    pub folder: &'a Path,
    pub port: u16,
    pub database_port: u16,
    pub database: &'a str,
    pub database_role: &'a str,
    pub log_format: LogFormat,
    pub timezone: Option<&'a str>,
    pub loggers: &'a [(String, String)],
    /// Keys of homeserver.yaml that replace the lab's own.
    pub config: &'a serde_json::Map<String, Value>,
}

impl Synapse<'_> {
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("homeserver.log")
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.join("homeserver.yaml")
    }

    /// Writes the configuration. JSON is YAML, and cannot be got wrong by an indent.
    pub fn configure(&self) -> Result<()> {
        let mut config = self.homeserver();
        for (key, value) in self.config {
            config[key] = value.clone();
        }
        fs::write(self.config_path(), serde_json::to_vec_pretty(&config)?)?;
        fs::write(self.folder.join("log.yaml"), serde_json::to_vec_pretty(&self.logging())?)?;
        fs::write(self.folder.join("signing.key"), SIGNING_KEY)?;
        Ok(())
    }

    /// Starts it and waits until it answers.
    pub async fn start(&self, wire: &Wire) -> Result<Leash> {
        let config = self.config_path();
        let config = config.to_str().context("the lab's folder is not valid UTF-8")?;
        let mut environment = vec![("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())];
        if let Some(zone) = self.timezone {
            environment.push(("TZ".into(), zone.to_owned()));
        }
        let arguments = ["-m", "synapse.app.homeserver", "-c", config];
        let mut leash = Leash::hold(Spec {
            name: "Synapse",
            program: self.python,
            arguments: arguments.map(str::to_owned).to_vec(),
            environment,
            folder: self.folder,
            output: self.folder.join("synapse.out"),
            stop_signal: "TERM",
            user: None,
        })?;
        let deadline = Instant::now() + START_PATIENCE;
        while wire.get("/_matrix/client/versions", None).await.is_err() {
            leash.check().with_context(|| {
                let log = crate::leash::last_lines(&self.log_path(), 5);
                format!("Synapse did not start; the end of its log:\n{log}")
            })?;
            if Instant::now() > deadline {
                bail!("Synapse does not answer after {START_PATIENCE:?}:\n{}", leash.last_words());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(leash)
    }

    fn homeserver(&self) -> Value {
        // A limit must never be what a test measures, unless the test asks for it.
        let generous = json!({"per_second": 10_000, "burst_count": 10_000});
        json!({
            "server_name": SERVER_NAME,
            "public_baseurl": format!("http://127.0.0.1:{}/", self.port),
            "pid_file": self.folder.join("homeserver.pid"),
            "listeners": [{
                "port": self.port,
                "bind_addresses": ["127.0.0.1"],
                "type": "http",
                "tls": false,
                "x_forwarded": true,
                "resources": [{"names": ["client", "metrics"], "compress": false}],
            }],
            "database": {
                "name": "psycopg2",
                "args": {
                    "host": "127.0.0.1",
                    "port": self.database_port,
                    "user": self.database_role,
                    "dbname": self.database,
                    "cp_min": 3,
                    "cp_max": 10,
                },
            },
            "log_config": self.folder.join("log.yaml"),
            "media_store_path": self.folder.join("media"),
            "signing_key_path": self.folder.join("signing.key"),
            "macaroon_secret_key": "lab",
            "form_secret": "lab",
            "registration_shared_secret": "lab",
            "enable_registration": true,
            "enable_registration_without_verification": true,
            "bcrypt_rounds": 4,
            "max_event_delay_duration": "24h",
            "enable_metrics": true,
            "report_stats": false,
            "presence": {"enabled": false},
            "trusted_key_servers": [],
            "suppress_key_server_warning": true,
            "federation_domain_whitelist": [],
            "rc_message": generous,
            "rc_registration": generous,
            "rc_login": {"address": generous, "account": generous, "failed_attempts": generous},
            "rc_joins": {"local": generous, "remote": generous},
            "rc_joins_per_room": generous,
            "rc_room_creation": generous,
            "rc_invites": {"per_room": generous, "per_user": generous, "per_issuer": generous},
            "rc_key_requests": generous,
            "rc_delayed_event_mgmt": generous,
        })
    }

    fn logging(&self) -> Value {
        let formatter = match self.log_format {
            LogFormat::Precise => json!({
                "format": "%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s"
            }),
            LogFormat::Terse => json!({"class": "synapse.logging.TerseJsonFormatter"}),
        };
        let mut loggers = json!({"synapse.storage.SQL": {"level": "INFO"}});
        for (name, level) in self.loggers {
            loggers[name] = json!({"level": level});
        }
        json!({
            "version": 1,
            "formatters": {"lab": formatter},
            "handlers": {
                "file": {
                    "class": "logging.handlers.TimedRotatingFileHandler",
                    "formatter": "lab",
                    "filename": self.log_path(),
                    "when": "midnight",
                    "backupCount": 3,
                    "encoding": "utf8",
                },
                "buffer": {
                    "class": "synapse.logging.handlers.PeriodicallyFlushingMemoryHandler",
                    "target": "file",
                    "capacity": 10,
                    "flushLevel": 30,
                    "period": 1,
                },
            },
            "loggers": loggers,
            "root": {"level": "INFO", "handlers": ["buffer"]},
            "disable_existing_loggers": false,
        })
    }
}
