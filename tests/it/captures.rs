//! A capture as an admin lives it: begun before a call that goes wrong, cut by a crash in the middle, ticked,
//! marked and stopped, and its bundle judged again by somebody who has nothing else.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Fault, Lab, LabOptions};
use ruma::EventId;

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_capture_outlives_a_crash_and_its_bundle_replays() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let watchless = "[watch]\nenabled = false\n";
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, watchless).await?;
    let patient = Fault::Evict.cause(&lab).await?;
    let root = ops.ask(&format!("!capture start {} {}", patient.user, patient.device)).await?;
    let list = told(&ops, &root, "Capture 1 · ", &bot).await?;
    println!("{}\n", list.plain);
    assert!(list.plain.contains("☑ save the log positions"), "{}", list.plain);
    assert!(list.plain.contains("☑ compare the clocks"), "{}", list.plain);
    let buttons = ops.reactions(&list.event_id, PATIENCE).await?;
    assert_eq!(buttons.len(), 9, "{buttons:?}");
    let second = ops.ask(&format!("!capture start {}", patient.user)).await?;
    told(&ops, &second, "is already running in this room", &bot).await?;

    ops.ask_in_thread(&root, "!capture mark audio cut <b>").await?;
    told(&ops, &root, "Mark 1 · ", &bot).await?;
    bot.kill()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bot.run()?;
    told(&ops, &root, "The capture continues", &bot).await?;
    ops.react(&list.event_id, "4️⃣").await?;
    told(&ops, &root, "4️⃣ ☑ Join the call", &bot).await?;
    // A delay id in the log, from an address of the patient's: it opens the delayed event to anybody.
    let delay = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/syd_PLANTEDplanted1234";
    let _ = lab.wire().post(&format!("{delay}/restart"), None, serde_json::json!({})).await;
    assert!(lab_log_holds(&lab, "syd_PLANTED").await?, "the log holds nothing to be taken out");
    // The log has lines of it that are not of the time before.
    patient.refused(&lab, 3).await?;
    lab.log_written().await?;
    ops.ask_in_thread(&root, "!capture stop").await?;
    let verdict = told(&ops, &root, "Case 1", &bot).await?;
    println!("{}\n", verdict.plain);
    assert!(verdict.plain.contains("This device lost its keys"), "{}", verdict.plain);
    let thread = ops.thread(&root, PATIENCE).await?;
    let count = |words: &str| thread.iter().filter(|said| said.plain.contains(words)).count();
    assert_eq!(
        (count("Mark 1 · "), count("Kestrel now evaluates the log window")),
        (1, 1),
        "{thread:#?}"
    );
    let list = thread.iter().find(|said| said.event_id == list.event_id).context("the list")?;
    assert!(list.plain.contains("☑ evaluate everything and post the bundle"), "{}", list.plain);

    let zips: Vec<_> = thread.iter().filter(|said| is_zip(said)).collect();
    assert_eq!(zips.len(), 1, "{thread:#?}");
    let bytes = ops.download(zips[0]).await?;
    let path = lab.scratch().join("bundle.zip");
    fs::write(&path, &bytes)?;
    let name = zips[0].attachment_name.clone().context("a name")?;
    assert_eq!(fs::read(folder.join("store/captures/1").join(&name))?, bytes);
    holds_what_it_should(&bytes, ops.account.access_token.as_str(), &patient.user)?;
    let replayed = bot.command(&["replay", &path.display().to_string(), "--format", "json"])?;
    let replayed: serde_json::Value = serde_json::from_str(&replayed)?;
    assert_eq!(replayed["verdict"]["id"], "otk-recreated", "{replayed:#}");
    let mut bent = bytes.clone();
    bent.truncate(bytes.len() / 2);
    fs::write(&path, &bent)?;
    let refused = bot.command(&["replay", &path.display().to_string()]).unwrap_err().to_string();
    assert!(refused.contains("is not a bundle: it is not a complete zip"), "{refused}");

    ops.ask("!case 1 delete").await?;
    let deadline = Instant::now() + PATIENCE;
    while folder.join("store/captures/1").exists() {
        ensure!(Instant::now() < deadline, "the bundle outlives its case: {}", bot.last_words());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let none = ops.ask("!capture").await?;
    told(&ops, &none, "No capture is running in this room", &bot).await?;

    // Begun, forgotten, and over while the program was away.
    let root = ops.ask(&format!("!capture start {} for 1m", patient.user)).await?;
    told(&ops, &root, "Capture 2 · ", &bot).await?;
    bot.kill()?;
    tokio::time::sleep(Duration::from_secs(61)).await;
    bot.run()?;
    told(&ops, &root, "It looks abandoned", &bot).await?;
    told(&ops, &root, "Case 2", &bot).await?;
    assert!(ops.thread(&root, PATIENCE).await?.iter().any(is_zip));
    Ok(())
}

async fn lab_log_holds(lab: &Lab, words: &str) -> Result<bool> {
    lab.log_written().await?;
    Ok(fs::read_to_string(lab.log_path())?.contains(words))
}

fn is_zip(message: &Message) -> bool {
    message.attachment_name.as_deref().is_some_and(|name| name.ends_with("Z.zip"))
}

fn holds_what_it_should(bytes: &[u8], token: &str, user: &str) -> Result<()> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut names = Vec::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let text = String::from_utf8_lossy(&content).into_owned();
        for secret in ["syt_", "syd_", "access_token=", token] {
            assert!(!text.contains(secret), "{secret} stands in file {at}");
        }
        let name = file.name()?.split_once('/').context("no folder")?.1.to_owned();
        if name == "log/main.log" {
            assert!(text.contains("already exists") && text.contains(user), "{text}");
            assert!(text.contains("/delayed_events/~"), "{text}");
            println!("log/main.log: {} lines", text.lines().count());
        }
        if name == "marks.md" {
            assert!(text.contains("audio cut"), "{text}");
        }
        names.push(name);
    }
    println!("{names:?}, {} bytes", bytes.len());
    for wanted in [
        "manifest.json",
        "evidence.json",
        "verdict.md",
        "log/main.log",
        "marks.md",
        "metrics.json",
        "inbox.json",
        "timeline.png",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted} is not in {names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("sql/")), "{names:?}");
    Ok(())
}

/// Waits for a message in a thread that holds these words.
async fn told(ops: &OpsRoom, root: &EventId, words: &str, bot: &Bot) -> Result<Message> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = ops.thread(root, Duration::from_secs(2)).await?;
        if let Some(found) = thread.iter().find(|message| message.plain.contains(words)) {
            return Ok(found.clone());
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {thread:#?}: {}", bot.last_words());
    }
}
