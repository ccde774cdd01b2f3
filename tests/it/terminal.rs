//! The program as a person or a script calls it: flags, exit status, formats.

use std::process::{Command, Output, Stdio};

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
    assert!(text(&plain.stdout).starts_with("KE-1 · proven"), "{}", text(&plain.stdout));
    assert!(!text(&plain.stdout).contains('\u{1b}'), "colour where there is no terminal");
    let markdown = kestrel(&["replay", &file, "--format", "markdown"]);
    assert!(text(&markdown.stdout).starts_with("**KE-1 · proven**"), "{}", text(&markdown.stdout));
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
