//! The bot's own account, as it goes wrong for operators: a second login, two processes, a copied machine, a
//! deleted device, a changed password, a deactivated account, a store that was put back.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use kestrel_lab::ops::{Bot, Message, OpsRoom};
use kestrel_lab::{Lab, LabOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::room::PATIENCE;

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
/// A lease of a process that was killed lapses after a minute.
const LAPSE: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_second_login_replaces_no_identity_unasked() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let first = prepare(&lab, &ops).await?;
    let token = ops.admin().account.access_token.clone();
    let identity = master(&lab, &token, &first.user_id).await?;
    let devices = devices(&lab, &first.user_id).await?;

    let second = first.beside(&lab.scratch().join("second"))?;
    let refused = said(second.login(&[]));
    for words in ["already has a cross-signing identity", "--recovery-key-file", "--reset-identity"]
    {
        assert!(refused.contains(words), "{refused}");
    }
    let wrong = second.write_secret("wrong", "EsTx nope nope nope")?;
    let refused = said(second.login(&["--recovery-key-file", &wrong.display().to_string()]));
    assert!(refused.contains("does not open"), "{refused}");
    assert!(!second.store().join("session.json").exists(), "a refused login left a session");
    assert_eq!(master(&lab, &token, &first.user_id).await?, identity);
    assert_eq!(self::devices(&lab, &first.user_id).await?, devices, "a device stayed behind");

    let key = first.store().join("recovery-key").display().to_string();
    let made = second.login(&["--recovery-key-file", &key])?;
    assert!(made.contains("(verified)"), "{made}");
    assert_eq!(master(&lab, &token, &first.user_id).await?, identity);
    assert_eq!(fs::read(second.store().join("recovery-key"))?, fs::read(&key)?);
    // Its own store has the key from now on.
    assert!(second.login(&[])?.contains("(verified)"));
    assert_eq!(master(&lab, &token, &first.user_id).await?, identity);
    well(&first, &["signed by the account's cross-signing identity"])?;

    let made = second.login(&["--reset-identity"])?;
    assert!(made.contains("has to verify it again"), "{made}");
    assert_ne!(master(&lab, &token, &first.user_id).await?, identity);
    unwell(&first, &["identity was replaced by another login"])?;
    // It continues with what it has, and says so.
    let mut first = first;
    ops.admin().invite(&first.user_id).await?;
    first.run()?;
    first.joined(&ops).await?;
    let said = told(&ops, "is not verified").await?;
    assert!(said.plain.contains("--recovery-key-file"), "{said:?}");
    answers(&ops, &first).await?;
    let theirs = master(&lab, &token, &first.user_id).await?;
    assert_ne!(theirs, identity, "it put its own identity back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_one_account_has_one_process() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut first = start(&lab, &ops).await?;
    let mut second = first.beside(&lab.scratch().join("second"))?;
    let key = first.store().join("recovery-key").display().to_string();
    let warned = second.login(&["--recovery-key-file", &key])?;
    let place = first.store().display().to_string();
    assert!(
        warned.contains("nother store uses this account") && warned.contains(&place),
        "{warned}"
    );

    let started = Instant::now();
    second.run()?;
    let end = ended(&mut second, PATIENCE).await?;
    println!("another store gives up after {:.1} s", started.elapsed().as_secs_f32());
    assert!(end.contains("exit status: 4") && end.contains(&place), "{end}");
    well(&first, &["this store uses the account"])?;
    unwell(&second, &["another store uses the account", "the last run ended"])?;
    answers(&ops, &first).await?;

    // Killed, and started again: at once.
    first.kill()?;
    let started = Instant::now();
    first.run()?;
    logged(&first, "uses the account: store", PATIENCE).await?;
    logged(&first, ", run 2, ", PATIENCE).await?;
    println!(
        "the same store uses the account again after {:.1} s",
        started.elapsed().as_secs_f32()
    );
    answers(&ops, &first).await?;
    assert!(!log(&first)?.contains("whether that process still runs"), "it waited for itself");

    // Asked to stop, it gives the account back: another store need not wait either.
    first.stop();
    second.run()?;
    logged(&second, "this process uses the account", PATIENCE).await?;
    assert!(
        !log(&second)?.rsplit("exit status").next().unwrap_or_default().contains("taking over")
    );

    // A store that was killed holds the account until its lease lapses.
    second.kill()?;
    let started = Instant::now();
    first.run()?;
    logged(&first, "did not renew its lease; taking over", LAPSE).await?;
    println!("a killed store's lease lapsed after {:.1} s", started.elapsed().as_secs_f32());
    first.check()?;
    answers(&ops, &first).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_of_a_copied_machine_the_newer_run_stays() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut first = start(&lab, &ops).await?;
    let mut copy = first.beside(&lab.scratch().join("copy"))?;
    copy_folder(&first.store(), &copy.store())?;
    let started = Instant::now();
    copy.run()?;
    let end = ended(&mut first, PATIENCE).await?;
    println!("the older of two copies ends after {:.1} s", started.elapsed().as_secs_f32());
    assert!(end.contains("exit status: 4") && end.contains("newer run of this store"), "{end}");
    copy.check()?;
    // The older copy does not take the account back while the other runs.
    first.run()?;
    let end = ended(&mut first, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("newer run of this store"), "{end}");
    copy.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_homeserver_that_is_away_ends_no_run() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    lab.stop_synapse().await?;
    logged(&bot, "lease could not be renewed yet", LAPSE).await?;
    lab.restart_synapse().await?;
    answers(&ops, &bot).await?;
    bot.check()?;

    // Long enough for another store to take the account over, and one did: no command is answered any more.
    lab.stop_synapse().await?;
    tokio::time::sleep(Duration::from_secs(65)).await;
    let other = json!({"store": "other", "place": "host elsewhere", "run": 7, "writer": "other"});
    let sql = format!(
        "UPDATE account_data SET content = '{other}' WHERE account_data_type = 'org.kestrel.lease'"
    );
    lab.sql(&sql).await?;
    lab.restart_synapse().await?;
    let asked = ops.ask("!help").await?;
    let end = ended(&mut bot, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("host elsewhere"), "{end}");
    assert!(
        ops.thread(&asked, Duration::from_secs(5)).await?.is_empty(),
        "it answered all the same"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_deleted_device_is_replaced_under_the_same_identity() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    let token = ops.admin().account.access_token.clone();
    let identity = master(&lab, &token, &bot.user_id).await?;
    well(&bot, &["the homeserver accepts the session", "clock", "the password in"])?;

    let old = device(&bot)?;
    delete_device(&lab, &bot, &old).await?;
    let said = told(&ops, "has a new device").await?;
    assert!(said.plain.contains("No action is needed") && said.plain.contains(&old), "{said:?}");
    assert_ne!(device(&bot)?, old);
    assert_eq!(master(&lab, &token, &bot.user_id).await?, identity);
    answers(&ops, &bot).await?;
    well(&bot, &["signed by the account's cross-signing identity"])?;

    // Without a password only a person can help.
    bot.stop();
    forget_password(&bot)?;
    bot.run()?;
    answers(&ops, &bot).await?;
    delete_device(&lab, &bot, &device(&bot)?).await?;
    let end = ended(&mut bot, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("kestrel login"), "{end}");
    unwell(&bot, &["the homeserver ended this session", "the last run ended"])?;

    // Until the config names a file with it.
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(
        bot.config_path(),
        config.replace("[matrix]\n", "[matrix]\npassword_file = \"password\"\n"),
    )?;
    bot.run()?;
    answers(&ops, &bot).await?;
    assert_eq!(master(&lab, &token, &bot.user_id).await?, identity);

    // The password is changed, which ends all sessions.
    let body = json!({"auth": by_password(&bot.user_id, &bot.password), "new_password": "changed"});
    lab.wire().post("/_matrix/client/v3/account/password", Some(&own_token(&bot)?), body).await?;
    unwell(&bot, &["rejects the password"])?;
    bot.stop();
    bot.run()?;
    told(&ops, "password was changed").await?;
    delete_device_as(&lab, &bot, "changed").await?;
    let end = ended(&mut bot, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("rejects the password"), "{end}");
    bot.write_secret("password", "changed")?;
    bot.run()?;
    answers(&ops, &bot).await?;
    assert_eq!(master(&lab, &token, &bot.user_id).await?, identity);

    // Somebody who deletes each new device is not fought for ever.
    bot.stop();
    let mut session = session(&bot)?;
    session["replaced"] = json!(vec![Timestamp::now(); 5]);
    bot.write_secret("store/session.json", &session.to_string())?;
    bot.run()?;
    answers(&ops, &bot).await?;
    delete_device_as(&lab, &bot, "changed").await?;
    let end = ended(&mut bot, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("replaced its device 5 times"), "{end}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_deactivated_account_needs_a_person() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    let body = json!({"auth": by_password(&bot.user_id, &bot.password), "erase": false});
    lab.wire().post("/_matrix/client/v3/account/deactivate", Some(&own_token(&bot)?), body).await?;
    let end = ended(&mut bot, PATIENCE).await?;
    let words = "the password was changed, or the account is deactivated";
    assert!(end.contains("exit status: 4") && end.contains(words), "{end}");
    unwell(&bot, &[words, "the homeserver ended this session"])?;
    // Without a password it cannot know more than that the session is over.
    forget_password(&bot)?;
    bot.run()?;
    let end = ended(&mut bot, PATIENCE).await?;
    let words = "or the account was deactivated. Run `kestrel login`";
    assert!(end.contains("exit status: 4") && end.contains(words), "{end}");
    unwell(&bot, &[words])
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_lost_store_leaves_the_identity_alone() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    let token = ops.admin().account.access_token.clone();
    let identity = master(&lab, &token, &bot.user_id).await?;
    bot.stop();
    fs::remove_dir_all(bot.store().join("matrix"))?;
    let key = fs::read_to_string(bot.store().join("recovery-key"))?;
    fs::remove_file(bot.store().join("recovery-key"))?;
    bot.run()?;
    let said = told(&ops, "has a new device").await?;
    assert!(said.plain.contains("not verified") && said.plain.contains("recovery key"), "{said:?}");
    assert_eq!(master(&lab, &token, &bot.user_id).await?, identity, "the identity was replaced");
    answers(&ops, &bot).await?;
    unwell(&bot, &["the device is not verified"])?;
    bot.stop();
    fs::write(bot.store().join("recovery-key"), key)?;
    bot.run()?;
    answers(&ops, &bot).await?;
    well(&bot, &["signed by the account's cross-signing identity"])
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_store_that_was_put_back_is_noticed_before_it_is_used() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    bot.stop();
    let backup = lab.scratch().join("backup");
    copy_folder(&bot.store(), &backup)?;
    bot.run()?;
    answers(&ops, &bot).await?;
    bot.stop();
    put_back(&backup, &bot.store())?;
    let old = device(&bot)?;
    bot.run()?;
    let said = told(&ops, "has a new device").await?;
    assert!(said.plain.contains("older copy") && said.plain.contains(&old), "{said:?}");
    answers(&ops, &bot).await?;
    well(&bot, &["this store uses the account"])?;

    // The same without a password.
    bot.stop();
    forget_password(&bot)?;
    fs::remove_dir_all(&backup)?;
    copy_folder(&bot.store(), &backup)?;
    bot.run()?;
    answers(&ops, &bot).await?;
    bot.stop();
    put_back(&backup, &bot.store())?;
    bot.run()?;
    let end = ended(&mut bot, PATIENCE).await?;
    assert!(end.contains("exit status: 4") && end.contains("older copy"), "{end}");
    unwell(&bot, &["older copy", "the last run ended"])
}

/// Only the crypto store is put back, so that nothing shows before the homeserver rejects an upload.
#[tokio::test(flavor = "multi_thread")]
async fn lab_a_crypto_store_that_was_put_back_is_told_in_the_room() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    bot.stop();
    forget_password(&bot)?;
    let (matrix, backup) = (bot.store().join("matrix"), lab.scratch().join("backup"));
    copy_folder(&matrix, &backup)?;
    let claimed = claim(&lab, &ops, &bot, 10).await?;
    bot.run()?;
    more_uploaded(&lab, &bot).await?;
    bot.stop();
    put_back(&backup, &matrix)?;
    let claimed = claimed.min(claim(&lab, &ops, &bot, 10).await?);
    bot.run()?;
    let said = told(&ops, "one-time key conflict").await?;
    assert!(
        said.plain.contains("kestrel login") && said.plain.contains(&device(&bot)?),
        "{said:?}"
    );
    assert!(claimed > 0, "nothing was claimed");
    unwell(&bot, &["rejects this device's one-time keys"])?;

    // Once, and not at every start; and with a password the device is replaced.
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(
        bot.config_path(),
        config.replace("[matrix]\n", "[matrix]\npassword_file = \"password\"\n"),
    )?;
    bot.stop();
    bot.run()?;
    told(&ops, "has a new device").await?;
    answers(&ops, &bot).await?;
    let all = ops.notices(PATIENCE).await?;
    let told = all.iter().filter(|message| message.plain.contains("one-time key conflict"));
    assert_eq!(told.count(), 1, "{all:?}");
    well(&bot, &["signed by the account's cross-signing identity"])
}

/// The homeserver answers through a proxy that moves its Date seven minutes ahead.
#[tokio::test(flavor = "multi_thread")]
async fn lab_a_wrong_clock_is_told() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let mut bot = start(&lab, &ops).await?;
    well(&bot, &["the homeserver's clock and this machine's agree"])?;
    bot.stop();
    let ahead = clock_moved(lab.homeserver(), SignedDuration::from_mins(7)).await?;
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(bot.config_path(), config.replace(lab.homeserver(), &ahead))?;
    bot.run()?;
    let said = told(&ops, "Clocks differ").await?;
    assert!(
        said.plain.contains("min") && said.plain.contains("ahead of this machine's"),
        "{said:?}"
    );
    unwell(&bot, &["ahead of this machine's"])
}

/// An address that answers as the homeserver does, with another Date.
async fn clock_moved(homeserver: &str, by: SignedDuration) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let server = homeserver.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await;
            tokio::spawn(async move {
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server?.into_split();
                tokio::select! {
                    done = tokio::io::copy(&mut from_client, &mut to_server) => done.map(drop),
                    done = pass_on(from_server, to_client, by) => done,
                }
            });
        }
    });
    Ok(address)
}

