//! What a released Kestrel writes → files under `tests/fixtures/written-by/`, which every later one has to open
//! (`releases_offline`). The program is a build of that release, and a lab of this checkout is around it:
//!
//! `KESTREL_BINARY=… KESTREL_RELEASE=0.2.0-abc1234 cargo test --test it record_a_release:: -- --ignored --nocapture`
//!
//! Nothing here reads what the bot says: it waits for what `cases` and `storms` print as JSON, so the words of a
//! release do not matter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kestrel_lab::calls::{Member, fresh_address};
use kestrel_lab::ops::{Bot, OpsRoom};
use kestrel_lab::{Fault, Lab, LabOptions, LogFormat, Patient};
use serde_json::Value;

use crate::releases_offline::{FIXTURES, ask_everything};
use crate::{crafted, reports};

const PATIENCE: Duration = Duration::from_secs(60);
/// A storm is over after ten quiet seconds here.
const WATCH: &str = "[watch]\nquiet = \"10s\"\n";
/// A log that ends before this after a rejected upload shows no quiet.
const UNREAD: Duration = Duration::from_secs(160);

/// The bot of the release at work.
struct Recording {
    lab: Lab,
    ops: OpsRoom,
    bot: Bot,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "records another build, and takes minutes"]
async fn lab_what_a_release_writes() -> Result<()> {
    let binary = PathBuf::from(std::env::var_os("KESTREL_BINARY").context("no KESTREL_BINARY")?);
    let release = std::env::var("KESTREL_RELEASE").context("no KESTREL_RELEASE")?;
    let folder = crate::tree().join(FIXTURES).join(release);
    fs::create_dir_all(&folder)?;
    saved_cases(&binary, &folder.join("saved")).await?;
    store(&binary, &folder.join("store")).await?;
    let answers = ask_everything(&binary, &folder, &saved_in_tree()?)?;
    let answers = serde_json::to_string_pretty(&answers)?;
    fs::write(folder.join("answers.json"), answers + "\n")?;
    Ok(())
}

/// The cases of `tests/cases`. A release is recorded from its own checkout, so these are its own.
fn saved_in_tree() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(crate::tree().join("tests/cases"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A store in the middle of its work: cases of every symptom, storms that are over, muted and ongoing, a capture
/// that is bundled and one that runs, and messages that are not sent.
async fn store(binary: &Path, to: &Path) -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, binary, &folder, WATCH).await?;
    let mut recording = Recording { lab, ops, bot };
    let evicted = recording.a_storm_that_ends().await?;
    recording.questions(&evicted).await?;
    recording.what_is_left_open().await?;
    recording.keep(to)
}

impl Recording {
    /// A storm of one device, with its verdict, a report of its user, a capture, and its end.
    async fn a_storm_that_ends(&mut self) -> Result<Patient> {
        let patient = Fault::Evict.cause(&self.lab).await?;
        self.storm(|storm| storm["device"] == patient.device.as_str() && !storm["root"].is_null())
            .await?;
        let cases = self.cases()?;
        let user = reports::direct(&self.lab, &patient.user, &self.bot, &[]).await?;
        user.sees_join(&self.bot.user_id, PATIENCE).await?;
        let refusal = reports::refusal(&self.lab, &patient)?;
        let report = reports::report(&patient.user, &patient.device, &refusal);
        user.attach("diag.json", "application/json", report).await?;
        self.case_after(cases).await?;
        self.capture(&patient, 1).await?;
        patient.heal(&self.lab).await?;
        self.storm(|storm| storm["device"] == patient.device.as_str() && !storm["ended"].is_null())
            .await?;
        Ok(patient)
    }

    /// A capture from its start to its bundle.
    async fn capture(&self, patient: &Patient, number: u32) -> Result<()> {
        let cases = self.cases()?;
        let start = format!("!capture start {} {}", patient.user, patient.device);
        let root = self.ops.ask(&start).await?;
        self.ops.thread(&root, PATIENCE).await?;
        self.ops.ask_in_thread(&root, "!capture mark the call dropped").await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.lab.log_written().await?;
        self.ops.ask_in_thread(&root, "!capture stop").await?;
        self.case_after(cases).await?;
        let folder = self.store().join("captures").join(number.to_string());
        self.until("a bundle", || Ok(bundle(&folder)?.is_some())).await
    }

