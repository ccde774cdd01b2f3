//! What somebody can do who has an admin's access token and none of the admin's keys; and what a device can that
//! nobody verified. A bare token is a plain HTTP request, as a script would send it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kestrel_lab::faults::evict;
use kestrel_lab::ops::{Bot, Message, OpsRoom, Person};
use kestrel_lab::{Lab, LabOptions};
use ruma::{EventId, OwnedEventId};
use serde_json::{Value, json};

use crate::watch::{telling, told};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(40);
const NOT_ENCRYPTED: &str = "Not run: this message was not encrypted.";
const COPY: &str = "Not run: this is a copy of an earlier encrypted message";

/// Sends an event with a person's access token and nothing else.
async fn bare(lab: &Lab, person: &Person, kind: &str, content: Value) -> Result<OwnedEventId> {
    let (room, txn) = (person.room_id(), lab.fresh_name("txn"));
    let path = format!("/_matrix/client/v3/rooms/{room}/send/{kind}/{txn}");
    let token = Some(person.account.access_token.as_str());
    let sent = lab.wire().put(&path, token, content).await?;
    Ok(EventId::parse(sent["event_id"].as_str().context("no event id")?)?)
}

async fn bare_line(lab: &Lab, person: &Person, line: &str) -> Result<OwnedEventId> {
    bare(lab, person, "m.room.message", json!({"msgtype": "m.text", "body": line})).await
}

async fn bare_reaction(lab: &Lab, person: &Person, to: &EventId, key: &str) -> Result<()> {
    let relation = json!({"rel_type": "m.annotation", "event_id": to, "key": key});
    bare(lab, person, "m.reaction", json!({"m.relates_to": relation})).await.map(drop)
}

/// Sends the ciphertext of an event once more.
async fn copied(lab: &Lab, person: &Person, event: &EventId) -> Result<OwnedEventId> {
    let path = format!("/_matrix/client/v3/rooms/{}/event/{event}", person.room_id());
    let sent = lab.wire().get(&path, Some(person.account.access_token.as_str())).await?;
    ensure!(sent["type"] == "m.room.encrypted", "not encrypted: {sent}");
    bare(lab, person, "m.room.encrypted", sent["content"].clone()).await
}

/// The first answer to a line.
async fn answer(person: &Person, line: &EventId, bot: &Bot) -> Result<String> {
    let thread = person.thread(line, PATIENCE).await?;
    let notice = thread.iter().find(|message| message.kind == "m.notice");
    Ok(notice.with_context(|| format!("no answer:\n{}", bot.last_words()))?.plain.clone())
}

/// The answer to a line that somebody types.
async fn said(person: &Person, line: &str, bot: &Bot) -> Result<String> {
    answer(person, &person.ask(line).await?, bot).await.with_context(|| format!("to {line}"))
}

