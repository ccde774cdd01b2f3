//! Reports as users and admins live them: a real storm, its user in an encrypted direct chat with the real
//! program, an encrypted file of what their client saw, the ops room's thread, and the receipt.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use kestrel_core::diagnose::VerdictId;
use kestrel_lab::faults::evict;
use kestrel_lab::ops::{Bot, Message, OpsRoom, Person};
use kestrel_lab::{Lab, LabOptions, Patient};
use ruma::{EventId, RoomId};
use serde_json::{Value, json};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for something that should not come.
pub(crate) const SILENCE: Duration = Duration::from_secs(8);
/// Storms would be told in the same room.
const QUIET: &str = "[watch]\nenabled = false\n";
/// Secrets that are in every report here.
const PLANTED: [&str; 3] =
    ["syt_cGxhbnRlZA_QmFzZTY0UGxhbnRlZA_4Yq2Zk", "hunter2-planted-password", "planted-cookie-7f3a"];

/// A lab with an ops room, the bot in it, and a device in a storm.
pub(crate) async fn opened(reports: &str) -> Result<(Lab, OpsRoom, Bot, Patient)> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let extra = format!("{QUIET}{reports}");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, &extra).await?;
    let patient = evict(&lab).await?;
    Ok((lab, ops, bot, patient))
}

/// The user on another of their devices, in an encrypted direct chat that the bot is invited to.
pub(crate) async fn direct(lab: &Lab, user: &str, bot: &Bot, others: &[&str]) -> Result<Person> {
    let localpart = user.trim_start_matches('@').split(':').next().unwrap_or_default();
    let account = lab.login(localpart, None).await?;
    let mut invited = vec![bot.user_id.as_str()];
    invited.extend(others);
    let body = json!({
        "preset": "trusted_private_chat",
        "is_direct": true,
        "invite": invited,
        "initial_state": [{
            "type": "m.room.encryption",
            "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        }],
    });
    let token = Some(account.access_token.as_str());
    let made = lab.wire().post("/_matrix/client/v3/createRoom", token, body).await?;
    let room = RoomId::parse(made["room_id"].as_str().context("no room id")?)?;
    Person::enter(lab, account, &room).await
}

/// What the patient's own client was answered, word for word.
pub(crate) fn refusal(lab: &Lab, patient: &Patient) -> Result<String> {
    let log = fs::read_to_string(lab.log_path())?;
    let line = log
        .lines()
        .find(|line| line.contains(" already exists. Old key: ") && line.contains(&patient.user))
        .context("the patient was not refused")?;
    let from = line.find("One time key ").context("no refusal in the line")?;
    Ok(line[from..].to_owned())
}

/// The file that the runbook's card saves.
pub(crate) fn report(user: &str, device: &str, refusal: &str) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let [token, password, cookie] = PLANTED;
    let entry = |ago: u64| {
        json!({
            "ts": now - ago, "level": "warn", "ke": "KE-1", "signature": "already exists",
            "message": format!(
                "MatrixError: [400] {refusal} (http://127.0.0.1/_matrix/client/v3/keys/upload?access_token={token})"
            ),
        })
    };
    let report = json!({
        "sdkVersion": "41.7.0", "deviceId": device, "userId": user, "cryptoReady": true,
        "syncState": "SYNCING", "counts": {"KE-1": 3}, "accessToken": token,
        "headers": {"Authorization": format!("Bearer {token}"), "Cookie": format!("session={cookie}")},
        "login": {"type": "m.login.password", "password": password},
        "entries": [
            {"ts": now - 20_000, "level": "info", "message": format!("PUT /login {{\"password\":\"{password}\"}}")},
            entry(9_000), entry(6_000), entry(3_000),
        ],
    });
    serde_json::to_vec_pretty(&report).unwrap_or_default()
}

/// Waits for what the bot says that holds these words, outside any thread.
pub(crate) async fn says(person: &Person, bot: &Bot, words: &str) -> Result<Message> {
    let deadline = Instant::now() + PATIENCE;
    let holds = |one: &&Message| one.sender == bot.user_id && one.plain.contains(words);
    loop {
        let said =
            person.roots(Duration::from_secs(3), |all| all.iter().any(|one| holds(&one))).await?;
        if let Some(found) = said.iter().find(holds) {
            return Ok(found.clone());
        }
        if Instant::now() > deadline {
            bail!("{words:?} was not said: {said:#?}\n{}", bot.last_words());
        }
    }
}

/// What the bot said outside any thread.
async fn said(person: &Person, bot: &Bot, patience: Duration) -> Result<Vec<Message>> {
    let all = person.roots(patience, |_| false).await?;
    Ok(all.into_iter().filter(|one| one.sender == bot.user_id).collect())
}

/// The thread under a root, once it holds these words.
pub(crate) async fn thread(ops: &OpsRoom, root: &EventId, words: &str) -> Result<Vec<Message>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = ops.thread(root, Duration::from_secs(3)).await?;
        if thread.iter().any(|one| one.plain.contains(words)) {
            return Ok(thread);
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {thread:#?}");
    }
}

pub(crate) fn planted_in(text: &str) -> Option<&'static str> {
    PLANTED.into_iter().find(|secret| text.contains(secret))
}

