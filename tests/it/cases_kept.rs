//! Cases as an admin lives with them: numbered in the encrypted room, listed, asked again after the fault
//! was healed, and deleted from every file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kestrel_core::render::LINES;
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Fault, Lab, LabOptions, Patient};

use crate::room::{PATIENCE, longer};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_case_is_kept_compared_and_really_deleted() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    // The storm watch would name the patient in its own tables.
    let watchless = "[watch]\nenabled = false\n";
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, watchless).await?;
    let patient = Fault::Evict.cause(&lab).await?;
    let question = format!("!ke1 {} {}", patient.user, patient.device);
    let first = ops.ask(&question).await?;
    for (number, root) in [(1, first.clone()), (2, ops.ask(&question).await?)] {
        let thread = longer(&ops, &root, 2).await?;
        let answer = thread.last().with_context(|| bot.last_words())?;
        let last = answer.plain.lines().last().unwrap_or_default();
        assert!(answer.plain.lines().count() <= LINES, "{}", answer.plain);
        assert!(last.ends_with(&format!("Case {number} · !case {number} again")), "{last}");
    }
    let list = said(&ops, "!cases").await?;
    let numbers: Vec<_> = list.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(numbers, ["2", "1"], "{list}");
    assert!(list.contains(&patient.user) && list.contains("otk-recreated, proven"), "{list}");
    assert!(said(&ops, "!cases @nobody").await?.starts_with("There is no case about @nobody:"));

    changes_are_told(&lab, &ops, &patient, &first).await?;
    let page = said(&ops, "!case 1").await?;
    assert!(page.starts_with("🔴 Case 1 · answered 20"), "{page}");
    assert!(page.contains("Proven · KE-1") && page.lines().count() <= LINES, "{page}");
    assert!(said(&ops, "!case 1 why").await?.contains("SELECT algorithm, key_id"));
    the_terminal_says_the_same(&bot, &patient)?;

    let before = naming(&folder.join("store"), &patient.user)?;
    assert!(!before.is_empty(), "the evidence is nowhere: the search below would prove nothing");
    for number in [1, 2] {
        let gone = said(&ops, &format!("!case {number} delete")).await?;
        assert!(gone.starts_with(&format!("Case {number} and its evidence are deleted")), "{gone}");
    }
    let config = bot.config_path().display().to_string();
    let gone = bot.command(&["case", "3", "delete", "--config", &config])?;
    assert!(gone.starts_with("Case 3 and its evidence are deleted"), "{gone}");
    for name in [&patient.user, &patient.device] {
        let left = naming(&folder.join("store"), name)?;
        assert!(left.is_empty(), "{name} is still named in {left:?}");
    }
    assert!(said(&ops, "!case 1").await?.starts_with("There is no case 1."));
    assert_eq!(said(&ops, "!cases").await?, "There are no cases.");
    // The thread stands and its case is gone; a new question gets a new number.
    ops.ask_in_thread(&first, "!why").await?;
    let next = ops.ask(&question).await?;
    let thread = longer(&ops, &next, 2).await?;
    assert!(thread.last().is_some_and(|answer| answer.plain.contains("Case 4 · ")), "{thread:?}");
    let thread = ops.thread(&first, PATIENCE).await?;
    assert!(
        thread.iter().any(|said| said.plain.starts_with("There is no case in this thread")),
        "{thread:?}"
    );
    Ok(())
}

/// Asked anew in the case's own thread: first what changed, then the answer under a number of its own.
async fn changes_are_told(
    lab: &Lab,
    ops: &OpsRoom,
    patient: &Patient,
    first: &ruma::EventId,
) -> Result<()> {
    patient.heal(lab).await?;
    lab.log_written().await?;
    let before = ops.thread(first, PATIENCE).await?.len();
    ops.ask("!case 1 again").await?;
    // What changed, the evidence, the answer.
    let thread = longer(ops, first, before + 3).await?;
    let news: Vec<&Message> = thread.iter().skip(before).collect();
    let changes = &news.first().context("nothing was said")?.plain;
    println!("{changes}");
    assert!(changes.starts_with("Since case 1 ("), "{changes}");
    assert!(changes.contains("rejected uploads in the log window: were "), "{changes}");
    assert!(changes.contains("of which 50 are new"), "{changes}");
    assert!(changes.contains("the conflicting key is gone"), "{changes}");
    let answer = &news.last().context("no answer")?.plain;
    assert!(answer.contains("Case 3 · ") && answer.contains(" · KE-1 · "), "{answer}");
    Ok(())
}

fn the_terminal_says_the_same(bot: &Bot, patient: &Patient) -> Result<()> {
    let config = bot.config_path().display().to_string();
    let list = bot.command(&["cases", "--user", &patient.user, "--config", &config])?;
    assert_eq!(list.lines().count(), 3, "{list}");
    let page = bot.command(&["case", "1", "--config", &config])?;
    assert!(page.starts_with("🔴 Case 1 · answered ") && page.contains("Proven · KE-1"), "{page}");
    let why = bot.command(&["case", "1", "why", "--config", &config])?;
    assert!(why.contains("SELECT algorithm, key_id"), "{why}");
    let json = bot.command(&["cases", "--format", "json", "--config", &config])?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!(json["cases"][2]["case"], 1);
    assert_eq!(json["cases"][2]["subject"]["user"], patient.user.as_str());
    Ok(())
}

/// The answer to a line of its own.
async fn said(ops: &OpsRoom, line: &str) -> Result<String> {
    let asked = ops.ask(line).await?;
    let thread = ops.thread(&asked, PATIENCE).await?;
    let notice = thread.iter().find(|message| message.kind == "m.notice");
    Ok(notice.with_context(|| format!("no answer to {line}"))?.plain.clone())
}

/// The files below a folder that hold a name anywhere; the Matrix client's own are its own.
fn naming(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("matrix") => {}
            true => found.extend(naming(&path, name)?),
            false => {
                let bytes = fs::read(&path)?;
                if bytes.windows(name.len()).any(|window| window == name.as_bytes()) {
                    found.push(path);
                }
            }
        }
    }
    Ok(found)
}
