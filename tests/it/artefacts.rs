//! Real clients with real faults → the files that their users could send, read by the program: the server's
//! verdict alone beside the verdict with each file, in a table. A file never makes a verdict less sure and
//! never turns it.
//!
//! `KESTREL_KEEP=FOLDER` keeps the files, each under the name of its scenario.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kestrel::evidence::artefact::{self, Limits};
use kestrel::evidence::client::Sign;
use kestrel::evidence::{ClientFacts, Subject};
use kestrel_lab::jsdk::{Artefacts, Host};
use kestrel_lab::{Account, Lab, Patient, artefacts};
use serde_json::Value;

use crate::terminal::kestrel;
use crate::verdicts::{ROLE, lab_with_role};

/// One fault, who has it, and what its client left.
struct Told {
    name: &'static str,
    symptom: &'static str,
    user: String,
    /// None for a symptom that knows no devices.
    device: Option<String>,
    files: Vec<(&'static str, PathBuf)>,
}

/// What a run of the program came to.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    verdict: String,
    certainty: String,
}

impl Told {
    fn of(name: &'static str, symptom: &'static str, account: &Account, files: &Artefacts) -> Self {
        let mut named = vec![
            ("report", files.report.clone()),
            ("console", files.console.clone()),
            ("rageshake", files.rageshake.clone()),
        ];
        named.extend(files.har.clone().map(|har| ("har", har)));
        let device = (symptom != "ke4").then(|| account.device_id.clone());
        Self { name, symptom, user: account.user_id.clone(), device, files: named }
    }

    fn native(name: &'static str, symptom: &'static str, patient: &Patient, log: PathBuf) -> Self {
        let device = Some(patient.device.clone());
        Self { name, symptom, user: patient.user.clone(), device, files: vec![("rust-sdk", log)] }
    }

    fn judge(&self, server: &[&str], file: Option<(&str, &Path)>) -> Result<Judged> {
        let mut words = vec!["triage", self.symptom, &self.user];
        words.extend(self.device.as_deref());
        words.extend(server);
        words.extend(["--format", "json"]);
        let path = file.map(|(_, path)| path.to_string_lossy());
        if let (Some((kind, _)), Some(path)) = (file, &path) {
            words.extend([if kind == "har" { "--har" } else { "--report" }, path]);
        }
        let ended = kestrel(&words);
        let said = || String::from_utf8_lossy(&ended.stderr).into_owned();
        let judged: Value = serde_json::from_slice(&ended.stdout)
            .with_context(|| format!("{} {file:?}: {}", self.name, said()))?;
        let text = |name: &str| judged["verdict"][name].as_str().map(str::to_owned);
        let (verdict, certainty) = text("id").zip(text("certainty")).context("no verdict")?;
        Ok(Judged { verdict, certainty })
    }

    /// Judges by the server alone and with each file, prints the rows, and compares.
    fn compare(&self, server: &[&str], of: &str) -> Result<Vec<Judged>> {
        let alone = self.judge(server, None)?;
        let mut all = Vec::new();
        for (kind, path) in &self.files {
            let with = self.judge(server, Some((kind, path)))?;
            println!(
                "{:<16} {of:<9} {kind:<10} {:<22} {:<20} → {:<22} {}",
                self.name, alone.verdict, alone.certainty, with.verdict, with.certainty
            );
            assert!(with.sure() >= alone.sure(), "{} {kind}: {alone:?} {with:?}", self.name);
            let same = with.verdict == alone.verdict || alone.verdict == "inconclusive";
            assert!(same, "{} {kind} turns the verdict: {alone:?} {with:?}", self.name);
            all.push(with);
        }
        Ok(all)
    }

    /// What the reader makes of a file, with nothing secret left in what is kept.
    fn read(&self, path: &Path, secrets: &[&str]) -> Result<ClientFacts> {
        let name = path.file_name().context("no name")?.to_string_lossy();
        let parcel = artefact::take_in(&name, &fs::read(path)?, &Limits::default());
        let parcel = parcel.map_err(|why| anyhow::anyhow!("{} {name}: {why}", self.name))?;
        let [one] = &parcel.artefacts[..] else { anyhow::bail!("{name}: not one artefact") };
        for secret in secrets {
            assert!(!one.text.contains(secret), "{} {name} keeps a secret", self.name);
        }
        Ok(one.facts.clone())
    }
}

impl Judged {
    fn sure(&self) -> usize {
        let ranks = ["not-enough-evidence", "consistent", "proven"];
        ranks.iter().position(|rank| *rank == self.certainty).unwrap_or_default()
    }
}

fn keep(all: &[Told]) -> Result<()> {
    let Some(folder) = std::env::var_os("KESTREL_KEEP").map(PathBuf::from) else {
        return Ok(());
    };
    for told in all {
        for (kind, path) in &told.files {
            let folder = folder.join(told.name);
            fs::create_dir_all(&folder)?;
            fs::copy(path, folder.join(kind))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_clients_file_is_understood_and_never_turns_a_verdict() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let (node, browser, dead, slow, evicted, rolled, astray) = tokio::try_join!(
        artefacts::evicted(&lab, Host::Node),
        artefacts::evicted(&lab, Host::Browser),
        artefacts::dead_identity(&lab, Host::Browser),
        artefacts::slow_restart(&lab, Host::Browser),
        artefacts::evicted_native(&lab),
        artefacts::rolled_back_native(&lab),
        artefacts::dead_identity_native(&lab),
    )?;
    let all = [
        Told::of("eviction-node", "ke1", &node.0.account, &node.1),
        Told::of("eviction", "ke1", &browser.0.account, &browser.1),
        Told::of("dead-identity", "ke2", &dead.0.account, &dead.1),
        Told::of("slow-restart", "ke4", &slow.0, &slow.1),
        Told::native("eviction-native", "ke1", &evicted.0, evicted.1),
        Told::native("rollback", "ke1", &rolled.0, rolled.1),
        Told::native("dead-native", "ke2", &astray.0, astray.1),
    ];
    keep(&all)?;
    let (log, database) = (lab.log_path().to_string_lossy(), lab.database_url_as(ROLE));
    println!("scenario         server    file       server alone → with the file");
    for told in &all {
        told.compare(&["--log", &log, "--database", &database], "log + db")?;
        told.compare(&["--database", &database], "db")?;
    }
    Ok(())
}