/// Every file below a folder but the Matrix client's own, which is encrypted.
pub(crate) fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("matrix") => {}
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

fn nothing_planted_is_kept(lab: &Lab, bot: &Bot) -> Result<()> {
    let store = lab.scratch().join("bot/store");
    let mut kept = files(&store)?;
    ensure!(kept.iter().any(|path| path.ends_with("ledger.sqlite")), "{kept:?}");
    kept.push(bot.log_path());
    for path in kept {
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        assert_eq!(planted_in(&text), None, "in {}", path.display());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_users_report_becomes_a_verdict_and_a_receipt() -> Result<()> {
    let (lab, ops, bot, patient) = opened("").await?;
    let user = direct(&lab, &patient.user, &bot, &[]).await?;
    user.sees_join(&bot.user_id, PATIENCE).await.with_context(|| bot.last_words())?;
    user.ask("hi").await?;
    says(&user, &bot, "Send me the file that your client saved").await?;
    let own = report(&patient.user, &patient.device, &refusal(&lab, &patient)?);
    lab.log_written().await?;
    user.attach("lotus-crypto-diag-1.json", "application/json", own.clone()).await?;

    let receipt = says(&user, &bot, "Your report is case 1").await?;
    println!("{}\n", receipt.plain);
    assert!(receipt.plain.contains("3 rejected key uploads"), "{}", receipt.plain);
    assert!(receipt.plain.contains("Log out of this device"), "{}", receipt.plain);
    assert!(receipt.plain.contains(&patient.device), "{}", receipt.plain);
    assert!(receipt.plain.lines().count() <= 8, "{}", receipt.plain);
    for fact in [
        "signed_curve25519",
        "AAAA",
        "SELECT",
        "otk-",
        "proven",
        "database",
        "server",
        "-peer",
        "E1",
    ] {
        assert!(!receipt.plain.contains(fact), "{fact}: {}", receipt.plain);
    }

    let root = says(&ops, &bot, "Report from ").await?;
    println!("{}\n", root.plain);
    assert!(root.plain.lines().count() <= 4, "{}", root.plain);
    let first = root.plain.lines().next().unwrap_or_default();
    for words in [&patient.user, &patient.device, "case 1: ", VerdictId::OtkRecreated.headline()] {
        assert!(first.contains(words), "{first}");
    }
    assert!(root.plain.contains("otk-recreated · proven"), "{}", root.plain);
    let thread = thread(&ops, &root.event_id, "KE-1 · proven").await?;
    let kept = thread.iter().find(|one| one.attachment_name.as_deref() == Some("report.json"));
    let kept = ops.download(kept.context("no redacted report")?).await?;
    let kept = String::from_utf8(kept)?;
    assert!(kept.contains(&patient.device), "{kept}");
    assert_eq!(planted_in(&kept), None, "{kept}");
    let last = thread.last().context("an empty thread")?;
    assert!(last.plain.contains(" · Triage · "), "{}", last.plain);
    println!("{}\n", last.plain);

    no_other_user_is_believed(&lab, (&ops, &user), &bot, &patient).await?;
    what_is_no_report_gets_its_line(&user, &bot).await?;
    an_admin_hands_one_on(&ops, &bot, &own).await?;
    for message in ops.roots(SILENCE, |_| false).await?.iter().chain(&thread) {
        let bots = message.sender == bot.user_id;
        assert!(!bots || planted_in(&message.content.to_string()).is_none(), "{message:?}");
    }
    nothing_planted_is_kept(&lab, &bot)
}

/// A report that names somebody else is shown, and nothing is asked for it.
async fn no_other_user_is_believed(
    lab: &Lab,
    (ops, user): (&OpsRoom, &Person),
    bot: &Bot,
    patient: &Patient,
) -> Result<()> {
    let victim = &patient.peer;
    let forged = report(&victim.user_id, &victim.device_id, &refusal(lab, patient)?);
    user.attach("diag.json", "application/json", forged).await?;
    let receipt = says(user, bot, "Your report is case 2").await?;
    assert!(receipt.plain.contains("names a different user"), "{}", receipt.plain);
    assert!(!receipt.plain.contains("Fix:"), "{}", receipt.plain);
    let root = says(ops, bot, "case 2: ").await?;
    assert!(root.plain.contains("not evaluated"), "{}", root.plain);
    let thread = thread(ops, &root.event_id, "!triage ").await?;
    let words = thread.last().context("an empty thread")?;
    let offer = format!("!triage {} {}", victim.user_id, victim.device_id);
    assert!(words.plain.contains(&offer), "{}", words.plain);
    let judged = thread.iter().any(|one| one.plain.contains("KE-1"));
    assert!(!judged, "{thread:#?}");
    Ok(())
}

async fn what_is_no_report_gets_its_line(user: &Person, bot: &Bot) -> Result<()> {
    user.attach("holiday.json", "application/json", b"{\"a\": 1}".to_vec()).await?;
    let line = says(user, bot, "The file could not be read").await?;
    println!("{}", line.plain);
    assert_eq!(line.plain.lines().count(), 1, "{}", line.plain);
    user.attach("logs.gz", "application/gzip", bomb()?).await?;
    let count = async || {
        let all = said(user, bot, Duration::from_secs(2)).await?;
        anyhow::Ok(
            all.iter().filter(|one| one.plain.contains("The file could not be read")).count(),
        )
    };
    let deadline = Instant::now() + PATIENCE;
    while count().await? < 2 {
        ensure!(Instant::now() < deadline, "the bomb got no line:\n{}", bot.last_words());
    }
    user.attach("shot.png", "image/png", b"\x89PNG".to_vec()).await?;
    says(user, bot, "Pictures, audio and video cannot be read").await?;
    for _ in 0..3 {
        user.attach("holiday.json", "application/json", b"{}".to_vec()).await?;
    }
    let line = says(user, bot, "reports per hour").await?;
    println!("{}", line.plain);
    Ok(())
}

/// 300 MiB of nothing.
fn bomb() -> Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let nothing = vec![b'0'; 1 << 20];
    for _ in 0..300 {
        packed.write_all(&nothing)?;
    }
    Ok(packed.finish()?)
}

/// A file in the ops room: silence, until `!report` replies to it.
async fn an_admin_hands_one_on(ops: &OpsRoom, bot: &Bot, own: &[u8]) -> Result<()> {
    let before = said(ops, bot, SILENCE).await?.len();
    let file = ops.attach("diag.json", "application/json", own.to_vec()).await?;
    assert_eq!(said(ops, bot, SILENCE).await?.len(), before, "a bare file was answered");
    ops.ask_in_thread(&file, "!report").await?;
    let root = says(ops, bot, "Report about ").await?;
    println!("{}\n", root.plain);
    assert!(root.plain.contains("otk-recreated · proven"), "{}", root.plain);
    thread(ops, &file, "is in its own thread").await?;
    thread(ops, &root.event_id, "KE-1 · proven").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_report_is_told_once_whenever_the_bot_is_killed() -> Result<()> {
    let (lab, ops, mut bot, patient) = opened("[reports]\neach = 20\n").await?;
    let user = direct(&lab, &patient.user, &bot, &[]).await?;
    // Sent with the invitation: the bot is not there yet.
    let own = report(&patient.user, &patient.device, &refusal(&lab, &patient)?);
    lab.log_written().await?;
    for (number, pause) in (1..).zip([0, 300, 700, 1200, 2000]) {
        user.attach("diag.json", "application/json", own.clone()).await?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        bot.kill()?;
        bot.run()?;
        says(&user, &bot, &format!("Your report is case {number}.")).await?;
    }
    let receipts = said(&user, &bot, SILENCE).await?;
    assert_eq!(receipts.len(), 5, "{receipts:#?}");
    let roots = said(&ops, &bot, SILENCE).await?;
    assert_eq!(roots.len(), 5, "{roots:#?}");
    for root in &roots {
        let thread = thread(&ops, &root.event_id, "Triage · ").await?;
        // The report, evidence.json and the verdict.
        assert_eq!(thread.len(), 3, "{thread:#?}");
    }
    nothing_planted_is_kept(&lab, &bot)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_whom_the_config_does_not_name_is_left_alone() -> Result<()> {
    let (lab, ops, mut bot, patient) = opened("[reports]\nfrom = \"nobody\"\n").await?;
    let user = direct(&lab, &patient.user, &bot, &[]).await?;
    assert!(user.sees_join(&bot.user_id, SILENCE).await.is_err(), "nobody was let in");
    bot.stop();
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(bot.config_path(), config.replace("\"nobody\"", "\"own-server\""))?;
    bot.run()?;
    user.sees_join(&bot.user_id, PATIENCE).await?;
    // With a third one it is no direct chat any more.
    user.invite(&ops.admin().account.user_id).await?;
    let deadline = Instant::now() + PATIENCE;
    while bot_is_in(&lab, &user, &bot).await? {
        ensure!(Instant::now() < deadline, "the bot stayed:\n{}", bot.last_words());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

async fn bot_is_in(lab: &Lab, user: &Person, bot: &Bot) -> Result<bool> {
    let path = format!("/_matrix/client/v3/rooms/{}/joined_members", user.room_id());
    let token = Some(user.account.access_token.as_str());
    let members: Value = lab.wire().get(&path, token).await?;
    Ok(!members["joined"][&bot.user_id].is_null())
}
