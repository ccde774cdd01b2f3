//! The process ends in the middle of its work, by a kill or by a service manager: every command that was sent
//! is answered, once.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::faults::healthy;
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Lab, LabOptions, Patient};
use ruma::OwnedEventId;

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(300);
/// More than twice what one sync carries, with the answers.
const COMMANDS: usize = 60;
/// How many are answered when the process ends.
const ANSWERED: usize = 15;

async fn room() -> Result<(Lab, OpsRoom, Bot, Patient)> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let patient = healthy(&lab).await?;
    Ok((lab, ops, bot, patient))
}

pub async fn ask_many(ops: &OpsRoom, patient: &Patient, count: usize) -> Result<Vec<OwnedEventId>> {
    let question = format!("!ke1 {} {}", patient.user, patient.device);
    let mut asked = Vec::with_capacity(count);
    for _ in 0..count {
        asked.push(ops.ask(&question).await?);
    }
    Ok(asked)
}

/// How many verdicts a thread has.
fn verdicts(thread: &[Message]) -> usize {
    thread.iter().filter(|message| message.plain.contains(" · KE-1 · ")).count()
}

fn files(thread: &[Message]) -> usize {
    thread.iter().filter(|message| message.kind == "m.file").count()
}

fn is_whole(thread: &[Message]) -> bool {
    verdicts(thread) > 0 && files(thread) > 0
}

fn answered(threads: &[Vec<Message>]) -> usize {
    threads.iter().filter(|thread| verdicts(thread) > 0).count()
}

async fn wait_for(ops: &OpsRoom, asked: &[OwnedEventId], count: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let threads = ops.threads(asked, Duration::ZERO, |_| true).await?;
        if answered(&threads) >= count {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{} of {count} answered", answered(&threads));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Each command has its verdict and its evidence, once, and nothing went wrong.
pub async fn each_once(ops: &OpsRoom, bot: &Bot, asked: &[OwnedEventId]) -> Result<()> {
    let threads = ops
        .threads(asked, PATIENCE, |threads| threads.iter().all(|thread| is_whole(thread)))
        .await
        .with_context(|| bot.last_words())?;
    for (event, thread) in asked.iter().zip(&threads) {
        let kinds: Vec<_> = thread.iter().map(|message| message.kind.as_str()).collect();
        let log = std::fs::read_to_string(bot.log_path()).unwrap_or_default();
        let said: Vec<_> = log.lines().filter(|line| line.contains(event.as_str())).collect();
        assert_eq!(verdicts(thread), 1, "{event} has {kinds:?}; the bot's log says {said:#?}");
    }
    assert!(threads.iter().all(|thread| files(thread) == 1), "evidence is missing or doubled");
    let all = threads.iter().flatten();
    let wrong: Vec<_> = all.filter(|message| message.plain.contains("Not answered: ")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_no_command_is_lost_or_answered_twice_when_the_process_is_killed() -> Result<()> {
    let (_lab, ops, mut bot, patient) = room().await?;
    // All of them wait when the process begins: it ends with most of them open.
    bot.stop();
    let asked = ask_many(&ops, &patient, COMMANDS).await?;
    bot.run()?;
    wait_for(&ops, &asked, ANSWERED).await?;
    bot.kill()?;
    bot.run()?;
    each_once(&ops, &bot, &asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_stop_hands_its_queue_to_the_next_process() -> Result<()> {
    let (_lab, ops, mut bot, patient) = room().await?;
    let first = ask_many(&ops, &patient, 4).await?;
    wait_for(&ops, &first, 1).await?;
    // These come while nobody listens.
    bot.stop();
    let mut asked = first;
    asked.extend(ask_many(&ops, &patient, COMMANDS).await?);
    bot.run()?;
    wait_for(&ops, &asked, ANSWERED).await?;
    bot.stop();
    bot.run()?;
    each_once(&ops, &bot, &asked).await
}