/// Passes answers on. A date has one length, so nothing else of an answer changes.
async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    by: SignedDuration,
) -> std::io::Result<()> {
    const LENGTH: usize = "Sun, 22 Nov 2026 11:57:02 GMT".len();
    let date = (Timestamp::now() + by).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let answer = &mut buffer[..read];
        let name = b"\r\nDate: ";
        let at = answer.windows(name.len()).position(|bytes| bytes == name);
        if let Some(place) = at.and_then(|at| answer.get_mut(at + name.len()..)?.get_mut(..LENGTH))
        {
            place.copy_from_slice(date.as_bytes());
        }
        to.write_all(answer).await?;
    }
}

async fn prepare(lab: &Lab, ops: &OpsRoom) -> Result<Bot> {
    Bot::prepare(lab, ops, Path::new(KESTREL), &lab.scratch().join("bot"), WATCHLESS).await
}

async fn start(lab: &Lab, ops: &OpsRoom) -> Result<Bot> {
    Bot::start(lab, ops, Path::new(KESTREL), &lab.scratch().join("bot"), WATCHLESS).await
}

/// What is said of storms is not what these tests read.
const WATCHLESS: &str = "[watch]\nenabled = false\n";

/// What a refused command said.
fn said(output: Result<String>) -> String {
    output.map_or_else(|error| format!("{error:#}"), |made| panic!("it was not refused: {made}"))
}

