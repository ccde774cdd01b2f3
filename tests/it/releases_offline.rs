//! What earlier versions wrote → the same answers from today's program, without any server.
//!
//! A folder under `tests/fixtures/written-by/` was written by the version that it is named for: a store in the middle
//! of its work, bundles, and saved evidence. `answers.json` in it is what that version said of them, and of the cases
//! that `tests/cases` held then. `record_a_release` makes such a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use kestrel::collect::logs::follow::Position;
use kestrel::store::Store;
use kestrel_core::capture::Session;
use kestrel_core::evidence::ClientFacts;
use kestrel_core::evidence::to_device::Inbox;
use kestrel_core::storm::StormWatch;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipArchive;

/// Where the folders are.
pub const FIXTURES: &str = "tests/fixtures/written-by";
const CASES: &str = "tests/cases";
const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
/// In microseconds: no mute of the copy ends before the year 2100.
const FAR: i64 = 4_102_444_800_000_000;

/// A verdict that is another one today.
struct Changed {
    release: &'static str,
    name: &'static str,
    was: &'static str,
    is: &'static str,
    rule: &'static str,
}

/// The verdicts that a new rule changed. A rule that needs a fact that the release did not save changes none.
const CHANGED: &[Changed] = &[
    Changed {
        release: "0.1.0-d81097d",
        name: "cured.json",
        was: "otk-diverged, proven",
        is: "otk-healthy, consistent",
        rule: "Neither key belongs to the device's present identity, which is newer: the rejections are history.",
    },
    Changed {
        release: "0.1.0-d81097d",
        name: "refused-once-and-the-log-ends.json",
        was: "otk-race, consistent",
        is: "otk-same-account, consistent",
        rule: "Quiet is counted to the newest line of the log, and this log ends too soon.",
    },
    Changed {
        release: "0.1.0-d81097d",
        name: "ever-new-ids-and-the-log-ends.json",
        was: "otk-race, consistent",
        is: "otk-rolled-back, consistent",
        rule: "Three rejected uploads of a device within ten minutes are no race, whichever key IDs they name.",
    },
    Changed {
        release: "0.1.0-d81097d",
        name: "refused-once-unsigned.json",
        was: "otk-diverged, proven",
        is: "otk-diverged, consistent",
        rule: "A single rejected upload proves nothing where the log ends too soon to show quiet.",
    },
    Changed {
        release: "0.1.0-d81097d",
        name: "restarts-refused.json",
        was: "delay-healthy, consistent",
        is: "inconclusive, not-enough-evidence",
        rule: "A restart that is answered with 401 or 503 did not restart the delayed event.",
    },
    Changed {
        release: "0.1.0-d81097d",
        name: "survey-of-a-log-that-ends.json",
        was: "survey, consistent; conflict, ended: 6; dead-identity, ended: 1; keyless, ended: 3",
        is: "survey, consistent; conflict, ongoing: 6; dead-identity, ended: 1; keyless, ended: 3",
        rule: "Quiet is counted to the newest line of the log.",
    },
];

