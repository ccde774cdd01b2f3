//! Combines the source flags with a config file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use kestrel::config::{
    Cases, Config, Database, Limits, LogSource, Prometheus, Reports, Server, Watch,
};

/// Sources other than the logs.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// Synapse's database: postgresql://role@host/synapse
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Prometheus with Synapse's metrics: http://127.0.0.1:9090
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// The time zone of the logs and of times in flags: an IANA name or an offset
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Read sources and limits from a config file; flags override it
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Sources {
    /// The config file, if any, with the flags applied.
    pub(crate) fn config(&self, logs: &[PathBuf]) -> Result<Config> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config {
                store: PathBuf::from("store"),
                matrix: None,
                server: Server { name: None },
                logs: Vec::new(),
                database: None,
                prometheus: None,
                watch: Watch::default(),
                reports: Reports::default(),
                cases: Cases::default(),
                limits: Limits::default(),
            },
        };
        let zone = self.timezone.as_deref().map(kestrel::config::timezone).transpose()?;
        if !logs.is_empty() {
            let source = |path: &PathBuf| LogSource {
                name: path
                    .file_name()
                    .map_or("log".into(), |name| name.to_string_lossy().into_owned()),
                path: path.clone(),
                timezone: zone.clone(),
            };
            config.logs = logs.iter().map(source).collect();
        }
        if let Some(zone) = zone {
            config.limits.timezone = zone;
        }
        if let Some(url) = &self.database {
            let url = kestrel::config::database_url(url)?;
            config.database = Some(Database::new(url));
        }
        if let Some(url) = &self.prometheus {
            config.prometheus = Some(Prometheus::open(kestrel::config::prometheus_url(url)?));
        }
        Ok(config)
    }
}
