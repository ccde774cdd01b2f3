//! The homeserver goes away while an answer is owed: it is sent when the homeserver is back, whole and once.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::faults::healthy;
use kestrel_lab::gateway::Gateway;
use kestrel_lab::ops::{Bot, OpsRoom};
use kestrel_lab::{Lab, LabOptions};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than an attachment was waited for, once.
const AWAY: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn lab_an_answer_that_cannot_be_sent_is_sent_later_with_its_evidence() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let gateway = Gateway::open(lab.homeserver()).await?;
    let mut bot = Bot::prepare(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(bot.config_path(), config.replace(lab.homeserver(), &gateway.url()))?;
    ops.admin().invite(&bot.user_id).await?;
    bot.run()?;
    bot.joined(&ops).await?;
    let patient = healthy(&lab).await?;

    let question = format!("!ke1 {} {}", patient.user, patient.device);
    for killed in [false, true] {
        gateway.shut(&["/send/", "/upload"]);
        let asked = [ops.ask(&question).await?, ops.ask(&question).await?];
        refused(&gateway).await?;
        tokio::time::sleep(AWAY).await;
        if killed {
            // A process that ends meanwhile loses nothing either.
            bot.kill()?;
            bot.run()?;
        }
        gateway.reopen();
        let whole = |thread: &Vec<_>| thread.len() >= 2;
        let threads = ops
            .threads(&asked, PATIENCE, |threads| threads.iter().all(whole))
            .await
            .with_context(|| bot.last_words())?;
        for thread in threads {
            let kinds: Vec<_> = thread.iter().map(|message| message.kind.as_str()).collect();
            assert_eq!(kinds, ["m.file", "m.notice"], "killed: {killed}, {thread:#?}");
        }
    }

    // Whether a command is a copy is asked of the homeserver. A command waits until that answers.
    gateway.shut(&["/event/"]);
    let asked = [ops.ask(&question).await?];
    refused(&gateway).await?;
    gateway.reopen();
    let answered = |threads: &[Vec<_>]| threads.iter().all(|thread| !thread.is_empty());
    let threads = ops.threads(&asked, PATIENCE, answered).await?;
    assert!(answered(&threads), "{threads:#?}\n{}", bot.last_words());
    Ok(())
}

async fn refused(gateway: &Gateway) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while gateway.refused() == 0 {
        ensure!(Instant::now() < deadline, "the bot sent nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
