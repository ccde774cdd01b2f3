//! The program as a person or a script calls it: flags, exit status, formats.

use std::process::{Command, Output, Stdio};

use kestrel::store::{Ledger, Step, Store};
use kestrel_core::storm::{Change, Confirmation, Event, Muted, StormKind, Whose};
use serde_json::Value;

pub fn kestrel(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kestrel"));
    program.args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn case(verdict: &str) -> String {
    let mut cases = std::fs::read_dir(crate::tree().join("tests/cases"))
        .expect("tests/cases is there")
        .flatten();
    let found = cases.find(|case| case.file_name().to_string_lossy().contains(verdict));
    let folder = found.unwrap_or_else(|| panic!("no case of {verdict}")).path();
    folder.join("evidence.json").to_string_lossy().into_owned()
}

#[test]
fn a_saved_case_is_judged_again_in_every_format() {
    let file = case("ke1--otk-recreated");
    let plain = kestrel(&["replay", &file]);
    assert_eq!(plain.status.code(), Some(0), "{}", text(&plain.stderr));
    assert!(text(&plain.stdout).contains("\nProven · KE-1"), "{}", text(&plain.stdout));
    assert!(!text(&plain.stdout).contains('\u{1b}'), "colour where there is no terminal");
    let markdown = kestrel(&["replay", &file, "--format", "markdown"]);
    assert!(text(&markdown.stdout).contains("\nProven · KE-1"), "{}", text(&markdown.stdout));
    let json = kestrel(&["replay", &file, "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("one JSON object");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["verdict"]["id"], "otk-recreated");
    assert_eq!(json["verdict"]["certainty"], "proven");
    assert_eq!(json["remedies"][0]["id"], "relogin");
    assert_eq!(json["remedies"][0]["advice"], "recommended");
    for key in ["subject", "window", "path", "evidence", "missing"] {
        assert!(!json[key].is_null(), "{key} is missing");
    }
}

#[test]
fn the_exit_status_says_how_it_went() {
    let undecided = kestrel(&["replay", &case("ke1--inconclusive")]);
    assert_eq!(undecided.status.code(), Some(3));
    let no_such =
        kestrel(&["triage", "ke1", "@a:example.org", "DEV", "--log", "/nowhere/homeserver.log"]);
    assert_eq!(no_such.status.code(), Some(3), "{}", text(&no_such.stderr));
    assert!(text(&no_such.stdout).contains("/nowhere/homeserver.log"), "{}", text(&no_such.stdout));
    assert_eq!(kestrel(&["triage", "ke9", "@a:example.org", "DEV"]).status.code(), Some(2));
    let slip = kestrel(&["triage", "ke1", "@a:example.org", "DEV", "--last", "soon"]);
    assert_eq!(slip.status.code(), Some(2), "{}", text(&slip.stderr));
    assert!(text(&slip.stderr).contains("30m"), "it does not say how: {}", text(&slip.stderr));
    assert_eq!(kestrel(&["replay", "/no/such/file.json"]).status.code(), Some(2));
    assert_eq!(kestrel(&["triage", "ke1"]).status.code(), Some(2));
}

#[test]
fn a_flag_that_the_symptom_has_no_use_for_is_refused() {
    for (extra, named) in [
        (["ke1", "@a:example.org", "--sender", "@b:example.org"], "ke2"),
        (["ke1", "@a:example.org", "--live", "5s"], "ke2"),
        (["ke1", "@a:example.org", "--event", "$x"], "all"),
        (["all", "@a:example.org", "--client-says", "missing field"], "--event"),
        (["ke4", "@a:example.org", "DEV", "--why"], "ke1, ke2 and all"),
        (["ke2", "@a:example.org", "--report", "/no/such/file.json"], "/no/such/file.json"),
    ] {
        let ended = kestrel(&[&["triage"], extra.as_slice()].concat());
        assert_eq!(ended.status.code(), Some(2), "{extra:?}");
        assert!(text(&ended.stderr).contains(named), "{extra:?}: {}", text(&ended.stderr));
    }
}

#[test]
fn grants_are_printed_for_any_role() {
    let sql = text(&kestrel(&["grants", "--role", "my \"role\""]).stdout);
    assert!(sql.contains("TO \"my \"\"role\"\"\";"), "{sql}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_fault() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kestrel"));
    program.args(["replay", &case("ke1--otk-recreated"), "--why"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = program.stdout(writer).stderr(Stdio::piped()).output().expect("the program starts");
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()));
}

/// A folder with a config and, beside it, the store that the config names.
fn seat() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kestrel.toml");
    let config = "store = \"state\"\n[server]\nname = \"example.org\"\n[limits]\ntimezone = \"Europe/Berlin\"";
    std::fs::write(&file, config).expect("written");
    let file = file.to_string_lossy().into_owned();
    (folder, file)
}

fn storm(number: u64, change: Change, whose: Whose) -> Event {
    let at = |text: &str| text.parse().expect("a time");
    Event {
        at: at("2026-11-22T13:00:02Z"),
        storm: number,
        change,
        kind: if whose == Whose::Everybody { StormKind::Fleet } else { StormKind::OtkConflict },
        whose,
        trigger: "signed_curve25519:AAAAAAAAAA0".into(),
        count: 41,
        devices: 12,
        first: at("2026-11-22T13:00:00Z"),
        last: at("2026-11-22T13:05:00Z"),
    }
}

#[test]
fn storms_are_listed_and_muted_beside_a_running_bot() {
    let (folder, config) = seat();
    // The bot: it holds the store all along.
    let state = folder.path().join("state");
    let bot = Store::open(&state, jiff::Timestamp::UNIX_EPOCH).expect("a store").ledger();
    let device = |user: &str, device: &str| {
        let user = user.try_into().expect("a user ID");
        Whose::Device { user, device: device.into() }
    };
    let storms = [
        storm(1, Change::Ended, Whose::Everybody),
        storm(2, Change::Started, device("@alice:example.org", "D\u{1b}[2J\u{202e}'")),
        storm(3, Change::Ended, device("@bob:example.org", "B")),
        storm(4, Change::Started, Whose::Address("203.0.113.7".into())),
    ];
    bot.record(&Step { storms: &storms, ..Step::default() }).expect("recorded");
    bot.judged(2, "otk-recreated", &Confirmation::Unconfirmed("the database isn't there".into()))
        .expect("judged");
    let (room, root) = ("!ops:example.org", "$root");
    let (room, root) = (room.try_into().expect("a room"), root.try_into().expect("an event"));
    bot.rooted(2, room, root).expect("rooted");
    let run = |words: &[&str]| {
        let ended = kestrel(&[words, &["--config", &config]].concat());
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {}", text(&ended.stderr));
        text(&ended.stdout)
    };

    assert!(run(&["mute", "alice", "for", "2h"]).starts_with("@alice:example.org is muted until "));
    assert!(run(&["mute", "storm", "4"]).starts_with("Storm 4 is muted until "));
    assert!(run(&["mute", "all", "31d"]).starts_with("All storms are muted until "));
    let mutes = bot.mutes(jiff::Timestamp::now()).expect("mutes");
    assert_eq!(mutes[0].what, Muted::Storm(4), "the running bot sees it");
    assert!(mutes[0].by.ends_with(" on a terminal"), "{}", mutes[0].by);
    assert_eq!(mutes.len(), 3);
    assert_eq!(run(&["unmute", "all"]), "All storms are no longer muted.\n");
    assert_eq!(run(&["unmute", "all"]), "All storms: not muted.\n");

    let listed = run(&["storms"]);
    let told = [
        "2 ongoing storms:\nStorm 4 · one-time key uploads rejected · clients at 203.0.113.x · 41 so far, 8 per minute",
        " · since 2026-11-22 14:00 CET\n",
        "Storm 2 (https://matrix.to/#/",
        ") · one-time key uploads rejected · @alice:example.org D\\u{1b}[2J\\u{202e}' · 41 so far, 8 per minute",
        " · otk-recreated · unconfirmed\n",
        "Ended recently:\nStorm 3 · one-time key uploads rejected · @bob:example.org B · 41 in 5 min",
        "Storm 1 · one-time key uploads rejected · 12 devices · 5 min",
        "Muted: storm 4 until ",
        "Muted: @alice:example.org until ",
    ];
    let mut from = 0;
    for line in told {
        let at = listed[from..].find(line).unwrap_or_else(|| panic!("no {line:?} in\n{listed}"));
        from += at;
    }
    assert!(!listed.contains('\u{1b}') && !listed.contains('\u{202e}'), "{listed:?}");

    let json: Value =
        serde_json::from_str(&run(&["storms", "--format", "json"])).expect("one JSON object");
    let numbers: Vec<_> = json["storms"].as_array().expect("a list").iter().collect();
    let numbers: Vec<_> = numbers.iter().map(|one| one["storm"].as_u64()).collect();
    assert_eq!(numbers, [Some(4), Some(2), Some(3), Some(1)]);
    let second = &json["storms"][1];
    assert_eq!(second["device"], "D\u{1b}[2J\u{202e}'");
    assert_eq!((&second["sure"], &second["root"]), (&"unconfirmed".into(), &"$root".into()));
    assert_eq!(json["storms"][0]["address"], "203.0.113.x");
    assert_eq!(json["mutes"][1]["user"], "@alice:example.org");

    assert_eq!(run(&["unmute"]), "2 mutes ended.\n");
    assert_eq!(run(&["unmute"]), "Nothing was muted.\n");
    assert!(bot.mutes(jiff::Timestamp::now()).expect("mutes").is_empty());
}

#[test]
fn a_slip_about_storms_is_bad_usage_and_makes_nothing() {
    let (folder, config) = seat();
    let run = |words: &[&str]| kestrel(&[words, &["--config", &config]].concat());
    let none = run(&["storms"]);
    assert_eq!(none.status.code(), Some(0), "{}", text(&none.stderr));
    assert!(text(&none.stdout).contains("there is no ledger in"), "{}", text(&none.stdout));
    let early = run(&["mute", "all"]);
    assert_eq!(early.status.code(), Some(2), "{}", text(&early.stderr));
    assert!(!folder.path().join("state").exists(), "looking made a store");

    let state = folder.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    drop(Ledger::open(&state).expect("a ledger"));
    for (words, says) in [
        (&["mute", "99"][..], "There is no storm 99"),
        (&["mute", "2h"], "“2h” is a time."),
        (&["mute", "all", "1s"], "A mute can last 1m to 31d"),
        (&["unmute", "all", "of", "it"], "Unexpected extra word"),
        (&["mute"], "TARGET"),
        (&["storms", "--format", "xml"], "xml"),
    ] {
        let ended = run(words);
        assert_eq!(ended.status.code(), Some(2), "{words:?}: {}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains(says), "{words:?}: {}", text(&ended.stderr));
    }
    std::fs::write(state.join("ledger.sqlite"), "not a database").expect("written");
    let broken = run(&["storms"]);
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
    assert!(text(&broken.stderr).contains("is damaged"), "{}", text(&broken.stderr));
}

#[test]
fn a_user_can_look_at_what_is_kept_before_sending() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.to_string_lossy().into_owned()
    };
    let log = "2026-11-22T11:51:40.184Z W MissingKey: missing key at index 1 access_token=syt_zebra_1\n\
               2026-11-22T11:51:41.184Z I zebra wrote this\n";
    let (log, wrong) = (of("console.log", log), of("picture.png", "\u{89}PNG zebra"));
    let shown = kestrel(&["redact", &log]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let (kept, said) = (text(&shown.stdout), text(&shown.stderr));
    assert!(kept.starts_with("== console.log\n2026-11-22T11:51:40.184Z W MissingKey"), "{kept}");
    assert!(said.contains("1 missing media key"), "{said}");
    assert!(said.contains("removed: 1 access token, 1 unrecognised line"), "{said}");
    assert!(!kept.contains("zebra") && !said.contains("zebra"), "{kept}{said}");

    let json = kestrel(&["redact", "--format", "json", &log]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("one JSON object");
    assert_eq!(
        (json["kind"].as_str(), json["removed"]["access-token"].as_u64()),
        (Some("console"), Some(1))
    );
    assert!(!json.to_string().contains("zebra"), "{json}");

    // A wrong file is said, and does not keep the others from being shown.
    let both = kestrel(&["redact", &wrong, &log]);
    assert_eq!(both.status.code(), Some(2));
    assert!(
        text(&both.stderr).contains("picture.png: it has no known line"),
        "{}",
        text(&both.stderr)
    );
    assert!(!text(&both.stderr).contains("zebra"), "{}", text(&both.stderr));
    assert!(text(&both.stdout).contains("MissingKey"), "{}", text(&both.stdout));
    assert_eq!(kestrel(&["redact", "/no/such/file.har"]).status.code(), Some(2));
    assert_eq!(kestrel(&["redact"]).status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_folder_is_read_the_newest_first_and_nothing_outside_it() {
    let (folder, outside) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let line = |hour: usize, words: &str| {
        format!("2026-11-22T{hour:02}:00:00Z  WARN matrix_sdk_crypto::machine: {words}\n")
    };
    for hour in 0..24 {
        let words = if hour == 23 { "MissingOneTimeKey" } else { "Failed to decrypt a room event" };
        let file = folder.path().join(format!("logs.2026-11-22-{hour:02}.log"));
        std::fs::write(file, line(hour, words)).expect("written");
    }
    let secret = outside.path().join("secret.log");
    std::fs::write(&secret, line(5, "MissingKey: missing key at index 7")).expect("written");
    std::os::unix::fs::symlink(&secret, folder.path().join("link.log")).expect("a link");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("more")).expect("a link");
    let name = folder.path().to_string_lossy();

    let shown = kestrel(&["redact", &name]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let (kept, said) = (text(&shown.stdout), text(&shown.stderr));
    let lines: Vec<_> = kept.lines().collect();
    assert_eq!(lines.len(), 25, "one log of all hours: {kept}");
    assert!(
        lines[1].starts_with("2026-11-22T00:00:00Z WARN")
            && lines[24].ends_with("MissingOneTimeKey"),
        "{kept}"
    );
    assert!(!kept.contains("index 7"), "{kept}");
    assert!(said.contains("2 links in the folder were not followed"), "{said}");

    let judged = kestrel(&["triage", "ke1", "@a:example.org", "DEV", "--report", &name, "--why"]);
    let page = text(&judged.stdout);
    assert!(page.contains("for a missing one-time key"), "{page}{}", text(&judged.stderr));
    let empty = tempfile::tempdir().expect("a folder");
    let none = kestrel(&["redact", &empty.path().to_string_lossy()]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("it contains no file"), "{}", text(&none.stderr));
}
