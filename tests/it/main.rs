//! Kestrel from outside: the walls between its rooms, saved cases, and real servers with real faults.
//! One binary, because the Matrix SDK links slowly.

// Tests measure, and read what they were asked to record.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};

mod account;
mod artefacts;
mod away;
mod bent;
mod bent_auth;
mod bent_clients;
mod bent_media;
mod blind;
mod calls;
mod captures;
mod cases;
mod cases_kept;
mod chain;
mod contributing;
mod crafted;
mod dependencies;
mod events;
mod lab;
mod load;
mod mas;
mod media;
mod poll;
mod record_a_release;
mod recorded;
mod redaction;
mod releases_offline;
mod replica;
mod reports;
mod restart;
mod room;
mod scale;
mod secrets;
mod sources;
mod stolen_token;
mod storms;
mod survey;
mod terminal;
mod terminal_words;
mod upgrade;
mod verdicts;
mod walls;
mod watch;

/// The source tree, asked at run time: a test binary may outlive the clone that built it.
fn tree() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The verdict of a case that is no survey.
fn verdict(case: &kestrel::flow::Case) -> &kestrel_core::diagnose::Verdict {
    case.verdict().expect("a case has a verdict")
}

/// `KESTREL_RECORD=1` writes the recorded files anew instead of comparing with them.
fn recording() -> bool {
    std::env::var_os("KESTREL_RECORD").is_some_and(|value| value == "1")
}

/// Compares a text with its recorded file, or records it.
fn recorded_as(file: &Path, text: &str) {
    if recording() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("the folder can be made");
        fs::write(file, text).expect("the file can be written");
        return;
    }
    let recorded = fs::read_to_string(file);
    let recorded = recorded.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(text, recorded, "{}: KESTREL_RECORD=1 records it anew", file.display());
}
