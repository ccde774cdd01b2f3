//! Turns Debian's Prometheus into one that watches a lab's Synapse, once a second.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::install;
use crate::lab::{Lab, free_port};
use crate::leash::{Leash, Spec};
use crate::wire::Wire;

const START_PATIENCE: Duration = Duration::from_secs(30);

/// A running Prometheus, stopped when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    _leash: Leash,
}

impl Prometheus {
    /// Starts one that scrapes this lab, and waits until it has.
    pub async fn watch(lab: &Lab) -> Result<Self> {
        let program =
            tokio::task::spawn_blocking(|| install::prometheus(&install::cache_folder()?))
                .await??;
        let folder = lab.scratch().join("prometheus");
        fs::create_dir_all(&folder)?;
        let target = lab.homeserver().trim_start_matches("http://");
        let config = json!({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{
                "job_name": "synapse",
                "metrics_path": "/_synapse/metrics",
                "static_configs": [{"targets": [target]}],
            }],
        });
        // JSON is YAML.
        fs::write(folder.join("prometheus.yml"), serde_json::to_vec_pretty(&config)?)?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut leash = start(&program, &folder, port)?;
        let wire = Wire::new(&url)?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            leash.check()?;
            let up = wire.get("/api/v1/query?query=up%3D%3D1", None).await;
            if up.is_ok_and(|up| {
                up["data"]["result"].as_array().is_some_and(|list| !list.is_empty())
            }) {
                return Ok(Self { url, _leash: leash });
            }
            if Instant::now() > deadline {
                bail!("Prometheus scraped nothing in {START_PATIENCE:?}:\n{}", leash.last_words());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until it has scraped so many restarts of delayed events.
    pub async fn counts_restarts(&self, least: f64) -> Result<()> {
        let query = "sum(synapse_http_server_response_time_seconds_count%7Bservlet%3D~\
                     %22RestartDelayedEventServlet%7CUpdateDelayedEventServlet%22%7D)";
        let (wire, path) = (Wire::new(&self.url)?, format!("/api/v1/query?query={query}"));
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let answer = wire.get(&path, None).await?;
            let value = &answer["data"]["result"][0]["value"][1];
            let counted: f64 = value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0);
            if counted >= least {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("Prometheus counts {counted} of {least} restarts in {START_PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn start(program: &Path, folder: &Path, port: u16) -> Result<Leash> {
    let path = |name: &str| -> Result<String> {
        let path = folder.join(name);
        Ok(path.to_str().context("the lab's folder is not valid UTF-8")?.to_owned())
    };
    Leash::hold(Spec {
        name: "Prometheus",
        program,
        arguments: vec![
            format!("--config.file={}", path("prometheus.yml")?),
            format!("--storage.tsdb.path={}", path("data")?),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
        environment: Vec::new(),
        folder,
        output: folder.join("prometheus.out"),
        stop_signal: "TERM",
        user: None,
    })
}
