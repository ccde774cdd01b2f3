//! Storms as they are lived: an evicted client that is still refused, what ends it, and the ops room
//! around it when programs are killed and servers go away.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kestrel_core::render::storm::{AGAIN, WHY};
use kestrel_lab::ops::{Bot, OpsRoom};
use kestrel_lab::{Lab, LabOptions, faults};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_storm_goes_on_until_peers_have_claimed_the_dead_keys() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut patient = faults::evict(&lab).await?;
    let of = |patient: &faults::Patient| patient.refusals(&lab);
    let (begun, before) = (Instant::now(), of(&patient)?);
    patient.refused(&lab, before + 10).await?;
    let woken = begun.elapsed();
    patient.calm();
    lab.log_written().await?;
    let (begun, before) = (Instant::now(), of(&patient)?);
    patient.refused(&lab, before + 2).await?;
    println!("10 refusals in {woken:.1?} when woken, 2 in {:.1?} when idle", begun.elapsed());
    patient.wake(&lab);
    let dead = patient.heal(&lab).await?;
    assert_eq!(dead.len(), 50, "{dead:?}");
    lab.log_written().await?;
    let healed = of(&patient)?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    lab.log_written().await?;
    assert_eq!(of(&patient)?, healed, "it is refused still");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_reactions_are_read_over_a_restart_of_the_server() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let carol = ops.bring(&lab, "carol").await?;
    let said = carol.ask("Storm 7").await?;
    ops.react(&said, AGAIN).await?;
    let admin = ops.admin().account.user_id.clone();
    assert_eq!(carol.reactions(&said, PATIENCE).await?, [(admin.clone(), AGAIN.to_owned())]);
    lab.stop_synapse().await?;
    assert!(ops.ask("is anybody there?").await.is_err());
    lab.restart_synapse().await?;
    ops.react(&said, WHY).await?;
    let both = [(admin.clone(), AGAIN.to_owned()), (admin, WHY.to_owned())];
    let begun = Instant::now();
    let mut seen = Vec::new();
    while seen != both && begun.elapsed() < PATIENCE {
        seen = carol.reactions(&said, PATIENCE).await?;
    }
    assert_eq!(seen, both);
    let later = carol.ask("Storm 8").await?;
    let heard = ops.roots(PATIENCE, |messages| messages.len() >= 2).await?;
    let last = heard.last().context("nothing was heard")?;
    assert_eq!((&last.event_id, last.edited), (&later, false));
    assert_eq!(last.first_said, "Storm 8");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_killed_bot_comes_back_and_answers() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    bot.kill()?;
    assert!(bot.kill().is_err(), "it was running still");
    bot.run()?;
    let asked = ops.ask("!help").await?;
    let thread = ops.thread(&asked, PATIENCE).await?;
    let answer = thread.iter().find(|message| message.kind == "m.notice");
    assert!(answer.with_context(|| bot.last_words())?.plain.contains("!ke1"));
    bot.check()
}