    /// A case of every symptom.
    async fn questions(&self, evicted: &Patient) -> Result<()> {
        let lab = &self.lab;
        let message = self.ops.ask("a message").await?;
        let about = |symptom: &str, patient: &Patient| {
            format!("!{symptom} {} {}", patient.user, patient.device)
        };
        let mut typed = vec![
            about("ke1", evicted),
            about("triage", evicted),
            format!("!ke3 {message}"),
            format!("!ke3 {message} --client-says \"Unable to decrypt\""),
        ];
        for fault in [Fault::Healthy, Fault::Exhaust] {
            typed.push(about("ke1", &fault.cause(lab).await?));
        }
        let dead = Fault::DeadIdentity.cause(lab).await?;
        self.capture(&dead, 2).await?;
        typed.push(about("ke2", &dead));
        typed.push(about("ke2", &Fault::Stale.cause(lab).await?));
        let member = Member::join(lab, "caller", &fresh_address(), 600_000).await?;
        for _ in 0..4 {
            member.act("restart").await?;
        }
        typed.push(format!("!ke4 {}", member.account.user_id));
        typed.push(format!("!ke1 {} NOSUCHDEVICE", member.account.user_id));
        typed.push("!fleet".to_owned());
        lab.log_written().await?;
        for line in typed {
            let cases = self.cases()?;
            self.ops.ask(&line).await?;
            if self.case_after(cases).await.is_err() {
                println!("no case: {line}");
            }
        }
        Ok(())
    }

    /// A storm that is muted and ongoing, one that ends while the homeserver is away, so that a message is due, and a
    /// capture that runs.
    async fn what_is_left_open(&mut self) -> Result<()> {
        let config = self.bot.config_path().display().to_string();
        let ongoing = Fault::TwoClients.cause(&self.lab).await?;
        self.storm(|storm| storm["device"] == ongoing.device.as_str()).await?;
        self.bot.command(&["mute", &ongoing.user, "30d", "--config", &config])?;
        self.bot.command(&["mute", "1", "29d", "--config", &config])?;
        let mut over = Fault::Evict.cause(&self.lab).await?;
        let device = over.device.clone();
        self.storm(|storm| storm["device"] == device.as_str() && !storm["root"].is_null()).await?;
        let root = self.ops.ask(&format!("!capture start {} {device}", over.user)).await?;
        self.ops.thread(&root, PATIENCE).await?;
        over.rest();
        tokio::time::sleep(Duration::from_secs(6)).await;
        self.lab.stop_synapse().await?;
        self.storm(|storm| storm["device"] == device.as_str() && !storm["ended"].is_null()).await?;
        self.bot.kill()
    }

