//! The program's help and what it says about bad usage, as people read it.

use std::process::Command;

const VERBS: [&str; 14] = [
    "run", "login", "triage", "watch", "storms", "mute", "unmute", "cases", "case", "redact",
    "replay", "doctor", "tree", "grants",
];

fn says(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kestrel"));
    program.args(arguments).env_remove("COLUMNS").env_remove("RUST_LOG");
    let out = program.output().expect("the program starts");
    let status = out.status.code().expect("an exit status");
    let said = [out.stdout, out.stderr].concat();
    let lines: Vec<_> =
        String::from_utf8_lossy(&said).lines().map(|line| line.trim_end().to_owned()).collect();
    format!(
        "=== kestrel {} (exit status {status}) ===\n{}\n\n",
        arguments.join(" "),
        lines.join("\n")
    )
}

#[test]
fn the_help_of_every_verb() {
    let mut page = says(&["--help"]);
    for verb in VERBS {
        page.push_str(&says(&[verb, "--help"]));
    }
    insta::assert_snapshot!("help", page);
}

#[test]
fn bad_usage() {
    let none = "no-such.toml";
    let page: String = [
        &["explode"][..],
        &["triage"],
        &["triage", "ke9"],
        &["triage", "ke1"],
        &["triage", "ke1", "@a:example.org", "DEV", "--last", "30x", "--config", none],
        &["triage", "--config", none],
        &["replay"],
        &["replay", "no-such.json"],
        &["redact", "no-such.json"],
        &["case", "x", "--config", none],
        &["mute"],
        &["tree", "ke9"],
        &["doctor", "--config", none],
        &["run", "--config", none],
        &["storms", "--config", none],
    ]
    .into_iter()
    .map(says)
    .collect();
    insta::assert_snapshot!("bad_usage", page);
}
