//! All branches at once, and a client's own files beside the server's evidence.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use kestrel::config::Config;
use kestrel::flow::{self, Case};
use kestrel_core::command;
use kestrel_core::diagnose::Certainty::{self, Consistent, Proven};
use kestrel_core::question::Topic;
use kestrel_core::render;
use kestrel_lab::{Lab, faults, media};
use serde_json::{Value, json};

use crate::crafted;
use crate::terminal::kestrel;
use crate::verdicts::{ROLE, answer, compare, config, lab_with_role};

/// One request as a browser's network log has it.
fn har(folder: &Path, device: &(String, String), refusal: &Value) -> Result<PathBuf> {
    let keys = json!({"device_keys": {"user_id": device.0, "device_id": device.1}});
    let entry = json!({
        "startedDateTime": jiff::Timestamp::now().to_string(),
        "time": 12.5,
        "request": {
            "method": "POST",
            "url": "https://lab.local/_matrix/client/v3/keys/upload",
            "headers": [{"name": "Authorization", "value": "Bearer syt_secret"}],
            "postData": {"mimeType": "application/json", "text": keys.to_string()},
        },
        "response": {"status": 400, "content": {"size": 1, "text": refusal.to_string()}},
    });
    let file = folder.join(format!("{}.har", device.1));
    fs::write(&file, json!({"log": {"version": "1.2", "entries": [entry]}}).to_string())?;
    Ok(file)
}

fn triage(lab: &Lab, symptom: &str, (user, device): &(String, String), file: &Path) -> Value {
    let (database, file) = (lab.database_url_as(ROLE), file.to_string_lossy());
    let words = [
        "triage",
        symptom,
        user,
        device,
        "--database",
        &database,
        "--har",
        &file,
        "--format",
        "json",
    ];
    let said = kestrel(&words);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(!text.contains("syt_secret"), "{text}");
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&said.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_a_har_file_stands_in_for_a_log() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let (subject, refusal) = crafted::foreign_refusal(&lab).await?;
    let own = har(lab.scratch(), &subject, &refusal)?;
    let judged = triage(&lab, "ke1", &subject, &own);
    assert_eq!(judged["verdict"]["id"], "otk-foreign-identity", "{judged:#}");
    // The offered key, which speaks of another account, is the client's word alone.
    assert_eq!(judged["verdict"]["certainty"], "consistent");
    // The same file under another device's name decides nothing.
    let stranger = (subject.0.clone(), "ANOTHER".to_owned());
    let judged = triage(&lab, "ke1", &subject, &har(lab.scratch(), &stranger, &refusal)?);
    assert_eq!(judged["verdict"]["id"], "inconclusive", "{judged:#}");
    assert!(judged["findings"].to_string().contains("from another device"), "{judged:#}");
    // Nor does a refusal that somebody made up.
    let forged =
        refusal.to_string().replace("Old key: {\\\"key\\\":\\\"", "Old key: {\\\"key\\\":\\\"x");
    assert_ne!(forged, refusal.to_string());
    let file = har(lab.scratch(), &subject, &serde_json::from_str(&forged)?)?;
    let judged = triage(&lab, "ke1", &subject, &file);
    assert_eq!(judged["verdict"]["id"], "inconclusive", "{judged:#}");
    Ok(())
}

async fn triage_of(
    config: &Config,
    cause: &str,
    (user, device): (&str, Option<&str>),
    event: Option<&str>,
    expected: (&str, Certainty),
) -> Result<(Case, Value)> {
    let event = event.map(|id| command::event(id, "")).transpose()?;
    let device = device.map(Into::into);
    let topic = Topic::All { user: user.try_into()?, device, event };
    let start = Instant::now();
    let case = answer(config, crate::verdicts::over_default_window(topic)).await?;
    compare(&case, "all", cause, start.elapsed().as_secs_f32(), expected)?;
    assert!(case.reply.plain.lines().count() <= render::LINES, "{}", case.reply.plain);
    let object = flow::json(&case.evidence, &case.judgement);
    Ok((case, object))
}

/// Symptom and place of each branch, in the order to act.
fn places(object: &Value) -> Vec<(&str, &str)> {
    let branches = object["branches"].as_array().into_iter().flatten();
    branches
        .map(|one| {
            (one["symptom"].as_str().unwrap_or_default(), one["place"].as_str().unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_what_is_root_and_what_follows() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let (dead, _caller) = media::dead_identity(&lab).await?;
    let evicted = faults::evict(&lab).await?;
    let healthy = faults::healthy(&lab).await?;
    let token = Some(healthy.account.access_token.as_str());
    let room = lab.wire().post("/_matrix/client/v3/createRoom", token, json!({})).await?;
    let room = room["room_id"].as_str().context("no room")?;
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.encrypted/broken");
    let sent = lab.wire().put(&path, token, json!({})).await?;
    let event = sent["event_id"].as_str().context("no event")?;
    lab.log_written().await?;
    let config = config(&lab, true);

    // Media keys to a dead identity follow from the account that was created again.
    let of = (dead.user.as_str(), Some(dead.device.as_str()));
    let (case, object) =
        triage_of(&config, "dead-identity", of, None, ("otk-recreated", Proven)).await?;
    assert_eq!(places(&object)[..2], [("ke1", "root"), ("ke2", "follows")], "{object:#}");
    assert_eq!(object["branches"][1]["follows"], "ke1");
    assert_eq!(object["branches"][1]["verdict"]["id"], "media-dead-identity");
    assert!(case.reply.plain.contains("1 root cause"), "{}", case.reply.plain);

    // Without a device the one in trouble is found; without an event KE-3 is not asked, and it says how.
    let of = (evicted.user.as_str(), None);
    let (case, object) = triage_of(&config, "evicted", of, None, ("otk-recreated", Proven)).await?;
    let device = case.evidence.device().context("no device")?;
    assert_eq!(device.device.as_str(), evicted.device);
    assert_eq!(places(&object)[0], ("ke1", "independent"), "{object:#}");
    assert_eq!(places(&object).len(), 3);
    assert!(case.reply.plain.contains("!ke3 $event"), "{}", case.reply.plain);

    // A broken event is a trouble of its own beside healthy keys.
    let of = (healthy.user.as_str(), Some(healthy.device.as_str()));
    let (_, object) =
        triage_of(&config, "broken-event", of, Some(event), ("event-malformed", Proven)).await?;
    assert_eq!(places(&object)[0], ("ke3", "independent"), "{object:#}");
    assert!(places(&object).contains(&("ke1", "quiet")), "{object:#}");

    // Healthy keys and silence: nothing is claimed of calls that nobody watched.
    let (case, object) =
        triage_of(&config, "healthy", of, None, ("otk-healthy", Consistent)).await?;
    assert!(places(&object).contains(&("ke1", "quiet")), "{object:#}");
    assert!(case.reply.plain.contains("No problem found"), "{}", case.reply.plain);
    Ok(())
}