async fn answers(ops: &OpsRoom, bot: &Bot) -> Result<()> {
    // Asked again: a new device may miss what was sent before the admin's client knew of it.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let asked = ops.ask("!help").await?;
        let thread = ops.thread(&asked, Duration::from_secs(8)).await?;
        if thread.iter().any(|message| message.plain.contains("!ke1 @user:server DEVICE")) {
            return Ok(());
        }
    }
    bail!("no answer in {PATIENCE:?}:\n{}", bot.last_words())
}

/// Waits until the program has ended by itself, and says how.
async fn ended(bot: &mut Bot, patience: Duration) -> Result<String> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Err(end) = bot.check() {
            bot.stop();
            return Ok(format!("{end:#}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("it still runs after {patience:?}:\n{}", bot.last_words())
}

fn log(bot: &Bot) -> Result<String> {
    Ok(fs::read_to_string(bot.log_path())?)
}

async fn logged(bot: &Bot, words: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if log(bot)?.contains(words) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{words:?} is not in the log after {patience:?}:\n{}", bot.last_words())
}

/// Waits for what the bot says in the room by itself.
async fn told(ops: &OpsRoom, words: &str) -> Result<Message> {
    let is_it = |message: &Message| message.plain.contains(words);
    let said = ops.roots(PATIENCE, |all| all.iter().any(is_it)).await?;
    let message = said.iter().rev().find(|message| is_it(message)).cloned();
    message.with_context(|| format!("the room was not told {words:?}: {said:#?}"))
}

fn doctor(bot: &Bot) -> Result<Output> {
    Ok(Command::new(KESTREL).args(["doctor", "--config"]).arg(bot.config_path()).output()?)
}

/// The account's lines of `kestrel doctor`.
fn account_lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.contains(" account: ")).map(str::to_owned).collect()
}

