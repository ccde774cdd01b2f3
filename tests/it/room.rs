//! The whole thing, as an admin lives it: an encrypted ops room, the real program as a process of its
//! own, a real storm, and the thread as the admin's client decrypts it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kestrel::diagnose::{VerdictId, diagnose};
use kestrel::evidence::Evidence;
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Lab, LabOptions, faults};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(40);
/// Long enough for an answer that should not come.
const SILENCE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_storm_is_explained_in_an_encrypted_room() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let patient = faults::evict(&lab).await?;

    let start = Instant::now();
    let question = format!("!ke1 {} {}", patient.user, patient.device);
    let asked = ops.ask(&question).await?;
    let thread = ops.thread(&asked, PATIENCE).await?;
    let answer = thread.iter().find(|m| m.kind == "m.notice").with_context(|| bot.last_words())?;
    println!("evict, end to end: {:.1} s\n{}", start.elapsed().as_secs_f32(), answer.plain);
    let first = answer.plain.lines().next().unwrap_or_default();
    assert!(first.starts_with("KE-1 · proven"), "{first}");
    assert!(first.contains(&patient.user) && first.contains(&patient.device), "{first}");
    assert!(answer.plain.lines().count() <= 12, "too long for a phone:\n{}", answer.plain);
    assert!(answer.plain.contains("refusals of signed_curve25519:"), "{}", answer.plain);
    assert!(answer.plain.contains("Cost: that device only"), "{}", answer.plain);
    assert_eq!(answer.sender, bot.user_id);

    let file = thread.iter().find(|m| m.attachment_name.as_deref() == Some("evidence.json"));
    let bytes = ops.download(file.context("no evidence.json in the thread")?).await?;
    let evidence: Evidence = serde_json::from_slice(&bytes)?;
    assert_eq!(diagnose(&evidence).id, VerdictId::OtkRecreated);

    let before = thread.len();
    ops.ask_in_thread(&asked, "!why").await?;
    let thread = longer(&ops, &asked, before + 2).await?;
    let why = thread.last().context("no answer to !why")?;
    assert!(why.plain.contains("SELECT algorithm, key_id"), "{}", why.plain);
    assert!(why.plain.contains("Was the encryption account made anew"), "{}", why.plain);

    strangers_are_told_once(&lab, &ops).await?;
    a_second_process_is_refused(&bot)?;
    bot.stop();
    bot.run()?;
    let again = ops.ask("!help").await?;
    let help = ops.thread(&again, PATIENCE).await?;
    assert!(help.iter().any(|m| m.plain.contains("!ke1 @user:server DEVICE")), "{help:?}");
    let unchanged = ops.thread(&asked, SILENCE).await?;
    assert_eq!(unchanged.len(), thread.len(), "a command was answered twice");
    Ok(())
}

async fn longer(ops: &OpsRoom, root: &ruma::EventId, count: usize) -> Result<Vec<Message>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = ops.thread(root, PATIENCE).await?;
        if thread.len() >= count || Instant::now() > deadline {
            return Ok(thread);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn strangers_are_told_once(lab: &Lab, ops: &OpsRoom) -> Result<()> {
    let stranger = ops.bring(lab, "stranger").await?;
    let asked = stranger.ask("!help").await?;
    let told = stranger.thread(&asked, PATIENCE).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].plain.contains("administrators only"), "{}", told[0].plain);
    let again = stranger.ask("!help").await?;
    assert!(stranger.thread(&again, SILENCE).await?.is_empty(), "told twice within the hour");
    Ok(())
}

fn a_second_process_is_refused(bot: &Bot) -> Result<()> {
    let config = bot.config_path();
    let second = Command::new(KESTREL).args(["run", "--config"]).arg(config).output()?;
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "a second process started");
    assert!(
        words.contains("another Kestrel holds the store") && words.contains("pid "),
        "it does not say who holds the store: {words}"
    );
    Ok(())
}
