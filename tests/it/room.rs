//! The whole thing, as an admin lives it: an encrypted ops room, the real program as a process of its
//! own, real faults, and the threads as the admin's client decrypts them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use kestrel_core::diagnose::{VerdictId, diagnose};
use kestrel_core::evidence::Evidence;
use kestrel_core::render::LINES;
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Fault, Lab, LabOptions, Patient};
use serde_json::json;

use crate::verdicts::{config, judge};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Long enough for an answer that should not come.
const SILENCE: Duration = Duration::from_secs(6);

/// The certainty and the verdict of each answer.
const FAULTS: [(Fault, &str, VerdictId); 6] = [
    (Fault::Evict, "Proven · KE-1", VerdictId::OtkRecreated),
    (Fault::TwoClients, "Consistent · KE-1", VerdictId::OtkConcurrent),
    (Fault::Rollback, "Consistent · KE-1", VerdictId::OtkRolledBack),
    (Fault::Silent, "Proven · KE-1", VerdictId::OtkRecreated),
    (Fault::Exhaust, "Proven · KE-1", VerdictId::OtkExhausted),
    (Fault::Healthy, "Consistent · KE-1", VerdictId::OtkHealthy),
];

#[tokio::test(flavor = "multi_thread")]
async fn lab_every_fault_is_explained_in_an_encrypted_room() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    for (fault, sure, verdict) in FAULTS {
        let patient = fault.cause(&lab).await.with_context(|| format!("causing {fault:?}"))?;
        let asked = SystemTime::now();
        let question = ops.ask(&question(&patient)).await?;
        let thread = ops.thread(&question, PATIENCE).await?;
        let notice = thread.iter().find(|message| message.kind == "m.notice");
        let answer = notice.with_context(|| bot.last_words())?;
        let seconds = answer.sent.duration_since(asked).unwrap_or_default().as_secs_f32();
        let first = answer.plain.lines().next().unwrap_or_default();
        println!("{:<12} {seconds:.1} s  {first}", format!("{fault:?}"));
        let third = answer.plain.lines().nth(2).unwrap_or_default();
        assert!(first.contains(verdict.headline()), "{fault:?}: {}", answer.plain);
        assert!(third.starts_with(sure), "{fault:?}: {}", answer.plain);
        assert!(answer.plain.lines().count() <= LINES, "too long for a phone:\n{}", answer.plain);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_thread_holds_all_that_an_admin_needs() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let patient = Fault::Evict.cause(&lab).await?;
    let asked = ops.ask(&question(&patient)).await?;
    let thread = ops.thread(&asked, PATIENCE).await?;
    let answer = thread.iter().find(|m| m.kind == "m.notice").with_context(|| bot.last_words())?;
    let who = answer.plain.lines().nth(1).unwrap_or_default();
    assert!(who.contains(&patient.user) && who.contains(&patient.device), "{who}");
    assert!(answer.plain.contains("rejected uploads of signed_curve25519:"), "{}", answer.plain);
    assert!(answer.plain.contains("Impact: Only that device"), "{}", answer.plain);
    assert_eq!(answer.sender, bot.user_id);
    assert_eq!(answer.content["m.mentions"], json!({ "user_ids": [ops.admin().account.user_id] }));

    let file = thread.iter().find(|m| m.attachment_name.as_deref() == Some("evidence.json"));
    let bytes = ops.download(file.context("no evidence.json in the thread")?).await?;
    let evidence: Evidence = serde_json::from_slice(&bytes)?;
    assert_eq!(diagnose(&evidence).id, VerdictId::OtkRecreated);

    assert_eq!(thread.last().map(|m| m.kind.as_str()), Some("m.notice"), "{thread:?}");
    let before = thread.len();
    ops.ask_in_thread(&asked, "!why").await?;
    let thread = longer(&ops, &asked, before + 2).await?;
    let why = thread.last().context("no answer to !why")?;
    assert!(why.plain.contains("SELECT algorithm, key_id"), "{}", why.plain);
    assert!(why.plain.contains("Did the client create a new encryption account"), "{}", why.plain);

    words_are_answered(&ops, &patient).await?;
    strangers_are_told_once(&lab, &ops).await?;
    a_second_process_is_refused(&bot)?;
    bot.stop();
    bot.run()?;
    answers_again(&ops).await?;
    let unchanged = ops.thread(&asked, SILENCE).await?;
    assert_eq!(unchanged.len(), thread.len(), "a command was answered twice");
    a_lost_store_makes_no_patient(&lab, &ops, &mut bot, &folder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_live_watch_is_announced_before_it_is_judged() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let (patient, caller) = kestrel_lab::media::online(&lab).await?;
    let question = format!("!ke2 {} {} live 20s", patient.user, patient.device);
    let asked = ops.ask(&question).await?;
    let note = ops.thread(&asked, PATIENCE).await?;
    let note = note.first().with_context(|| bot.last_words())?;
    assert!(note.plain.contains("for 20 s. Make the call now."), "{}", note.plain);
    caller.send(3, Duration::from_millis(100)).await?;
    // The note, the evidence, the verdict.
    let thread = longer(&ops, &asked, 3).await?;
    let answer = thread.last().with_context(|| bot.last_words())?;
    assert!(answer.plain.contains(" · KE-2 · "), "{}", answer.plain);
    assert!(answer.plain.contains("Live: 3 seen in 20 s"), "{}", answer.plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_the_gate_is_as_the_config_says() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::prepare(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let config = fs::read_to_string(bot.config_path())?;
    let gate = "[matrix]\nmin_power_level = 50\nmax_command_age = \"20s\"\n";
    fs::write(bot.config_path(), config.replace("[matrix]\n", gate))?;
    ops.admin().invite(&bot.user_id).await?;
    bot.run()?;
    bot.joined(&ops).await?;

    let member = ops.bring(&lab, "member").await?;
    let told = member.thread(&member.ask("!help").await?, PATIENCE).await?;
    assert!(told.iter().any(|m| m.plain.contains("only this server's administrators")), "{told:?}");
    raise(&lab, &ops, &member.account.user_id).await?;
    let helped = member.thread(&member.ask("!help").await?, PATIENCE).await?;
    assert!(helped.iter().any(|m| m.plain.contains("!ke1 @user:server DEVICE")), "{helped:?}");

    bot.stop();
    let late = ops.ask("!help").await?;
    tokio::time::sleep(Duration::from_secs(22)).await;
    bot.run()?;
    let said = ops.notices(PATIENCE).await?;
    let skipped = said.iter().filter(|m| m.plain.contains("skipped 1 command"));
    assert_eq!(skipped.count(), 1, "{said:?}");
    assert!(ops.thread(&late, SILENCE).await?.is_empty(), "a late command was answered");
    Ok(())
}

/// Gives a member the power level of a moderator.
async fn raise(lab: &Lab, ops: &OpsRoom, user: &str) -> Result<()> {
    let path =
        format!("/_matrix/client/v3/rooms/{}/state/m.room.power_levels", ops.admin().room_id());
    let token = Some(ops.admin().account.access_token.as_str());
    let mut levels = lab.wire().get(&path, token).await?;
    levels["users"][user] = json!(50);
    lab.wire().put(&path, token, levels).await.map(drop)
}

fn question(patient: &Patient) -> String {
    format!("!ke1 {} {}", patient.user, patient.device)
}

async fn answers_again(ops: &OpsRoom) -> Result<()> {
    let again = ops.ask("!help").await?;
    let help = ops.thread(&again, PATIENCE).await?;
    assert!(help.iter().any(|m| m.plain.contains("!ke1 @user:server DEVICE")), "{help:?}");
    Ok(())
}

pub async fn longer(ops: &OpsRoom, root: &ruma::EventId, count: usize) -> Result<Vec<Message>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = ops.thread(root, PATIENCE).await?;
        if thread.len() >= count || Instant::now() > deadline {
            return Ok(thread);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A slip, a user's devices, a user of another homeserver: each is a kind word, and nothing typed is
/// markup.
async fn words_are_answered(ops: &OpsRoom, patient: &Patient) -> Result<()> {
    for (typed, says) in [
        ("!key1 <b>x</b>".to_owned(), "!ke1"),
        (format!("!ke1 {}", patient.user), "its next one-time key is from an old account"),
        ("!ke1 @alice:elsewhere.example PHONE".to_owned(), "elsewhere.example"),
        (format!("!ke1 {} \"<b>no\u{202e} such\"", patient.user), "does not know this device"),
    ] {
        let asked = ops.ask(&typed).await?;
        let thread = ops.thread(&asked, PATIENCE).await?;
        let notice = thread.iter().find(|message| message.kind == "m.notice");
        let answer = notice.with_context(|| format!("no answer to {typed}"))?;
        assert!(answer.plain.contains(says), "{typed}: {}", answer.plain);
        let html = answer.html.as_deref().unwrap_or_default();
        assert!(!html.contains("<b>") && !html.contains('\u{202e}'), "{typed}: {html}");
    }
    Ok(())
}

async fn strangers_are_told_once(lab: &Lab, ops: &OpsRoom) -> Result<()> {
    let stranger = ops.bring(lab, "stranger").await?;
    let asked = stranger.ask("!help").await?;
    let told = stranger.thread(&asked, PATIENCE).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].plain.contains("only this server's administrators"), "{}", told[0].plain);
    let again = stranger.ask("!help").await?;
    assert!(stranger.thread(&again, SILENCE).await?.is_empty(), "told twice within the hour");
    Ok(())
}

fn a_second_process_is_refused(bot: &Bot) -> Result<()> {
    let config = bot.config_path();
    let second = Command::new(KESTREL).args(["run", "--config"]).arg(config).output()?;
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "a second process started");
    let says = words.contains("another Kestrel uses the store") && words.contains("pid ");
    assert!(says, "it does not say who holds the store: {words}");
    Ok(())
}

/// The crypto store goes and the session stays: the very fault that Kestrel looks for. It makes a new
/// device, and none of its devices is in trouble.
async fn a_lost_store_makes_no_patient(
    lab: &Lab,
    ops: &OpsRoom,
    bot: &mut Bot,
    folder: &Path,
) -> Result<()> {
    let device = || -> Result<String> {
        let session = fs::read_to_string(folder.join("store/session.json"))?;
        let session: serde_json::Value = serde_json::from_str(&session)?;
        Ok(session["device"].as_str().context("no device id")?.to_owned())
    };
    let old = device()?;
    bot.stop();
    fs::remove_dir_all(folder.join("store/matrix"))?;
    bot.run()?;
    let deadline = Instant::now() + PATIENCE;
    while device()? == old && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let new = device()?;
    assert_ne!(old, new, "it kept the device whose keys are gone:\n{}", bot.last_words());
    // The admin's client has to learn of the new device before it can encrypt to it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    answers_again(ops).await?;
    lab.log_written().await?;
    let config = config(lab, true);
    let gone = judge(&config, &(bot.user_id.clone(), old)).await?;
    assert_eq!(crate::verdict(&gone).id, VerdictId::UnknownDevice, "the dead device stayed behind");
    let own = judge(&config, &(bot.user_id.clone(), new)).await?;
    assert_eq!(crate::verdict(&own).id, VerdictId::OtkHealthy, "{}", own.reply.plain);
    Ok(())
}
