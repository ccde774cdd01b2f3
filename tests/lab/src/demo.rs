//! Turns a checkout into the whole story, told on a terminal: a homeserver, an ops room, the bot, a
//! device in a key storm, a question and the answer.
//!
//! It plays nothing by itself: the bot is the program this checkout builds, and the answer is what an
//! admin's own client decrypts.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::faults;
use crate::lab::{Lab, LabOptions};
use crate::ops::{Bot, Message, OpsRoom};

const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// Nobody watches a demo for ten quiet minutes.
const WATCH: &str = "[watch]\nquiet = \"10s\"\n";

/// Plays it, with the bot this checkout builds unless another is given. Without `once` everything then
/// stays up until the caller lets go.
pub async fn play(options: LabOptions, binary: Option<PathBuf>, once: bool) -> Result<()> {
    let story = Story::begin();
    let binary = match binary {
        Some(binary) => std::path::absolute(binary)?,
        None => {
            story.step("building Kestrel");
            tokio::task::spawn_blocking(build).await??
        }
    };
    story.step("starting Synapse and PostgreSQL");
    let lab = Lab::start(options).await?;
    let _announced = lab.announce()?;
    story.step("opening an encrypted ops room");
    let ops = OpsRoom::open(&lab).await?;
    story.step("setting up Kestrel: its account, its database role, its config, its session");
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, &binary, &folder, WATCH).await?;
    story.step("a device loses its store and keeps its session");
    let patient = faults::evict(&lab).await?;
    let question = format!("!ke1 {} {}", patient.user, patient.device);
    story.step("the admin asks");
    let asked = ops.ask(&question).await?;
    let answer = ops.thread(&asked, ANSWER_PATIENCE).await?;
    bot.check()?;

    println!("\n{}", ops.account.user_id);
    println!("  {question}");
    for message in &answer {
        println!("\n{}", spoken(message));
    }
    if answer.is_empty() {
        bail!(
            "Kestrel did not answer in {ANSWER_PATIENCE:?}; its log ends with:\n{}",
            bot.last_words()
        );
    }
    println!();
    story.step("and nobody asked: what Kestrel said by itself");
    let storm =
        |said: &&Message| said.plain.contains(&patient.device) && said.sender == bot.user_id;
    let roots = ops.roots(ANSWER_PATIENCE, |said| said.iter().any(|said| storm(&said))).await?;
    let Some(root) = roots.iter().find(storm) else {
        bail!("Kestrel did not speak first; its log ends with:\n{}", bot.last_words());
    };
    println!("\n{}\n", spoken(root));
    story.step("peers claim the dead account's keys, and the storm ends");
    patient.heal(&lab).await?;
    let over =
        |said: &Message| said.plain.contains(" · stopped") || said.plain.contains(" · resolved");
    let deadline = Instant::now() + ANSWER_PATIENCE;
    let thread = loop {
        let thread = ops.thread(&root.event_id, ANSWER_PATIENCE).await?;
        if thread.iter().any(over) || Instant::now() > deadline {
            break thread;
        }
    };
    for message in &thread {
        println!("\n{}", spoken(message));
    }
    println!();
    story.step("done");
    if once {
        return Ok(());
    }
    println!(
        "\nAll of it stays up. Join with any Matrix client at {}\n\
         as        {}   password  {}   (a name of your own needs an invitation from it)\n\
         bot       {}   its config {}\n\
         log       {}\n\
         database  {}\n\n\
         Ctrl-C stops all of it.",
        lab.homeserver(),
        ops.account.user_id,
        ops.account.password,
        bot.user_id,
        bot.config_path().display(),
        lab.log_path().display(),
        lab.database_url(),
    );
    std::future::pending().await
}

/// Says what is happening and since when.
struct Story(Instant);

impl Story {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn step(&self, what: &str) {
        eprintln!("{:>5.1} s  {what}", self.0.elapsed().as_secs_f32());
    }
}

/// One message as a thread shows it.
fn spoken(message: &Message) -> String {
    let mut text = message.sender.clone();
    for line in message.plain.lines() {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if let Some(name) = &message.attachment_name {
        text.push_str(&format!("\n  [{}: {name}]", message.kind));
    }
    text
}

/// Builds the bot and returns where cargo put it. Cargo shows its own progress.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["build", "--bin", "kestrel", "--message-format=json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut binary = None;
    for line in BufReader::new(output).lines() {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        if message["target"]["name"] == "kestrel"
            && let Some(path) = message["executable"].as_str()
        {
            binary = Some(PathBuf::from(path));
        }
    }
    if !child.wait()?.success() {
        bail!("Kestrel does not build; cargo said why above");
    }
    binary.context("cargo built Kestrel and did not say where")
}
