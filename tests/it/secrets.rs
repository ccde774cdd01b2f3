//! Two hundred secrets, sent through the real bot in a report, a HAR file and a console log, while a capture
//! continues: none is in a room, an attachment, the bundle, the ledger, a file of the store or the bot's log.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kestrel_lab::ops::Message;
use serde_json::{Value, json};

use crate::reports::{
    PATIENCE, SILENCE, direct, files, opened, planted_in, refusal, report, says, thread,
};

/// Two hundred secrets: the name that each goes by, its text, and the part that must never be seen again.
fn secrets() -> Vec<(&'static str, String, String)> {
    const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |length: usize| -> String {
        let letter = |_| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            char::from(LETTERS[(chance % LETTERS.len() as u64) as usize])
        };
        (0..length).map(letter).collect()
    };
    let secret = |number: usize| {
        let core = random(24);
        let (name, text) = match number % 10 {
            0 => ("access_token", format!("syt_YWxpY2U_{core}_1a2b3c")),
            1 => ("refresh_token", format!("syr_{core}_xyz")),
            2 => ("cookie", format!("sid={core}")),
            3 => ("password", format!("correct {core} staple")),
            4 => ("session_data", format!("{core}{}", random(60))),
            5 => ("session_key", format!("AgAAAA{core}{}", random(180))),
            6 => ("body", format!("dear {core} come at nine")),
            7 => ("delay_id", format!("syd_{core}")),
            8 => ("jwt", format!("eyJhbGciOiJIUzI1NiJ9.eyJ{core}.{}", random(43))),
            _ => ("private_key", core.clone()),
        };
        (name, text, core)
    };
    (0..200).map(secret).collect()
}

/// A report, a HAR file and a console log in one archive, each with every secret in the places it has.
fn laden(own: &[u8], secrets: &[(&str, String, String)]) -> Result<Vec<u8>> {
    let mut report: Value = serde_json::from_slice(own)?;
    let (mut console, mut requests) = (String::new(), Vec::new());
    for (number, (name, text, _)) in secrets.iter().enumerate() {
        report[format!("{name}{number}")] = json!(text);
        report["more"][*name] = json!({"content": {*name: text}});
        let line =
            format!("MissingKey: missing key at index 1 {name}={text} {{\"{name}\":\"{text}\"}}");
        report["entries"]
            .as_array_mut()
            .context("no entries")?
            .push(json!({"ts": 1, "message": line}));
        console.push_str(&format!("2026-11-22T11:51:40.184Z W {line}\n"));
        console.push_str(&format!("2026-11-22T11:51:40.184Z I a line of nobody {text}\n"));
        let path = match number % 3 {
            0 => format!("keys/upload?{name}={}", text.replace(' ', "%20")),
            1 => format!("rooms/!r:x/send/m.room.message/{}", text.replace(' ', "%20")),
            _ => format!("org.matrix.msc4140/delayed_events/{}/restart", text.replace(' ', "%20")),
        };
        let body = json!({*name: text, "error": json!({*name: text}).to_string()}).to_string();
        requests.push(json!({
            "startedDateTime": "2026-11-22T11:51:40.184Z", "time": 12.0,
            "request": {
                "method": "POST", "url": format!("https://x/_matrix/client/v3/{path}"),
                "headers": [{"name": "Authorization", "value": format!("Bearer {text}")}, {"name": *name, "value": text}],
                "cookies": [{"name": *name, "value": text}], "queryString": [{"name": *name, "value": text}],
                "postData": {"mimeType": "application/json", "text": body},
            },
            "response": {"status": 400, "headers": [{"name": "Set-Cookie", "value": text}], "content": {"text": body}},
        }));
    }
    let har = json!({"log": {"version": "1.2", "entries": requests}}).to_string();
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in
        [("diag.json", report.to_string()), ("call.har", har), ("console.log", console)]
    {
        packed.start_file(name, zip::write::SimpleFileOptions::default())?;
        packed.write_all(content.as_bytes())?;
    }
    Ok(packed.finish()?.into_inner())
}

/// The texts in an archive.
fn unpacked(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut texts = Vec::new();
    for number in 0..archive.len() {
        let mut file = archive.by_index(number)?;
        let mut bytes = Vec::new();
        std::io::copy(&mut file, &mut bytes)?;
        texts.push((file.name()?.into_owned(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_two_hundred_secrets_survive_nowhere() -> Result<()> {
    let (lab, ops, bot, patient) = opened("").await?;
    let user = direct(&lab, &patient.user, &bot, &[]).await?;
    user.sees_join(&bot.user_id, PATIENCE).await.with_context(|| bot.last_words())?;
    let capture =
        ops.ask(&format!("!capture start {} {} for 5m", patient.user, patient.device)).await?;
    thread(&ops, &capture, "Capture 1").await?;
    let secrets = secrets();
    let own = report(&patient.user, &patient.device, &refusal(&lab, &patient)?);
    lab.log_written().await?;
    user.attach("all.zip", "application/zip", laden(&own, &secrets)?).await?;
    let receipt = says(&user, &bot, "Your report is case ").await?;
    println!("{}\n", receipt.plain);
    assert!(receipt.plain.contains("delay IDs"), "they were not seen: {}", receipt.plain);
    let root = says(&ops, &bot, "Report from ").await?;
    println!("{}\n", root.plain);
    let told = thread(&ops, &root.event_id, "Triage · ").await?;
    ops.ask_in_thread(&capture, "!capture stop").await?;
    let bundled =
        |one: &Message| one.attachment_name.as_deref().is_some_and(|name| name.ends_with(".zip"));
    let deadline = Instant::now() + PATIENCE;
    let captured = loop {
        let captured = ops.thread(&capture, Duration::from_secs(3)).await?;
        if captured.iter().any(bundled) {
            break captured;
        }
        ensure!(Instant::now() < deadline, "no bundle:\n{}", bot.last_words());
    };
    let mut texts = vec![("receipt".to_owned(), receipt.content.to_string())];
    for message in ops.roots(SILENCE, |_| false).await?.iter().chain(&told).chain(&captured) {
        texts.push((format!("message of {}", message.sender), message.content.to_string()));
        let Some(name) = message.attachment_name.as_deref() else { continue };
        let bytes = ops.download(message).await?;
        match bundled(message) {
            true => texts.extend(unpacked(&bytes)?),
            false => texts.push((name.to_owned(), String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
    let kept = files(&lab.scratch().join("bot/store"))?;
    for path in kept.into_iter().chain([bot.log_path()]) {
        let (name, bytes) = (path.display().to_string(), fs::read(&path)?);
        match name.ends_with(".zip") {
            true => texts.extend(unpacked(&bytes)?),
            false => texts.push((name, String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
    for needed in ["report.json", "ledger.sqlite", "manifest.json", "reports/"] {
        let there = texts.iter().any(|(name, _)| name.contains(needed));
        assert!(there, "{needed}: {:?}", texts.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
    for (name, text) in &texts {
        for (kind, _, core) in &secrets {
            assert!(!text.contains(core), "a {kind} is in {name}");
        }
        assert_eq!(planted_in(text), None, "in {name}");
    }
    println!("{} texts looked through", texts.len());
    Ok(())
}
