//! Long runs: hundreds of commands, dozens of kills, a crowd of strangers. They take minutes, so they are run
//! by a command of their own:
//!
//! `cargo test --test it -- load:: --ignored --nocapture --test-threads 1`
//!
//! `KESTREL_BINARY` names another build to measure, such as `target/release/kestrel`. The promise on memory is
//! for the release build with the environment of the unit (`MALLOC_MMAP_THRESHOLD_=131072`); a debug build maps
//! 50 MiB more of itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::faults::{evict, healthy};
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Lab, LabOptions};
use ruma::OwnedEventId;

use crate::restart::{ask_many, each_once};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
/// The bot's promise: its queue is in the ledger, not in memory.
const MOST_MEMORY_KIB: u64 = 120_000_000 / 1024;
/// What a debug build may grow by.
const GROWTH_KIB: u64 = 64 << 10;
const KILLS: usize = 24;

async fn room(extra: &str) -> Result<(Lab, OpsRoom, Bot)> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let binary = std::env::var_os("KESTREL_BINARY").unwrap_or_else(|| KESTREL.into());
    let bot = Bot::start(&lab, &ops, Path::new(&binary), &folder, extra).await?;
    Ok((lab, ops, bot))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes"]
async fn lab_three_hundred_commands_take_little_memory() -> Result<()> {
    let (lab, ops, bot) = room("").await?;
    let patient = healthy(&lab).await?;
    let idle = bot.cost()?;
    let began = Instant::now();
    let asked = ask_many(&ops, &patient, 300).await?;
    each_once(&ops, &bot, &asked).await?;
    let took = began.elapsed();
    let after = bot.cost()?;
    println!(
        "300 commands in {took:.0?}: peak {} MiB, kept {} MiB, idle before {} MiB, CPU {:.1} s",
        after.peak_kib >> 10,
        after.resident_kib >> 10,
        idle.resident_kib >> 10,
        after.cpu_seconds
    );
    let promised = std::env::var_os("KESTREL_BINARY").is_some();
    let most = if promised { MOST_MEMORY_KIB } else { idle.peak_kib + GROWTH_KIB };
    assert!(after.peak_kib <= most, "{after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes"]
async fn lab_kills_lose_and_double_nothing() -> Result<()> {
    let (lab, ops, mut bot) = room("[watch]\nquiet = \"10s\"\n").await?;
    let patient = healthy(&lab).await?;
    let first = evict(&lab).await?;
    let asked = ask_many(&ops, &patient, 60).await?;
    let second = evict(&lab).await?;
    for kill in 0..KILLS {
        // Each time at another moment of its work.
        tokio::time::sleep(Duration::from_millis(700 + 170 * (kill as u64 % 9))).await;
        bot.kill()?;
        bot.run()?;
    }
    each_once(&ops, &bot, &asked).await?;
    for patient in [&first, &second] {
        let named = |messages: &[Message]| {
            messages
                .iter()
                .filter(|one| one.first_said.contains("Storm "))
                .filter(|one| one.first_said.contains(&patient.device))
                .count()
        };
        let roots = ops.roots(Duration::from_secs(60), |said| named(said) > 0).await?;
        assert_eq!(named(&roots), 1, "first messages of {}: {roots:#?}", patient.device);
    }
    println!(
        "{KILLS} kills: 60 of 60 commands answered once, two storms with one first message each"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes"]
async fn lab_a_thousand_messages_of_strangers_are_one_line() -> Result<()> {
    let (lab, ops, bot) = room("").await?;
    let stranger = ops.bring(&lab, "stranger").await?;
    let before = bot.cost()?.cpu_seconds;
    let mut said: Vec<OwnedEventId> = Vec::new();
    for number in 0..1000 {
        said.push(stranger.ask(&format!("!ke1 @a:lab.local D{number}")).await?);
    }
    // What came last is heard when a command behind it is answered.
    let asked = ops.ask("!help").await?;
    let helped = ops.thread(&asked, Duration::from_secs(120)).await?;
    ensure!(!helped.is_empty(), "{}", bot.last_words());
    let threads = stranger.threads(&said, Duration::from_secs(20), |_| true).await?;
    let lines: usize = threads.iter().map(Vec::len).sum();
    let cost = bot.cost().context("the bot ended")?;
    println!(
        "1000 messages of a stranger: {lines} answer, peak {} MiB, CPU {:.1} s",
        cost.peak_kib >> 10,
        cost.cpu_seconds - before
    );
    assert_eq!(lines, 1);
    Ok(())
}
