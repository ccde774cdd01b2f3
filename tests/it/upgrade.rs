//! The ops room changes under the bot: it is upgraded, somebody claims that it was, the bot is removed from it, or the
//! homeserver's clock is wrong. Real rooms of a real homeserver.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::faults::{evict, healthy};
use kestrel_lab::gateway::Gateway;
use kestrel_lab::ops::{Bot, Message, OpsRoom, Person};
use kestrel_lab::{Lab, LabOptions};
use ruma::{EventId, OwnedRoomId, RoomId};
use serde_json::{Value, json};

const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for a message that should not come.
const SILENCE: Duration = Duration::from_secs(6);
const UPGRADED: &str = "Room upgraded: ";
const NOT_FOLLOWED: &str = "Room upgrade not followed: ";

/// A lab with an ops room and the bot in it, and what else its config says.
async fn room(extra: &str) -> Result<(Lab, OpsRoom, Bot)> {
    let lab = Lab::start(LabOptions::default()).await?;
    let ops = OpsRoom::open(&lab).await?;
    let folder = lab.scratch().join("bot");
    let bot = Bot::start(&lab, &ops, Path::new(KESTREL), &folder, extra).await?;
    Ok((lab, ops, bot))
}

/// What the bot said outside of threads that holds these words.
async fn said(person: &Person, bot: &Bot, words: &str, patience: Duration) -> Result<Vec<Message>> {
    let holds = |message: &&Message| message.plain.contains(words);
    let all = person.roots(patience, |all| all.iter().any(|message| holds(&message))).await?;
    Ok(all.iter().filter(holds).filter(|said| said.sender == bot.user_id).cloned().collect())
}

/// The first message of the bot that holds these words.
async fn notice(person: &Person, bot: &Bot, words: &str) -> Result<Message> {
    let said = said(person, bot, words, PATIENCE).await?;
    let room = person.room_id();
    let first = said.first().cloned();
    first.with_context(|| format!("{words:?} is not in {room}:\n{}", bot.last_words()))
}

/// The answer to a line.
async fn answer(person: &Person, bot: &Bot, line: &str) -> Result<String> {
    let asked = person.ask(line).await?;
    let thread = person.thread(&asked, PATIENCE).await?;
    let notice = thread.iter().find(|message| message.kind == "m.notice");
    Ok(notice
        .with_context(|| format!("{line} is not answered:\n{}", bot.last_words()))?
        .plain
        .clone())
}

/// A request to a room, by one of its members.
async fn put(lab: &Lab, person: &Person, room: &RoomId, state: &str, content: Value) -> Result<()> {
    let path = format!("/_matrix/client/v3/rooms/{room}/state/{state}/");
    lab.wire().put(&path, Some(person.account.access_token.as_str()), content).await.map(drop)
}

async fn post(lab: &Lab, person: &Person, path: &str, body: Value) -> Result<Value> {
    let path = format!("/_matrix/client/v3/{path}");
    lab.wire().post(&path, Some(person.account.access_token.as_str()), body).await
}

/// Changes a room's power levels.
async fn levels(lab: &Lab, person: &Person, change: impl Fn(&mut Value)) -> Result<()> {
    let room = person.room_id();
    let path = format!("/_matrix/client/v3/rooms/{room}/state/m.room.power_levels/");
    let token = Some(person.account.access_token.as_str());
    let mut content = lab.wire().get(&path, token).await?;
    change(&mut content);
    put(lab, person, &room, "m.room.power_levels", content).await
}

/// Upgrades a room as clients do; returns its admin in the new one.
async fn upgrade(lab: &Lab, admin: &Person, version: &str) -> Result<Person> {
    let path = format!("rooms/{}/upgrade", admin.room_id());
    let made = post(lab, admin, &path, json!({"new_version": version})).await?;
    admin.in_room(&room_id(&made["replacement_room"])?).await
}

fn room_id(value: &Value) -> Result<OwnedRoomId> {
    Ok(RoomId::parse(value.as_str().context("no room id")?)?)
}

