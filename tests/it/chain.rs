//! All branches at once, and a client's own files beside the server's evidence.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kestrel::command::{Command, Span, Triage};
use kestrel::evidence::Symptom;
use kestrel::flow;
use kestrel_lab::{Lab, faults};
use serde_json::{Value, json};

use crate::crafted;
use crate::terminal::kestrel;
use crate::verdicts::{ROLE, answer, config, lab_with_role};

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
async fn a_har_file_stands_in_for_a_log() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let (subject, refusal) = crafted::foreign_refusal(&lab).await?;
    let own = har(lab.scratch(), &subject, &refusal)?;
    let judged = triage(&lab, "ke1", &subject, &own);
    assert_eq!(judged["verdict"]["id"], "otk-foreign-identity", "{judged:#}");
    assert_eq!(judged["verdict"]["certainty"], "proven");
    // The same file under another device's name decides nothing.
    let stranger = (subject.0.clone(), "ANOTHER".to_owned());
    let judged = triage(&lab, "ke1", &subject, &har(lab.scratch(), &stranger, &refusal)?);
    assert_eq!(judged["verdict"]["id"], "inconclusive", "{judged:#}");
    assert!(judged["findings"].to_string().contains("of another device"), "{judged:#}");
    // Nor does a refusal that somebody made up.
    let forged =
        refusal.to_string().replace("Old key: {\\\"key\\\":\\\"", "Old key: {\\\"key\\\":\\\"x");
    assert_ne!(forged, refusal.to_string());
    let file = har(lab.scratch(), &subject, &serde_json::from_str(&forged)?)?;
    let judged = triage(&lab, "ke1", &subject, &file);
    assert_eq!(judged["verdict"]["id"], "inconclusive", "{judged:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_in_trouble_is_found_and_its_branches_put_in_order() -> Result<()> {
    let lab = lab_with_role(Default::default()).await?;
    let patient = faults::evict(&lab).await?;
    lab.log_written().await?;
    let typed = Triage {
        user: patient.user.as_str().try_into()?,
        device: None,
        event: None,
        span: Span::Unsaid,
    };
    let case = answer(&config(&lab, true), Command::Triage(typed)).await?;
    assert_eq!(case.evidence.symptom, Symptom::All);
    assert_eq!(case.verdict.id.name(), "otk-recreated", "{}", case.reply.plain);
    let device = case.evidence.device().context("no device")?;
    assert_eq!(device.device.as_str(), patient.device);
    let object = flow::json(&case.evidence);
    assert_eq!(object["symptom"], "all");
    assert_eq!(object["branches"][0]["symptom"], "ke1", "{object:#}");
    // No event was named: KE-3 is not asked, and the answer says how to.
    assert_eq!(object["branches"].as_array().map(Vec::len), Some(3));
    assert!(case.reply.plain.contains("!ke3 $event"), "{}", case.reply.plain);
    assert!(case.reply.plain.lines().count() <= kestrel::render::LINES, "{}", case.reply.plain);
    Ok(())
}