/// Everything that a version says about a release's folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// `kestrel cases`.
    cases: Value,
    /// `kestrel storms`, without when mutes end.
    storms: Value,
    /// `kestrel replay` of each file, and of each case in the ledger.
    replayed: BTreeMap<String, Replayed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replayed {
    exit: Option<i32>,
    /// A line: the verdict and its certainty. Then the branches of a chain, or the devices of a survey.
    says: Vec<String>,
    /// Of a case in `tests/cases`: which evidence it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// Asks a build about a release's folder and about these cases of `tests/cases`.
pub fn ask_everything(binary: &Path, folder: &Path, cases: &[String]) -> Result<Answers> {
    let copy = Copy::of(folder)?;
    let mut replayed = BTreeMap::new();
    for (name, file) in copy.files()? {
        replayed.insert(name, replay(binary, &file)?);
    }
    for case in cases {
        let (file, sha256) = evidence_of(folder, case)?;
        let said = Replayed { sha256: Some(sha256), ..replay(binary, &file)? };
        replayed.insert(format!("{CASES}/{case}"), said);
    }
    let cases = listed(binary, &copy, "cases")?;
    let mut storms = listed(binary, &copy, "storms")?;
    forget_ends_of_mutes(&mut storms);
    Ok(Answers { cases, storms, replayed })
}

#[test]
fn every_release_is_answered_as_it_was() {
    let mut wrong = Vec::new();
    for (release, folder) in releases() {
        let then = answers(&folder);
        let cases: Vec<_> =
            then.replayed.keys().filter_map(|name| name.strip_prefix(CASES)).collect();
        let cases: Vec<_> = cases.iter().map(|name| name.trim_matches('/').to_owned()).collect();
        let now = ask_everything(Path::new(KESTREL), &folder, &cases).expect("an answer");
        assert_eq!(now.cases, then.cases, "{release}: the list of cases");
        assert_eq!(now.storms, then.storms, "{release}: the list of storms");
        for (name, was) in &then.replayed {
            let is = now.replayed.get(name).unwrap_or_else(|| panic!("{release}: no {name}"));
            assert_eq!(is.sha256, was.sha256, "{}", recorded_anew(&folder, name));
            wrong.extend(difference(&release, name, was, is));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table has no line that is not so any more.
#[test]
fn every_changed_verdict_is_one() {
    for changed in CHANGED {
        let then = answers(&crate::tree().join(FIXTURES).join(changed.release));
        let was = then.replayed.get(changed.name).map(|was| was.says.join("; "));
        assert_eq!(was.as_deref(), Some(changed.was), "{}", changed.name);
        assert_ne!(changed.was, changed.is, "{}", changed.name);
        assert!(!changed.rule.is_empty(), "{}", changed.name);
    }
}

/// What the bot reads at its start: where it left each log, the storms that it counts, messages that are not sent,
/// events that are answered, and captures.
#[test]
fn the_bot_takes_up_what_a_release_left() {
    for (release, folder) in releases() {
        let copy = Copy::of(&folder).expect("a copy");
        let rows = Connection::open(copy.store().join("ledger.sqlite")).expect("a database");
        let count =
            |sql: &str| rows.query_row(sql, [], |row| row.get::<_, usize>(0)).expect("a count");
        let owed = count("SELECT count(*) FROM owed");
        let mutes = count("SELECT count(*) FROM mute");
        let handled = fs::read_to_string(copy.store().join("handled")).unwrap_or_default();
        drop(rows);
        let store = Store::open(&copy.store(), Timestamp::now()).expect("it opens");
        let ledger = store.ledger();
        assert_eq!(ledger.owed().expect("owed").len(), owed, "{release}: a message is passed over");
        assert_eq!(ledger.mutes(Timestamp::now()).expect("mutes").len(), mutes, "{release}");
        let watch = ledger.watch().expect("a state").expect("the watch ran");
        serde_json::from_str::<StormWatch>(&watch).unwrap_or_else(|e| panic!("{release}: {e}"));
        for (source, place) in ledger.places().expect("places") {
            serde_json::from_str::<Position>(&place).unwrap_or_else(|e| panic!("{source}: {e}"));
        }
        let going_on = ledger.captures_going_on().expect("captures");
        assert_eq!(going_on.len(), 1, "{release}");
        for capture in &going_on {
            serde_json::from_str::<Session>(&capture.state).unwrap_or_else(|e| panic!("{e}"));
        }
        if let Some(since) = handled.lines().next().and_then(|line| line.rsplit(' ').next()) {
            assert_eq!(store.since().as_millisecond().to_string(), since, "{release}");
        }
        read_parts_of_captures(&copy);
    }
}

/// `kestrel case` shows each with all behind it.
#[test]
fn every_case_of_a_release_can_be_shown() {
    for (release, folder) in releases() {
        let copy = Copy::of(&folder).expect("a copy");
        let cases = listed(Path::new(KESTREL), &copy, "cases").expect("cases");
        assert_ne!(cases.as_array().map(Vec::len), Some(0), "{release}");
        for case in cases.as_array().into_iter().flatten() {
            for look in [&[][..], &["why"]] {
                let number = case["case"].to_string();
                let mut shown = Command::new(KESTREL);
                shown.args(["case", &number]).args(look).arg("--config").arg(copy.config());
                let shown = shown.output().expect("it runs");
                let text = String::from_utf8_lossy(&shown.stdout);
                assert!(shown.status.success(), "{release}, case {number}: {shown:?}");
                assert!(text.lines().count() > 3, "{release}, case {number}: {text}");
            }
        }
    }
}

/// What is committed was a real store once.
#[test]
fn no_secret_was_recorded() {
    for (_, folder) in releases() {
        for file in files_below(&folder).expect("a folder") {
            let mut texts = vec![fs::read(&file).expect("a file")];
            texts.extend(unpacked(&file));
            for text in texts.iter().map(|bytes| String::from_utf8_lossy(bytes)) {
                let token = ["syt_", "syr_", "syd_"].into_iter().find(|token| text.contains(token));
                let planted = crate::reports::planted_in(&text);
                assert_eq!(token.or(planted), None, "{}", file.display());
            }
        }
        let store = folder.join("store");
        for name in ["session.json", "recovery-key", "matrix"] {
            assert!(!store.join(name).exists(), "{name} was recorded");
        }
    }
}

/// The files of a bundle.
fn unpacked(file: &Path) -> Vec<Vec<u8>> {
    let Ok(mut zip) = ZipArchive::new(fs::File::open(file).expect("a file")) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for at in 0..zip.len() {
        let mut text = Vec::new();
        zip.by_index(at).expect("a file").read_to_end(&mut text).expect("it can be read");
        texts.push(text);
    }
    texts
}

/// What a capture measured before its bundle is made.
fn read_parts_of_captures(copy: &Copy) {
    for file in copy.walk("store/captures").expect("a folder") {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap_or_default();
        if name.starts_with("facts-") {
            serde_json::from_str::<ClientFacts>(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        if name == "inbox.json" && text.trim() != "null" {
            serde_json::from_str::<Inbox>(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

/// A sentence for a verdict that is another one, unless the table says so.
fn difference(release: &str, name: &str, was: &Replayed, is: &Replayed) -> Option<String> {
    let (said, says) = (was.says.join("; "), is.says.join("; "));
    let listed = CHANGED.iter().find(|changed| changed.release == release && changed.name == name);
    if let Some(changed) = listed {
        let as_listed = changed.was == said && changed.is == says;
        return (!as_listed).then(|| format!("{release}, {name}: {said} → {says}, not as listed"));
    }
    let same = said == says && was.exit == is.exit;
    (!same).then(|| {
        format!("{release}, {name}: {said} → {says} (exit {:?} → {:?})", was.exit, is.exit)
    })
}

fn recorded_anew(folder: &Path, name: &str) -> String {
    let case = name.trim_start_matches(CASES).trim_matches('/');
    let folder = folder.display();
    format!(
        "{name} was recorded anew; keep the release's evidence.json as {folder}/cases/{case}.json"
    )
}

/// The folders, by name.
fn releases() -> Vec<(String, PathBuf)> {
    let folder = crate::tree().join(FIXTURES);
    let entries = fs::read_dir(&folder).expect("releases are recorded").flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let named =
        |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    let mut found: Vec<_> = folders.map(named).collect();
    found.sort();
    assert!(!found.is_empty(), "no release is recorded");
    found
}

fn answers(folder: &Path) -> Answers {
    let text = fs::read_to_string(folder.join("answers.json")).expect("answers.json");
    serde_json::from_str(&text).expect("answers")
}

/// The evidence of a case as the release had it, and its digest.
fn evidence_of(folder: &Path, case: &str) -> Result<(PathBuf, String)> {
    let then = folder.join("cases").join(format!("{case}.json"));
    let today = crate::tree().join(CASES).join(case).join("evidence.json");
    let file = if then.exists() { then } else { today };
    let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
    let digest = Sha256::digest(&bytes);
    Ok((file, digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn replay(binary: &Path, file: &Path) -> Result<Replayed> {
    let said = Command::new(binary).arg("replay").arg(file).args(["--format", "json"]).output()?;
    let exit = said.status.code();
    let shown = file.display();
    ensure!(
        exit == Some(0) || exit == Some(3),
        "{shown}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    let answer: Value = serde_json::from_slice(&said.stdout)?;
    Ok(Replayed { exit, says: says(&answer), sha256: None })
}

/// What an answer says, apart from its wording.
fn says(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let ruled = |of: &Value| format!("{}, {}", text(&of["id"]), text(&of["certainty"]));
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let mut says = match answer["verdict"].is_null() {
        true => vec![format!("survey, {}", text(&answer["certainty"]))],
        false => vec![ruled(&answer["verdict"])],
    };
    for branch in list("branches") {
        let place = (text(&branch["place"]), text(&branch["follows"]));
        let ruled = ruled(&branch["verdict"]);
        says.push(format!("{}: {ruled}, {} {}", text(&branch["symptom"]), place.0, place.1));
    }
    says.extend(devices(&list("affected")));
    says
}

/// How many devices a survey names, by cause.
fn devices(affected: &[Value]) -> Vec<String> {
    let mut causes: BTreeMap<String, u64> = BTreeMap::new();
    for figure in affected.iter().filter_map(|of| of["figures"].as_array()).flatten() {
        let when = if figure["goes_on"] == true { "ongoing" } else { "ended" };
        let cause = figure["cause"].as_str().unwrap_or("-");
        *causes.entry(format!("{cause}, {when}")).or_default() += 1;
    }
    causes.iter().map(|(cause, count)| format!("{cause}: {count}")).collect()
}

fn listed(binary: &Path, copy: &Copy, what: &str) -> Result<Value> {
    let said = Command::new(binary)
        .args([what, "--format", "json", "--config"])
        .arg(copy.config())
        .output()?;
    if !said.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(serde_json::from_slice::<Value>(&said.stdout)?[what].take())
}

/// A mute of the copy ends at another time than that of the store.
fn forget_ends_of_mutes(storms: &mut Value) {
    for storm in storms.as_array_mut().into_iter().flatten() {
        let muted = !storm["muted_until"].is_null();
        storm["muted_until"] = json!(muted);
    }
}

/// A copy of a release's store: opening it changes it.
struct Copy {
    folder: TempDir,
    saved: PathBuf,
}

impl Copy {
    fn of(release: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let copy = Self { folder, saved: release.join("saved") };
        let from = release.join("store");
        for file in files_below(&from)? {
            let to = copy.store().join(file.strip_prefix(&from)?);
            fs::create_dir_all(to.parent().context("a folder")?)?;
            fs::copy(&file, &to)?;
        }
        let ledger = Connection::open(copy.store().join("ledger.sqlite"))?;
        ledger.execute("UPDATE mute SET until = ?1", [FAR])?;
        fs::write(
            copy.config(),
            "store = \"store\"\n\
             [matrix]\nhomeserver = \"http://127.0.0.1:1\"\nuser = \"@kestrel:lab.local\"\n\
             rooms = [\"!ops:lab.local\"]\nadmins = [\"@admin:lab.local\"]\n\
             [server]\nname = \"lab.local\"\n\
             [[logs]]\nname = \"main\"\npath = \"homeserver.log\"\n",
        )?;
        Ok(copy)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn walk(&self, below: &str) -> Result<Vec<PathBuf>> {
        files_below(&self.folder.path().join(below))
    }

    /// What can be replayed, by name: saved evidence, bundles, and each case's evidence out of the ledger.
    fn files(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        let bundles = self.walk("store/captures")?.into_iter();
        let bundles = bundles.filter(|file| file.extension().is_some_and(|is| is == "zip"));
        for file in files_below(&self.saved)?.into_iter().chain(bundles) {
            let name = file.file_name().context("a name")?.to_string_lossy().into_owned();
            files.push((name, file));
        }
        let ledger = Connection::open(self.store().join("ledger.sqlite"))?;
        let mut query = ledger.prepare("SELECT number, evidence FROM kase ORDER BY number")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (number, evidence): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let file = self.folder.path().join(format!("case-{number}.json"));
            fs::write(&file, evidence)?;
            files.push((format!("case {number}"), file));
        }
        Ok(files)
    }
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