/// Makes a room that claims to have replaced another one, and says so there.
async fn replace(lab: &Lab, person: &Person, bot: &Bot, users: Value) -> Result<OwnedRoomId> {
    let old = person.room_id();
    let body = json!({
        "preset": "private_chat",
        "room_version": "11",
        "invite": [bot.user_id],
        "creation_content": {"predecessor": {"room_id": old, "event_id": "$none"}},
        "power_level_content_override": {"users": users},
        "initial_state": [{
            "type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        }],
    });
    let new = room_id(&post(lab, person, "createRoom", body).await?["room_id"])?;
    let tombstone = json!({"body": "moved", "replacement_room": new});
    put(lab, person, &old, "m.room.tombstone", tombstone).await?;
    Ok(new)
}

/// Whether the bot is in a room, as a member of it sees it.
async fn is_in(lab: &Lab, member: &Person, room: &RoomId, bot: &Bot) -> Result<bool> {
    let path = format!("/_matrix/client/v3/rooms/{room}/joined_members");
    let token = Some(member.account.access_token.as_str());
    Ok(!lab.wire().get(&path, token).await?["joined"][&bot.user_id].is_null())
}

fn mentions(message: &Message, person: &Person) -> bool {
    message.content["m.mentions"]["user_ids"] == json!([person.account.user_id])
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_an_admins_upgrade_is_followed_and_storms_are_in_both_rooms_until_a_command()
-> Result<()> {
    let (lab, ops, mut bot) = room("[watch]\nmention = false\n").await?;
    // So that it may send in the old room afterwards.
    levels(&lab, &ops, |levels| levels["users"][&bot.user_id] = json!(50)).await?;
    let next = upgrade(&lab, &ops, "12").await?;
    next.invite(&bot.user_id).await?;
    let line = format!("rooms = [\"{}\"]", next.room_id());
    for room in [ops.admin(), &next] {
        let says = notice(room, &bot, UPGRADED).await?;
        assert!(says.plain.contains(&line), "{}", says.plain);
        assert!(mentions(&says, &next), "{:?}", says.content);
    }
    println!("{}\n", notice(&next, &bot, UPGRADED).await?.plain);

    let first = evict(&lab).await?;
    for room in [ops.admin(), &next] {
        let root = notice(room, &bot, &first.device).await?;
        assert!(root.plain.contains("Storm 1 · "), "{}", root.plain);
        assert!(mentions(&root, &next), "{:?}", root.content);
        assert_eq!(room.reactions(&root.event_id, PATIENCE).await?.len(), 3);
    }
    // The copy leads to the same storm and the same case.
    let copy = notice(&next, &bot, &first.device).await?;
    let why = next.ask_in_thread(&copy.event_id, "!why").await?;
    in_thread(&next, &copy.event_id, &bot, "SELECT algorithm, key_id").await?;
    println!("{why}: {}\n", notice(&next, &bot, "encrypted command arrived here").await?.plain);

    let second = evict(&lab).await?;
    notice(&next, &bot, &second.device).await?;
    assert!(said(&ops, &bot, &second.device, SILENCE).await?.is_empty(), "posted in the old room");
    // The next process knows the room from its ledger.
    bot.kill()?;
    bot.run()?;
    let storms = answer(&next, &bot, "!storms").await?;
    assert!(storms.contains(&second.device), "{storms}");
    assert_eq!(said(&next, &bot, UPGRADED, SILENCE).await?.len(), 1, "said again");

    let third = upgrade(&lab, &next, "12").await?;
    third.invite(&bot.user_id).await?;
    let says = notice(&third, &bot, UPGRADED).await?;
    assert!(says.plain.contains(&format!("rooms = [\"{}\"]", third.room_id())), "{}", says.plain);
    assert!(answer(&third, &bot, "!help").await?.contains("!ke1"));
    let log = fs::read_to_string(bot.log_path())?;
    assert_eq!(log.matches("and Kestrel follows").count(), 2, "{log}");
    Ok(())
}

/// Waits for words in a thread.
async fn in_thread(person: &Person, root: &EventId, bot: &Bot, words: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let thread = person.thread(root, Duration::from_secs(2)).await?;
        if thread.iter().any(|message| message.plain.contains(words)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{words:?} is not in {thread:#?}\n{}", bot.last_words());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_where_the_old_room_is_closed_all_is_said_in_the_new_one() -> Result<()> {
    let (lab, ops, bot) = room("").await?;
    let next = upgrade(&lab, &ops, "11").await?;
    next.invite(&bot.user_id).await?;
    notice(&next, &bot, UPGRADED).await?;
    let patient = evict(&lab).await?;
    let root = notice(&next, &bot, &patient.device).await?;
    assert!(root.plain.contains("Storm 1 · "), "{}", root.plain);
    assert!(said(&ops, &bot, "", SILENCE).await?.is_empty(), "it may not send in the old room");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_tombstone_of_a_member_and_one_that_gives_power_away_are_not_followed() -> Result<()>
{
    let (lab, ops, bot) = room("").await?;
    let member = ops.bring(&lab, "member").await?;
    levels(&lab, &ops, |levels| levels["events"]["m.room.tombstone"] = json!(0)).await?;
    let (admin, evil) = (&ops.admin().account.user_id, &member.account.user_id);
    let stolen = replace(&lab, &member, &bot, json!({evil: 100, admin: 100})).await?;
    let says = notice(&ops, &bot, NOT_FOLLOWED).await?;
    println!("{}\n", says.plain);
    assert!(says.plain.contains("he sender is not allowed to command Kestrel"), "{}", says.plain);
    assert!(mentions(&says, &ops), "{:?}", says.content);
    assert!(!is_in(&lab, &member, &stolen, &bot).await?);

    // A stolen token of the admin: the thief has power in the new room.
    let given = replace(&lab, &ops, &bot, json!({admin: 100, evil: 100})).await?;
    let reason = format!("{evil} has admin power in the new room and not in the old one");
    println!("{}\n", notice(&ops, &bot, &reason).await?.plain);
    assert!(answer(&ops, &bot, "!help").await?.contains("!ke1"));
    assert!(!is_in(&lab, &ops, &given, &bot).await?, "it stays in the room");
    assert_eq!(said(&ops, &bot, NOT_FOLLOWED, SILENCE).await?.len(), 2);
    let log = fs::read_to_string(bot.log_path())?;
    assert_eq!(log.matches("is not followed: ").count(), 2, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_an_upgrade_waits_for_an_invitation_and_ends_when_the_bot_is_removed_at_once()
-> Result<()> {
    let (lab, ops, bot) = room("").await?;
    levels(&lab, &ops, |levels| levels["users"][&bot.user_id] = json!(50)).await?;
    let next = upgrade(&lab, &ops, "11").await?;
    // Clients invite after the tombstone: it waits a minute for that before it says so.
    let said = said(&ops, &bot, NOT_FOLLOWED, PATIENCE * 3).await?;
    let says = &said.first().with_context(|| bot.last_words())?.plain;
    assert!(says.contains("o admin has invited Kestrel to the new room"), "{says}");
    next.invite(&bot.user_id).await?;
    notice(&next, &bot, UPGRADED).await?;
    let kick = format!("rooms/{}/kick", next.room_id());
    post(&lab, &next, &kick, json!({"user_id": bot.user_id})).await?;
    notice(&ops, &bot, "it no longer follows the upgrade").await?;
    let patient = evict(&lab).await?;
    notice(&ops, &bot, &patient.device).await?;
    assert!(answer(&ops, &bot, "!help").await?.contains("!ke1"));
    Ok(())
}

/// The Matrix client leaves with a room all that it claims to have replaced.
#[tokio::test(flavor = "multi_thread")]
async fn lab_a_chat_that_claims_to_replace_the_ops_room_takes_the_bot_out_of_none() -> Result<()> {
    let (lab, ops, bot) = room("").await?;
    let user = lab.register(&lab.fresh_name("user")).await?;
    let body = json!({
        "preset": "trusted_private_chat",
        "is_direct": true,
        "invite": [bot.user_id],
        "creation_content": {"predecessor": {"room_id": ops.room_id(), "event_id": "$none"}},
    });
    let token = Some(user.access_token.as_str());
    let made = lab.wire().post("/_matrix/client/v3/createRoom", token, body).await?;
    let chat = Person::enter(&lab, user, &room_id(&made["room_id"])?).await?;
    chat.sees_join(&bot.user_id, PATIENCE).await?;
    // It is no direct chat any more.
    chat.invite(&ops.admin().account.user_id).await?;
    chat.ask("hello").await?;
    let deadline = Instant::now() + PATIENCE;
    while is_in(&lab, &chat, &chat.room_id(), &bot).await? {
        ensure!(Instant::now() < deadline, "it stays: {}", bot.last_words());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(answer(&ops, &bot, "!help").await?.contains("!ke1"));
    assert!(is_in(&lab, &ops, &ops.room_id(), &bot).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_what_is_owed_to_a_room_that_the_bot_was_removed_from_is_sent_when_it_is_back()
-> Result<()> {
    let (lab, ops, mut bot) = room("").await?;
    let made = post(
        &lab,
        &ops,
        "createRoom",
        json!({"preset": "private_chat", "initial_state": [{
            "type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        }]}),
    );
    let other = ops.in_room(&room_id(&made.await?["room_id"])?).await?;
    let gateway = Gateway::open(lab.homeserver()).await?;
    let config = fs::read_to_string(bot.config_path())?;
    let rooms = format!("\"{}\", \"{}\"", ops.room_id(), other.room_id());
    let config = config.replace(&format!("\"{}\"", ops.room_id()), &rooms);
    bot.stop();
    fs::write(bot.config_path(), config.replace(lab.homeserver(), &gateway.url()))?;
    other.invite(&bot.user_id).await?;
    bot.run()?;
    other.sees_join(&bot.user_id, PATIENCE).await?;
    let patient = healthy(&lab).await?;

    gateway.shut(&["/send/"]);
    let question = format!("!ke1 {} {}", patient.user, patient.device);
    let owed = ops.ask(&question).await?;
    let deadline = Instant::now() + PATIENCE;
    while gateway.refused() == 0 {
        ensure!(Instant::now() < deadline, "the bot sent nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nobody hears this one before the bot is back.
    bot.stop();
    let last = ops.ask(&question).await?;
    let kick = format!("rooms/{}/kick", ops.room_id());
    post(&lab, &ops, &kick, json!({"user_id": bot.user_id})).await?;
    gateway.reopen();
    bot.run()?;
    let admin = &ops.admin().account.user_id;
    let gone = format!("any more: removed by {admin}.");
    println!("{}\n", notice(&other, &bot, &gone).await?.plain);
    let evicted = evict(&lab).await?;
    let storms = answer(&other, &bot, "!storms").await?;
    assert!(storms.contains(&gone), "{storms}");

    ops.invite(&bot.user_id).await?;
    for asked in [&owed, &last] {
        let thread = ops.thread(asked, PATIENCE).await?;
        let verdicts = thread.iter().filter(|message| message.plain.contains(" · KE-1 · ")).count();
        assert_eq!(verdicts, 1, "{thread:#?}\n{}", bot.last_words());
    }
    notice(&ops, &bot, &evicted.device).await?;
    let storms = answer(&other, &bot, "!storms").await?;
    assert!(!storms.contains("any more"), "{storms}");
    assert_eq!(said(&other, &bot, &gone, SILENCE).await?.len(), 1);
    let log = fs::read_to_string(bot.log_path())?;
    assert_eq!(log.matches("is not in the ops room").count(), 1, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_homeserver_whose_clock_is_behind_loses_no_command() -> Result<()> {
    let (lab, ops, mut bot) = room("").await?;
    let gateway = Gateway::open(lab.homeserver()).await?;
    bot.stop();
    let config = fs::read_to_string(bot.config_path())?;
    fs::write(bot.config_path(), config.replace(lab.homeserver(), &gateway.url()))?;
    gateway.set_clock(-7 * 60);
    // Its own start keeps the homeserver busy: the first comparison gets no answer.
    gateway.shut(&["/_matrix/client/versions"]);
    bot.run()?;
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(bot.log_path())?.contains("the clocks could not be compared") {
        ensure!(Instant::now() < deadline, "no comparison failed: {}", bot.last_words());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gateway.reopen();
    for _ in 0..2 {
        let help = answer(&ops, &bot, "!help").await?;
        assert!(help.contains("!ke1") && !help.contains("Late answer"), "{help}");
    }
    let says = said(&ops, &bot, "the homeserver's clock is ", PATIENCE).await?;
    assert_eq!(says.len(), 1, "{says:#?}\n{}", bot.last_words());
    println!("{}\n", says[0].plain);
    assert!(says[0].plain.contains("behind this machine's"), "{}", says[0].plain);
    Ok(())
}
