//! Real clients with real faults → the files that their users could send, read by the program: the server's
//! verdict alone beside the verdict with each file, in a table. A file never makes a verdict less sure and
//! never turns it.
//!
//! `KESTREL_KEEP=FOLDER` keeps the files, each under the name of its scenario, and the evidence of each row.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kestrel_core::client_files;
use kestrel_core::evidence::ClientFacts;
use kestrel_core::evidence::client::Sign;
use kestrel_core::evidence::client_file::Limits;
use kestrel_lab::jsdk::{Artefacts, Host};
use kestrel_lab::{Account, Patient, artefacts};
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
#[derive(Debug)]
struct Judged {
    verdict: String,
    certainty: String,
    /// Each question with its answer, and what was missing: why a row is as it is.
    whole: String,
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

    fn judge(&self, of: &str, server: &[&str], file: Option<(&str, &Path)>) -> Result<Judged> {
        let mut words = vec!["triage", self.symptom, &self.user];
        words.extend(self.device.as_deref());
        words.extend(server);
        words.extend(["--format", "json"]);
        let folder = std::env::var_os("KESTREL_KEEP").map(|keep| Path::new(&keep).join(self.name));
        let saved = folder.map(|folder| {
            let kind = file.map_or("alone", |(kind, _)| kind);
            folder.join(format!("{}-{kind}.evidence.json", of.replace(' ', "")))
        });
        let saved = saved.as_ref().map(|saved| saved.to_string_lossy());
        words.extend(saved.iter().flat_map(|saved| ["--save", saved]));
        let path = file.map(|(_, path)| path.to_string_lossy());
        if let (Some((kind, _)), Some(path)) = (file, &path) {
            words.extend([if kind == "har" { "--har" } else { "--report" }, path]);
        }
        let ended = kestrel(&words);
        let said = || String::from_utf8_lossy(&ended.stderr).into_owned();
        let judged: Value = serde_json::from_slice(&ended.stdout)
            .with_context(|| format!("{} {of} {file:?}: {}", self.name, said()))?;
        let text = |name: &str| judged["verdict"][name].as_str().map(str::to_owned);
        let (verdict, certainty) = text("id").zip(text("certainty")).context("no verdict")?;
        let whole = format!("{} missing: {}", judged["path"], judged["missing"]);
        Ok(Judged { verdict, certainty, whole })
    }

    /// Judges by the server alone and with each file, prints the rows, and compares.
    fn compare(&self, server: &[&str], of: &str) -> Result<Vec<Judged>> {
        let alone = self.judge(of, server, None)?;
        let mut all = Vec::new();
        for (kind, path) in &self.files {
            let with = self.judge(of, server, Some((kind, path)))?;
            println!(
                "{:<16} {of:<9} {kind:<10} {:<22} {:<20} → {:<22} {}",
                self.name, alone.verdict, alone.certainty, with.verdict, with.certainty
            );
            assert!(with.sure() >= alone.sure(), "{} {kind}: {alone:?} {with:?}", self.name);
            let same = with.verdict == alone.verdict || alone.verdict == "inconclusive";
            assert!(same, "{} {kind} turns the verdict: {alone:?} {with:?}", self.name);
            self.assert_better(kind, of, &alone, &with);
            all.push(with);
        }
        Ok(all)
    }

    /// The files that have to tell more than the server alone does.
    fn assert_better(&self, kind: &str, of: &str, alone: &Judged, with: &Judged) {
        let better = BETTER
            .iter()
            .find(|(name, file, server, _)| (*name, *file, *server) == (self.name, kind, of));
        if let Some((.., verdict)) = better {
            let told = format!("{} {of} {kind}: {alone:?} {with:?}\n{}", self.name, with.whole);
            assert_eq!((&*with.verdict, &*with.certainty), (*verdict, "consistent"), "{told}");
            assert!(with.sure() > alone.sure(), "{told}");
        }
    }

