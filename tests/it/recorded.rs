//! Recorded logs of real servers, read alone: what they can say without a database, and how sure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::terminal::kestrel;

/// What a recording comes to on the terminal.
fn judge(symptom: &str, subject: &[&str], log: &str) -> (String, String) {
    let file = crate::tree().join("tests/fixtures/log").join(log);
    let file = file.to_string_lossy();
    let mut words = vec!["triage", symptom];
    words.extend(subject);
    words.extend(["--log", &file, "--timezone", "UTC", "--format", "json"]);
    words.extend(["--since", "2026-11-22T11:00:00Z", "--until", "2026-11-22T13:00:00Z"]);
    let said = kestrel(&words);
    let object: Value = serde_json::from_slice(&said.stdout).expect("one JSON object");
    let text = |name: &str| object["verdict"][name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("certainty"))
}

#[test]
fn a_text_log_alone_never_proves() {
    for (symptom, subject, log, verdict) in [
        ("ke4", &["@s9a:lab.local"][..], "ke4.log", "delay-rate-limited"),
        ("ke4", &["@slow48297_0:lab.local"], "ke4-slow.log", "delay-homeserver-slow"),
        ("ke4", &["@s9rtc:lab.local"], "ke4-real.log", "delay-homeserver-slow"),
        ("ke2", &["@s7db:lab.local", "DEVS7DB"], "ke2-to-device-debug.log", "inconclusive"),
        ("ke1", &["@s1storm:lab.local", "DEVS1STORM"], "ke1-eviction-storm.log", "otk-diverged"),
    ] {
        let (id, certainty) = judge(symptom, subject, log);
        assert_eq!(id, verdict, "{log}");
        assert_ne!(certainty, "proven", "{log}");
    }
}

#[test]
fn somebody_else_s_trouble_is_not_the_user_s() {
    for log in ["ke4.log", "ke4-slow.log", "ke4-real.log"] {
        assert_eq!(judge("ke4", &["@nobody:lab.local"], log).0, "inconclusive", "{log}");
    }
}

/// What the storm watch would have said of a recording.
fn watched(log: &str) -> Vec<Value> {
    let file = crate::tree().join("tests/fixtures/log").join(log);
    replayed(&[file.to_string_lossy().into_owned()])
}

/// What it would have said of these logs together.
fn replayed(files: &[String]) -> Vec<Value> {
    let mut words = vec!["watch", "--timezone", "UTC", "--format", "json", "--replay"];
    words.extend(files.iter().map(String::as_str));
    let said = kestrel(&words);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn the_watch_tells_a_storm_once_and_no_forged_one() {
    for (log, kind, device, verdict) in [
        ("ke1-eviction-storm.log", "otk-conflict", "DEVS1STORM", "otk-diverged"),
        ("ke1-two-clients.log", "otk-conflict", "DEVS2TABS", "otk-diverged"),
    ] {
        let events = watched(log);
        assert_eq!(events.len(), 1, "{log}: {events:?}");
        assert_eq!(events[0]["event"], "started", "{log}");
        assert_eq!(events[0]["kind"], kind);
        assert_eq!(events[0]["device"], device);
        assert_eq!(events[0]["verdict"], verdict);
        // No database: it may have been written by anyone.
        assert_eq!(events[0]["confirmed"], false);
    }
    for log in ["healthy.log", "injection.log"] {
        assert!(watched(log).is_empty(), "{log}");
    }
    let slow = watched("ke4-slow.log");
    assert!(slow.iter().all(|event| event["kind"] == "delay"), "{slow:?}");
    assert_eq!(slow[0]["verdict"], "delay-homeserver-slow");
}

/// Five that begin together: three are told at once, and the log ends before it is clear whether the other two
/// are part of a crowd.
#[test]
fn a_replay_ends_with_what_was_still_held_back() {
    let log = crate::tree().join("tests/fixtures/log/ke1-eviction-storm.log");
    let log = std::fs::read_to_string(log).expect("a recording");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |n: usize| {
        let text = log.replace("s1storm", &format!("s{n}storm"));
        let text = text.replace("S1STORM", &format!("S{n}STORM"));
        let file = folder.path().join(format!("{n}.log"));
        std::fs::write(&file, text).expect("written");
        file.to_string_lossy().into_owned()
    };
    let files: Vec<_> = (1..=5).map(copy).collect();
    let said = replayed(&files);
    let told: Vec<_> = said.iter().map(|event| event["event"].as_str().unwrap_or("?")).collect();
    assert_eq!(told, ["started", "started", "started", "held", "held"], "{said:#?}");
    let devices: BTreeSet<_> = said.iter().map(|event| event["device"].to_string()).collect();
    assert_eq!(devices.len(), 5, "{said:#?}");
    assert!(said.iter().all(|event| event["verdict"] == "otk-diverged"), "{said:#?}");
}