    /// What of the store belongs to everybody: no session, no keys of the bot's own account.
    fn keep(&self, to: &Path) -> Result<()> {
        let _ = fs::remove_dir_all(to);
        fs::create_dir_all(to)?;
        let ledger = rusqlite::Connection::open(self.store().join("ledger.sqlite"))?;
        ledger.execute_batch(
            "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA journal_mode = DELETE;",
        )?;
        drop(ledger);
        for name in ["ledger.sqlite", "handled"] {
            let from = self.store().join(name);
            if from.exists() {
                fs::copy(from, to.join(name))?;
            }
        }
        for capture in fs::read_dir(self.store().join("captures"))? {
            let capture = capture?;
            let to = to.join("captures").join(capture.file_name());
            fs::create_dir_all(&to)?;
            for file in fs::read_dir(capture.path())? {
                let file = file?;
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
        Ok(())
    }

    fn store(&self) -> PathBuf {
        self.bot.store()
    }

    fn listed(&self, what: &str) -> Result<Vec<Value>> {
        let config = self.bot.config_path().display().to_string();
        let text = self.bot.command(&[what, "--format", "json", "--config", &config])?;
        let listed: Value = serde_json::from_str(&text)?;
        Ok(listed[what].as_array().cloned().unwrap_or_default())
    }

    fn cases(&self) -> Result<usize> {
        let newest = self.listed("cases")?;
        let number = newest.first().and_then(|case| case["case"].as_u64()).unwrap_or(0);
        Ok(usize::try_from(number)?)
    }

    async fn case_after(&self, known: usize) -> Result<()> {
        self.until("a case", || Ok(self.cases()? > known)).await
    }

    async fn storm(&self, is: impl Fn(&Value) -> bool) -> Result<()> {
        self.until("a storm", || Ok(self.listed("storms")?.iter().any(&is))).await
    }

    async fn until(&self, what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds()? {
            ensure!(Instant::now() < deadline, "{what} did not come: {}", self.bot.last_words());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }
}

fn bundle(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "zip") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// `triage --save` of devices over a JSON log, which proves more than a text log.
async fn saved_cases(binary: &Path, to: &Path) -> Result<()> {
    let synapse_version = crate::verdicts::NEWEST.to_owned();
    let log_format = LogFormat::Terse;
    let options = LabOptions { synapse_version, log_format, ..LabOptions::default() };
    let lab = crate::verdicts::lab_with_role(options).await?;
    fs::create_dir_all(to)?;
    let save = |name: &str, asked: &[&str]| save(binary, &lab, &to.join(name), asked);
    let mut patients = Vec::new();
    for (name, symptom, fault) in [
        ("cured.json", "ke1", Fault::Cured),
        ("evicted.json", "ke1", Fault::Evict),
        ("rolled-back.json", "ke1", Fault::Rollback),
        ("two-clients.json", "ke1", Fault::TwoClients),
        ("logged-out.json", "ke2", Fault::Stale),
    ] {
        let mut patient = fault.cause(&lab).await?;
        save(name, &[symptom, &patient.user, &patient.device])?;
        patient.rest();
        patients.push(patient);
    }
    let gone = patients.last().context("nobody")?;
    save("logged-out-keys.json", &["ke1", &gone.user, &gone.device])?;
    let once = crafted::refused_once(&lab).await?;
    let ever_new = crafted::ever_new_ids(&lab).await?;
    for (name, (user, device)) in [
        ("race.json", crafted::race(&lab).await?),
        ("unsigned.json", crafted::unsigned(&lab).await?),
        ("refused-once-unsigned.json", crafted::refused_once_unsigned(&lab).await?),
        ("ever-new-ids.json", ever_new.clone()),
        ("libolm-two-clients.json", crafted::libolm_two_clients(&lab).await?),
        ("refused-once.json", once.clone()),
    ] {
        lab.log_written().await?;
        save(name, &["ke1", &user, &device])?;
    }
    save("restarts-refused.json", &["ke4", &refused_restarts(&lab).await?])?;
    save("survey.json", &["fleet"])?;
    lab.stop_synapse().await?;
    tokio::time::sleep(UNREAD).await;
    save("refused-once-and-the-log-ends.json", &["ke1", &once.0, &once.1])?;
    save("ever-new-ids-and-the-log-ends.json", &["ke1", &ever_new.0, &ever_new.1])?;
    save("survey-of-a-log-that-ends.json", &["fleet"])
}

/// A call whose member's token ends in the middle: the user.
async fn refused_restarts(lab: &Lab) -> Result<String> {
    let mut member = Member::join(lab, "caller", &fresh_address(), 600_000).await?;
    for _ in 0..2 {
        ensure!(member.act("restart").await? == 200);
    }
    let user = member.account.user_id.clone();
    member.account.access_token = "ended".into();
    let member = member.authenticate();
    for _ in 0..4 {
        ensure!(member.act("restart").await? == 401);
    }
    lab.log_written().await?;
    Ok(user)
}

fn save(binary: &Path, lab: &Lab, file: &Path, asked: &[&str]) -> Result<()> {
    let database = format!("{}?sslmode=disable", lab.database_url_as(crate::verdicts::ROLE));
    let said = Command::new(binary)
        .arg("triage")
        .args(asked)
        .arg("--log")
        .arg(lab.log_path())
        .args(["--database", &database, "--format", "json", "--save"])
        .arg(file)
        .output()?;
    if !file.exists() {
        bail!("{asked:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
    let answer: Value = serde_json::from_slice(&said.stdout)?;
    println!("{}: {} {}", file.display(), answer["verdict"]["id"], answer["verdict"]["certainty"]);
    Ok(())
}
