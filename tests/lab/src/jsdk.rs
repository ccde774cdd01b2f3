//! Turns an account into a real web client: matrix-js-sdk under Node or in headless Chromium, with the
//! files that a user could send of it: the crypto diagnostics report, the console, a rageshake log, a HAR.
//!
//! The programs are the crate's own `js/` folder; the packages they stand on are installed once into the
//! cache. A client that is dropped, or whose lab is killed, ends by itself. It never logs out.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::install;
use crate::lab::{Account, Lab};
use crate::leash::last_lines;

/// Our programs, written beside the packages' link before they run.
const PROGRAMS: [(&str, &str); 6] = [
    ("browser.mjs", include_str!("../js/browser.mjs")),
    ("client.mjs", include_str!("../js/client.mjs")),
    ("diag.mjs", include_str!("../js/diag.mjs")),
    ("node.mjs", include_str!("../js/node.mjs")),
    ("orders.mjs", include_str!("../js/orders.mjs")),
    ("page.mjs", include_str!("../js/page.mjs")),
];
/// The longest that one order may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Its store lives as long as the process: each one begins with an empty store.
    Node,
    /// Its store lives in a profile folder, until it is told to forget it.
    Browser,
}

/// A running matrix-js-sdk.
#[derive(Debug)]
pub struct WebClient {
    host: Host,
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

/// What a user can send of a client.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// The report of the runbook's diagnostics card.
    pub report: PathBuf,
    pub console: PathBuf,
    pub rageshake: PathBuf,
    /// A browser's only.
    pub har: Option<PathBuf>,
}

impl WebClient {
    /// Starts a client's process; the homeserver sees it at this address.
    pub async fn start(lab: &Lab, host: Host, address: &str) -> Result<Self> {
        let (packages, chromium) = tokio::task::spawn_blocking(move || {
            let cache = install::cache_folder()?;
            let packages = install::web_packages(&cache)?;
            let chromium = match host {
                Host::Node => None,
                Host::Browser => Some(install::chromium(&cache)?),
            };
            anyhow::Ok((packages, chromium))
        })
        .await??;
        let folder = lab.scratch().join(lab.fresh_name("web"));
        std::fs::create_dir(&folder)?;
        for (name, text) in PROGRAMS {
            std::fs::write(folder.join(name), text)?;
        }
        std::os::unix::fs::symlink(packages.join("node_modules"), folder.join("node_modules"))?;
        let mut command = Command::new("node");
        match chromium {
            None => {
                command.arg(folder.join("node.mjs"));
            }
            Some(chromium) => {
                command.arg(folder.join("browser.mjs")).arg(&folder).arg(chromium.program);
                command.arg(lab.homeserver());
                command.envs(chromium.environment);
            }
        }
        let mut process = command
            .arg(address)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("stderr.log")).await?.into_std().await)
            .kill_on_drop(true)
            .spawn()
            .context(install::NODE_MISSING)?;
        let orders = process.stdin.take().context("no standard input")?;
        let answers = BufReader::new(process.stdout.take().context("no standard output")?).lines();
        Ok(Self { host, process, orders, answers, folder })
    }

    /// Opens the account's session on the store that is there; an empty one makes new keys.
    pub async fn open(&mut self, lab: &Lab, account: &Account) -> Result<()> {
        static ROUND: AtomicU64 = AtomicU64::new(0);
        let order = json!({
            "do": "open",
            "homeserver": lab.homeserver(),
            "user": account.user_id,
            "device": account.device_id,
            "token": account.access_token,
            "round": ROUND.fetch_add(1, Ordering::Relaxed),
        });
        self.tell(order).await.map(drop)
    }

    /// Waits until the console has said something, by a regular expression.
    pub async fn said(&mut self, words: &str) -> Result<()> {
        self.tell(json!({"do": "said", "words": words, "seconds": 30})).await.map(drop)
    }

    /// Waits until the diagnostics hold so many entries of this kind.
    pub async fn counted(&mut self, ke: &str, count: u64) -> Result<()> {
        self.tell(json!({"do": "count", "ke": ke, "count": count, "seconds": 40})).await.map(drop)
    }

    /// Joins a call, with a restart of the delayed leave so often.
    pub async fn call(&mut self, room: &str, restart: Duration) -> Result<()> {
        let restart = restart.as_millis();
        self.tell(json!({"do": "call", "room": room, "restart": restart})).await.map(drop)
    }

    /// The store goes and the session stays. Under Node a new process is that already.
    pub async fn forget(self, lab: &Lab, address: &str) -> Result<Self> {
        let mut client = match self.host {
            Host::Browser => self,
            Host::Node => {
                drop(self);
                return Self::start(lab, Host::Node, address).await;
            }
        };
        client.tell(json!({"do": "forget"})).await?;
        Ok(client)
    }

    /// Ends the client and keeps what its user could send.
    pub async fn close(mut self) -> Result<Artefacts> {
        let said = self.tell(json!({"do": "report"})).await?;
        self.tell(json!({"do": "close"})).await?;
        let text = |name: &str| said[name].as_str().map(str::to_owned).context("no report");
        let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let report = self.folder.join(format!("lotus-crypto-diag-{}.json", millis.as_millis()));
        let rageshake = self.folder.join("rageshake.log");
        std::fs::write(&report, text("report")?)?;
        std::fs::write(&rageshake, text("rageshake")?)?;
        let (console, har) = match self.host {
            Host::Node => ("stderr.log", None),
            Host::Browser => ("console.log", Some(self.folder.join("page.har"))),
        };
        let console = self.folder.join(console);
        drop(self.orders);
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.context("a web client does not end")??;
        Ok(Artefacts { report, console, rageshake, har })
    }

    async fn tell(&mut self, order: Value) -> Result<Value> {
        let answer = tokio::time::timeout(PATIENCE, async {
            self.orders.write_all(format!("{order}\n").as_bytes()).await?;
            self.answers.next_line().await
        });
        let answer = answer.await;
        let what = || format!("the web client's order {}", order["do"]);
        let words = || self.last_words();
        match answer {
            Ok(Ok(Some(line))) => {
                let answer: Value = serde_json::from_str(&line).with_context(what)?;
                match answer["error"].as_str() {
                    Some(error) => bail!("{}: {error}\n{}", what(), words()),
                    None => Ok(answer["ok"].clone()),
                }
            }
            Ok(_) => bail!("{}: the process ended:\n{}", what(), words()),
            Err(_) => bail!("{}: no answer in {PATIENCE:?}:\n{}", what(), words()),
        }
    }

    fn last_words(&self) -> String {
        let words = |name: &str| last_lines(&self.folder.join(name), 15);
        format!("{}\n{}", words("stderr.log"), words("console.log"))
    }

    /// Where the client's files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