    /// What the reader makes of each file; prints it, and nothing secret is left in what is kept.
    fn understood(&self, token: &str) -> Result<Vec<(&'static str, ClientFacts)>> {
        let read = |(kind, path): &(&'static str, PathBuf)| {
            let name = path.file_name().context("no name")?.to_string_lossy();
            let parcel = client_files::take_in(&name, &fs::read(path)?, &Limits::default());
            let parcel = parcel.map_err(|why| anyhow::anyhow!("{} {name}: {why}", self.name))?;
            let [one] = &parcel.artefacts[..] else { anyhow::bail!("{name}: not one artefact") };
            assert!(!one.text.contains(token), "{} {kind} keeps a token", self.name);
            assert!(!one.text.contains("syd_"), "{} {kind} keeps a delay id", self.name);
            let (facts, removed) = (&one.facts, one.removed.summary());
            println!("{:<16} {kind:<10} {} | removed: {removed}", self.name, facts.summary());
            Ok((*kind, facts.clone()))
        };
        self.files.iter().map(read).collect()
    }

    /// A file names its user and device where that kind of file can, and it shows the fault.
    fn assert_shown(&self, kind: &str, facts: &ClientFacts) {
        let of = format!("{} {kind}: {facts:#?}", self.name);
        let named = matches!(kind, "report" | "har");
        assert!(!named || facts.user.as_ref() == Some(&self.user), "{of}");
        let Some(device) = &self.device else {
            assert!(facts.count(Sign::DelayTimedOut) > 0, "{of}");
            return;
        };
        assert!(!named || facts.device.as_ref() == Some(device), "{of}");
        assert!(facts.count(Sign::AlreadyExists) > 0 && !facts.refused.is_empty(), "{of}");
        for refusal in &facts.refused {
            let (old, new) = (&refusal.old.head, &refusal.new.head);
            assert!(!old.is_empty() && !new.is_empty() && old != new, "{of}");
        }
        // The card of the runbook knows no words for it, and a HAR no decryption.
        if self.symptom == "ke2" && !named {
            assert!(facts.count(Sign::NoCiphertextForUs) > 0, "{of}");
        }
        // One machine has one clock; a `Date` header has whole seconds.
        if kind == "har" {
            assert!(facts.skew.as_ref().is_some_and(|skew| skew.millis.abs() < 1500), "{of}");
        }
    }
}

/// Scenario, file, what of the server was read, and the verdict that the file makes of "inconclusive".
const BETTER: [(&str, &str, &str, &str); 1] = [("rollback", "rust-sdk", "db", "otk-same-account")];

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
async fn lab_a_real_clients_file_is_understood_and_never_turns_a_verdict() -> Result<()> {
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
    let tokens = [&node.0.account, &browser.0.account, &dead.0.account, &slow.0];
    let tokens =
        tokens.into_iter().chain([&evicted.0.account, &rolled.0.account, &astray.0.account]);
    for (told, account) in all.iter().zip(tokens) {
        for (kind, facts) in told.understood(&account.access_token)? {
            told.assert_shown(kind, &facts);
        }
    }
    // Patient: other servers may be at work on the same machine, and a source that answers late is left out.
    let limits = lab.scratch().join("patient.toml");
    let server = all[0].user.split_once(':').context("no server")?.1;
    fs::write(&limits, format!("[server]\nname = \"{server}\"\n\n[limits]\ndeadline = \"2m\"\n"))?;
    let limits = limits.to_string_lossy();
    let (log, database) = (lab.log_path().to_string_lossy(), lab.database_url_as(ROLE));
    let views: [(&str, &[&str]); 3] = [
        ("log + db", &["-c", &limits, "--log", &log, "--database", &database]),
        ("db", &["-c", &limits, "--database", &database]),
        ("log", &["-c", &limits, "--log", &log]),
    ];
    println!("scenario         server    file       server alone → with the file");
    for told in &all {
        for (of, server) in views {
            told.compare(server, of)?;
        }
    }
    Ok(())
}