/// `kestrel doctor` finds nothing wrong with the account, and says these things.
fn well(bot: &Bot, words: &[&str]) -> Result<()> {
    let output = doctor(bot)?;
    let lines = account_lines(&output);
    let is_said = |words: &&str| {
        lines.iter().any(|line| line.trim_start().starts_with("ok") && line.contains(*words))
    };
    let wrong = lines.iter().any(|line| line.contains("FAILED"));
    if wrong || lines.is_empty() || !words.iter().all(is_said) {
        bail!(
            "doctor does not say {words:?}: {lines:#?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// `kestrel doctor` fails, and says these things.
fn unwell(bot: &Bot, words: &[&str]) -> Result<()> {
    let output = doctor(bot)?;
    let lines = account_lines(&output);
    let is_said =
        |words: &&str| lines.iter().any(|line| line.contains("FAILED") && line.contains(*words));
    if output.status.success() || !words.iter().all(is_said) {
        bail!(
            "doctor does not say {words:?}: {lines:#?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn session(bot: &Bot) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(bot.store().join("session.json"))?)?)
}

fn device(bot: &Bot) -> Result<String> {
    Ok(session(bot)?["device"].as_str().context("no device id")?.to_owned())
}

fn own_token(bot: &Bot) -> Result<String> {
    Ok(session(bot)?["access_token"].as_str().context("no token")?.to_owned())
}

/// As if the login had been by hand.
fn forget_password(bot: &Bot) -> Result<()> {
    let mut session = session(bot)?;
    session["password_file"] = Value::Null;
    bot.write_secret("store/session.json", &session.to_string()).map(drop)
}

async fn queried(lab: &Lab, token: &str, user: &str) -> Result<Value> {
    let body = json!({"device_keys": {user: []}});
    lab.wire().post("/_matrix/client/v3/keys/query", Some(token), body).await
}

/// The public master key of the user's identity.
async fn master(lab: &Lab, token: &str, user: &str) -> Result<Value> {
    let keys = queried(lab, token, user).await?["master_keys"][user]["keys"].clone();
    if keys.is_null() {
        bail!("{user} has no identity");
    }
    Ok(keys)
}

/// How many devices the account has, by one that is gone again.
async fn devices(lab: &Lab, user: &str) -> Result<usize> {
    let name = user.trim_start_matches('@').split(':').next().unwrap_or_default();
    let seen = lab.login(name, None).await?;
    let token = Some(seen.access_token.as_str());
    let all = lab.wire().get("/_matrix/client/v3/devices", token).await?;
    lab.wire().post("/_matrix/client/v3/logout", token, json!({})).await?;
    Ok(all["devices"].as_array().map_or(0, Vec::len))
}

fn by_password(user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
    })
}

/// What "sign out this device" does in another client.
async fn delete_device(lab: &Lab, bot: &Bot, device: &str) -> Result<()> {
    let auth = by_password(&bot.user_id, &bot.password);
    let body = json!({"auth": auth, "devices": [device]});
    let token = own_token(bot)?;
    lab.wire().post("/_matrix/client/v3/delete_devices", Some(&token), body).await.map(drop)
}

async fn delete_device_as(lab: &Lab, bot: &Bot, password: &str) -> Result<()> {
    let (device, token) = (device(bot)?, own_token(bot)?);
    let body = json!({"auth": by_password(&bot.user_id, password), "devices": [device]});
    // A change of the password may have ended the session already.
    let _ = lab.wire().post("/_matrix/client/v3/delete_devices", Some(&token), body).await;
    Ok(())
}

/// Claims so many of the bot's one-time keys, and says how many there were.
async fn claim(lab: &Lab, ops: &OpsRoom, bot: &Bot, claims: usize) -> Result<usize> {
    let token = Some(ops.admin().account.access_token.as_str());
    let body = json!({"one_time_keys": {&bot.user_id: {device(bot)?: "signed_curve25519"}}});
    let mut came = 0;
    for _ in 0..claims {
        let answer = lab.wire().post("/_matrix/client/v3/keys/claim", token, body.clone()).await?;
        came += usize::from(answer["one_time_keys"][&bot.user_id].is_object());
    }
    Ok(came)
}

/// Waits until the bot has put new keys in the place of those that were claimed.
async fn more_uploaded(lab: &Lab, bot: &Bot) -> Result<()> {
    let token = own_token(bot)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let answer =
            lab.wire().post("/_matrix/client/v3/keys/upload", Some(&token), json!({})).await?;
        if answer["one_time_key_counts"]["signed_curve25519"].as_u64() >= Some(50) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the bot uploaded no new keys:\n{}", bot.last_words())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn put_back(backup: &Path, folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder)?;
    copy_folder(backup, folder)
}