/// How often these words are in the threads under these lines. Something encrypted is answered first, so all of
/// them were heard.
async fn times(ops: &OpsRoom, bot: &Bot, lines: &[OwnedEventId], words: &str) -> Result<usize> {
    said(ops, "!help", bot).await?;
    let mut times = 0;
    for line in lines {
        let thread: Vec<Message> = ops.thread(line, Duration::from_secs(1)).await?;
        times += thread.iter().filter(|message| message.plain.contains(words)).count();
    }
    Ok(times)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_bare_token_commands_nothing_and_presses_what_only_reads() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let patient = evict(&lab).await?;
    let root = telling(&ops, &bot, &patient.device).await?;
    let asked = ops.ask(&format!("!ke1 {} {}", patient.user, patient.device)).await?;
    answer(&ops, &asked, &bot).await?;
    let capture = ops.ask(&format!("!capture start {} {}", patient.user, patient.device)).await?;
    let list = ops.thread(&capture, PATIENCE).await?;
    let list = list.first().with_context(|| bot.last_words())?.clone();

    let mut lines = Vec::new();
    for line in
        ["!mute all 24h", "!case 1 delete", "!case 2 delete", "!capture stop", "!help", "!storms"]
    {
        lines.push(bare_line(&lab, &ops, line).await?);
    }
    let edit = json!({
        "msgtype": "m.text", "body": "* !mute all 24h",
        "m.new_content": {"msgtype": "m.text", "body": "!mute all 24h"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": asked},
    });
    lines.push(bare(&lab, &ops, "m.room.message", edit).await?);
    let file = json!({
        "msgtype": "m.file", "body": "!report", "filename": "a.json", "url": "mxc://lab.local/none",
    });
    lines.push(bare(&lab, &ops, "m.room.message", file).await?);
    let reason = answer(&ops, &lines[0], &bot).await?;
    println!("{reason}\n");
    assert!(reason.starts_with(NOT_ENCRYPTED), "{reason}");
    assert_eq!(times(&ops, &bot, &lines, "").await?, 1, "one reason, and nothing else");
    nothing_was_done(&ops, &bot).await?;

    bare_reaction(&lab, &ops, &root.event_id, "🔁").await?;
    told(&ops, &root, "Triage · ").await?;
    bare_reaction(&lab, &ops, &root.event_id, "❓").await?;
    told(&ops, &root, "SELECT algorithm, key_id").await?;
    bare_reaction(&lab, &ops, &root.event_id, "🔕").await?;
    let how = told(&ops, &root, "!mute 1 1h").await?;
    println!("{}\n", how.plain);
    bare_reaction(&lab, &ops, &list.event_id, "4️⃣").await?;
    told(&ops, &list_root(&list, &capture), "4️⃣ ☑").await?;
    nothing_was_done(&ops, &bot).await?;

    let mute = ops.ask("!mute 1 1h").await?;
    let muted = answer(&ops, &mute, &bot).await?;
    assert!(muted.contains("storm 1"), "{muted}");
    said(&ops, "!unmute", &bot).await?;
    let copy = copied(&lab, &ops, &mute).await?;
    let reason = answer(&ops, &copy, &bot).await?;
    println!("{reason}\n");
    assert!(reason.starts_with(COPY), "{reason}");
    nothing_was_done(&ops, &bot).await
}

/// The message whose thread this is, as the helpers take it.
fn list_root(list: &Message, root: &EventId) -> Message {
    Message { event_id: root.to_owned(), ..list.clone() }
}

/// Nothing is muted, no case is gone, the capture continues.
async fn nothing_was_done(ops: &OpsRoom, bot: &Bot) -> Result<()> {
    let storms = said(ops, "!storms", bot).await?;
    assert!(storms.contains("1 ongoing storm") && !storms.contains("Muted"), "{storms}");
    for case in [1, 2] {
        let page = said(ops, &format!("!case {case}"), bot).await?;
        assert!(page.contains(&format!("Case {case} ")), "{page}");
    }
    let capture = said(ops, "!capture", bot).await?;
    assert!(capture.starts_with("Capture 1 · "), "{capture}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_copy_is_seen_after_a_crash_and_when_it_was_refused() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let first = ops.ask("!mute all 1h").await?;
    assert!(answer(&ops, &first, &bot).await?.contains("all storms"));
    said(&ops, "!unmute", &bot).await?;
    bot.kill()?;
    bot.run()?;
    let copy = copied(&lab, &ops, &first).await?;
    assert!(answer(&ops, &copy, &bot).await?.starts_with(COPY));
    let second = second_device(&lab, &ops).await?;
    let refused = second.ask("!mute all 1h").await?;
    let reason = answer(&ops, &refused, &bot).await?;
    assert!(reason.contains("require_verified = \"destructive\""), "{reason}");
    ops.sign(&second.account).await?;
    let copy = copied(&lab, &ops, &refused).await?;
    // That the bot knows the device as signed shows here.
    assert!(said(&second, "!mute all 1h", &bot).await?.contains("all storms"));
    said(&ops, "!unmute", &bot).await?;
    assert!(ops.thread(&copy, Duration::from_secs(1)).await?.is_empty(), "two reasons in an hour");
    assert!(!said(&ops, "!storms", &bot).await?.contains("Muted"), "{}", bot.last_words());
    Ok(())
}

/// One more device of the admin's, in the room, that nobody signed.
async fn second_device(lab: &Lab, ops: &OpsRoom) -> Result<Person> {
    let user = ops.admin().account.user_id.trim_start_matches('@');
    let localpart = user.split(':').next().unwrap_or_default();
    let account = lab.login(localpart, None).await?;
    Person::enter(lab, account, &ops.room_id()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_device_that_nobody_signed_reads_and_silences_nothing() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let second = second_device(&lab, &ops).await?;
    // The bot has never seen this device: it looks it up once.
    let helped = said(&second, "!help", &bot).await?;
    assert!(helped.contains("!ke1 @user:server DEVICE"), "{helped}");
    let reason = said(&second, "!mute all 1h", &bot).await?;
    println!("{reason}\n");
    assert!(reason.starts_with("Not run: this command needs a verified device"), "{reason}");
    let again = second.ask("!case 1 delete").await?;
    assert_eq!(times(&ops, &bot, &[again], "").await?, 0, "the reason was given twice");
    // Verified in the very moment before: the bot asks again before it refuses.
    ops.sign(&second.account).await?;
    let muted = said(&second, "!mute all 1h", &bot).await?;
    assert!(muted.contains("all storms"), "{muted}");

    let third = second_device(&lab, &ops).await?;
    for (rule, command, says) in [
        ("always", "!help", "require_verified = \"always\""),
        ("never", "!unmute", "Nothing is muted any more."),
    ] {
        configure(&mut bot, &format!("require_verified = \"{rule}\""))?;
        let said = said(&third, command, &bot).await?;
        assert!(said.contains(says), "{rule}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_keys_of_a_device_that_was_signed_out_and_of_others_command_nothing() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let second = second_device(&lab, &ops).await?;
    ops.sign(&second.account).await?;
    // A device that counts: and nobody heard the command for which it made a key.
    assert!(said(&second, "!unmute", &bot).await?.contains("Nothing was muted"));
    bot.stop();
    let unheard = second.ask("!mute all 1h").await?;
    let path = format!("/_matrix/client/v3/rooms/{}", ops.room_id());
    let token = Some(ops.admin().account.access_token.as_str());
    let sent = lab.wire().get(&format!("{path}/event/{unheard}"), token).await?;
    lab.wire().put(&format!("{path}/redact/{unheard}/1"), token, json!({})).await?;
    let logout = "/_matrix/client/v3/logout";
    lab.wire().post(logout, Some(second.account.access_token.as_str()), json!({})).await?;
    bot.run()?;
    said(&ops, "!help", &bot).await?;
    let stolen = bare(&lab, &ops, "m.room.encrypted", sent["content"].clone()).await?;
    let reason = answer(&ops, &stolen, &bot).await?;
    println!("{reason}\n");
    assert!(reason.contains("does not list the device"), "{reason}");

    // A member's own key, under the admin's name.
    let member = ops.bring(&lab, "member").await?;
    let theirs = member.ask("!mute all 1h").await?;
    assert!(answer(&member, &theirs, &bot).await?.contains("only this server's administrators"));
    let copy = copied(&lab, &ops, &theirs).await?;
    let reason = answer(&ops, &copy, &bot).await?;
    println!("{reason}\n");
    assert!(reason.contains("encrypted by another user's device"), "{reason}");
    assert!(!said(&ops, "!storms", &bot).await?.contains("Muted"), "{}", bot.last_words());
    Ok(())
}

/// Starts the bot again with more keys in `[matrix]`.
fn configure(bot: &mut Bot, keys: &str) -> Result<()> {
    bot.stop();
    let config = fs::read_to_string(bot.config_path())?;
    let added = |line: &&str| {
        !line.starts_with("require_verified") && !line.starts_with("allow_unencrypted")
    };
    let config: Vec<_> = config.lines().filter(added).collect();
    let config = config.join("\n").replace("[matrix]\n", &format!("[matrix]\n{keys}\n"));
    fs::write(bot.config_path(), config)?;
    bot.run()
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_room_that_is_not_encrypted_is_as_the_config_says() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open_plain(&lab).await?;
    let folder = lab.scratch().join("bot");
    let mut bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, "").await?;
    let reason = said(&ops, "!help", &bot).await?;
    println!("{reason}\n");
    assert!(reason.contains("allow_unencrypted = true"), "{reason}");

    configure(&mut bot, "allow_unencrypted = true")?;
    for _ in 0..2 {
        let asked = ops.ask("!tree").await?;
        let thread = ops.thread(&asked, PATIENCE).await?;
        assert!(thread.iter().any(|one| one.plain.contains("unknown-device")), "{thread:?}");
    }
    let reason = said(&ops, "!mute all 1h", &bot).await?;
    println!("{reason}\n");
    assert!(reason.starts_with("Not run: this command needs a verified device"), "{reason}");
    configure(&mut bot, "allow_unencrypted = true\nrequire_verified = \"never\"")?;
    let muted = said(&ops, "!mute all 1h", &bot).await?;
    assert!(muted.contains("all storms"), "{muted}");
    let warned = warnings(&lab, &ops).await?;
    assert_eq!(warned, 1, "two commands and a restart, one warning");

    // From here on no plain event counts.
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.encryption", ops.room_id());
    let token = Some(ops.admin().account.access_token.as_str());
    lab.wire().put(&path, token, json!({"algorithm": "m.megolm.v1.aes-sha2"})).await?;
    let plain = bare_line(&lab, &ops, "!unmute").await?;
    let reason = answer(&ops, &plain, &bot).await?;
    assert!(reason.starts_with(NOT_ENCRYPTED), "{reason}");
    Ok(())
}

/// How often the room was told that it is not encrypted; of what the server has.
async fn warnings(lab: &Lab, ops: &OpsRoom) -> Result<usize> {
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", ops.room_id());
    let all = lab.wire().get(&path, Some(ops.admin().account.access_token.as_str())).await?;
    let all = all["chunk"].as_array().context("no messages")?;
    let says = |event: &&Value| {
        event["content"]["body"]
            .as_str()
            .is_some_and(|body| body.starts_with("This room is not encrypted"))
    };
    Ok(all.iter().filter(says).count())
}
