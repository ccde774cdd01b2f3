//! Real logs, in everything that people's carriers put around them → the same facts as without it.

use kestrel_core::evidence::{KeyLog, State};
use serde_json::{Value, json};

use super::answers::LogReading;
use super::tests::{day, file, go, subject};

const STORM: &str = include_str!("../../../tests/fixtures/log/ke1-eviction-storm.log");
const HEALTHY: &str = include_str!("../../../tests/fixtures/log/healthy.log");
const INJECTION: &str = include_str!("../../../tests/fixtures/log/injection.log");
const TRACEBACK: &str = include_str!("../../../tests/fixtures/log/traceback.log");
const TERSE: &str = include_str!("../../../tests/fixtures/log/main.terse.jsonl");
const LEGACY: &str = include_str!("../../../tests/fixtures/log/main.legacy.log");
const WORKERS: &str = include_str!("../../../tests/fixtures/log/main.docker.log");
const JOURNAL: &str = include_str!("../../../tests/fixtures/log/main.journalfmt.log");

const AT: &str = "2026-11-22T11:37:09.246000417Z";

/// Whose keys each log is about.
const LOGS: [(&str, &str, &str, &str); 7] = [
    ("storm", STORM, "@s1storm:lab.local", "DEVS1STORM"),
    ("healthy", HEALTHY, "@s6ok:lab.local", "DEVS6OK"),
    ("injection", INJECTION, "@inj:lab.local", "DEVI"),
    ("traceback", TRACEBACK, "@wa48655:lab.local", "DEVW"),
    ("terse", TERSE, "@wa48655:lab.local", "DEVW"),
    ("legacy", LEGACY, "@wa48655:lab.local", "DEVW"),
    ("workers", WORKERS, "@wa48655:lab.local", "DEVW"),
];

/// How a carrier writes one line.
type Carrier = fn(&str) -> String;

/// Each carrier, and how it writes one line.
const CARRIERS: [(&str, Carrier); 17] = [
    ("compose", |line| format!("synapse-1   | {line}\n")),
    ("kubectl --prefix", |line| format!("[pod/ess-synapse-main-0/synapse] {line}\n")),
    ("--timestamps", |line| format!("{AT} {line}\n")),
    ("compose --timestamps", |line| format!("synapse-1  | {AT} {line}\n")),
    ("CRI", |line| format!("{AT} stderr F {line}\n")),
    ("CRI in pieces", |line| {
        let pieces = pieces(line, 100);
        let tag = |at: usize| if at + 1 == pieces.len() { "F" } else { "P" };
        pieces
            .iter()
            .enumerate()
            .map(|(at, piece)| format!("{AT} stderr {} {piece}\n", tag(at)))
            .collect()
    }),
    ("json-file", |line| docker(&format!("{line}\n"))),
    ("json-file in pieces", |line| {
        pieces(&format!("{line}\n"), 100).into_iter().map(docker).collect()
    }),
    ("journalctl -o json", |line| {
        let object = json!({
            "__REALTIME_TIMESTAMP": "1795347429246700", "_SYSTEMD_UNIT": "matrix-synapse.service",
            "_PID": "812", "PRIORITY": "6", "_TRANSPORT": "stdout", "MESSAGE": line,
        });
        format!("{object}\n")
    }),
    ("journalctl -o short", |line| format!("Nov 22 11:37:09 matrix matrix-synapse[812]: {line}\n")),
    ("journalctl -o short-iso", |line| {
        format!("2026-11-22T11:37:09+0000 matrix matrix-synapse[812]: {line}\n")
    }),
    ("RFC 5424", |line| format!("<30>1 {AT} matrix synapse 812 - - {line}\n")),
    ("multilog", |line| format!("@400000006a0b8d5500000000 {line}\n")),
    ("tabs", |line| format!("{AT}\tstderr\t{line}\n")),
    ("logcli", |line| {
        let object = json!({"labels": {"job": "synapse"}, "line": line, "timestamp": AT});
        format!("{object}\n")
    }),
    ("quote", |line| format!("> {line}\n")),
    ("colours", |line| format!("\u{1b}[32m{line}\u{1b}[0m\n")),
];

fn docker(piece: &str) -> String {
    format!("{}\n", json!({"log": piece, "stream": "stderr", "time": AT}))
}

fn pieces(line: &str, most: usize) -> Vec<&str> {
    let mut rest = line;
    let mut all = Vec::new();
    while rest.len() > most {
        let end = (1..=most).rev().find(|at| rest.is_char_boundary(*at)).unwrap();
        let (piece, behind) = rest.split_at(end);
        all.push(piece);
        rest = behind;
    }
    all.push(rest);
    all
}

/// All that was read.
fn facts(reading: &LogReading) -> Value {
    json!({"state": reading.state, "log": reading.log})
}

fn read(text: &str, user: &str, device: &str) -> LogReading {
    let (_folder, path) = file(text);
    go(path, &subject(user, device), day())
}

#[test]
fn a_log_says_the_same_whoever_carried_it() {
    for (name, text, user, device) in LOGS {
        let plain = read(text, user, device);
        assert!(plain.log.is_some(), "{name}: {:?}", plain.state);
        for (carrier, wrap) in CARRIERS {
            let wrapped: String = text.lines().map(wrap).collect();
            let carried = read(&wrapped, user, device);
            assert!(carried.log.is_some(), "{name}, {carrier}: {:?}", carried.state);
            assert_eq!(facts(&carried), facts(&plain), "{name}, {carrier}");
        }
    }
}

#[test]
fn the_journal_handlers_records_have_the_journals_time() {
    let entry = |line: &str, text: bool| {
        let transport = if text { "stdout" } else { "journal" };
        let object = json!({
            "__REALTIME_TIMESTAMP": "1795347429246700", "_SYSTEMD_UNIT": "matrix-synapse.service",
            "_PID": "4242", "PRIORITY": "6", "_TRANSPORT": transport, "MESSAGE": line,
        });
        format!("{object}\n")
    };
    let journal: String = JOURNAL.lines().map(|line| entry(line, false)).collect();
    let read_of = |text: &str| read(text, "@wa48655:lab.local", "DEVW");
    let journal = read_of(&journal).log.unwrap();
    let terse = read_of(TERSE).log.unwrap();
    assert_eq!(journal.refusals(), terse.refusals());
    assert_eq!(journal.accepted.keys, terse.accepted.keys);
    assert_eq!(journal.claims.all.map(|span| span.count), terse.claims.all.map(|span| span.count));
    assert!(journal.refusals() > 0);
    // On standard output a client's newline begins an entry of its own, and nothing there has a time.
    let printed: String = JOURNAL.lines().map(|line| entry(line, true)).collect();
    assert!(
        matches!(read_of(&printed).state, State::Failed(why) if why.contains("journalctl -o json"))
    );
}

#[test]
fn lines_that_the_journal_left_out_are_counted() {
    let short = |line: &str| format!("Nov 22 11:37:09 matrix synapse[1]: {line}\n");
    let mut text: String = HEALTHY.lines().map(short).collect();
    text.push_str(&short("[4.0K blob data]"));
    text.push_str(&short("[17B blob data]"));
    let log = read(&text, "@s6ok:lab.local", "DEVS6OK").log.unwrap();
    assert_eq!(log.coverage[0].visible.as_ref().unwrap().lost, 2);
}

/// Two services under one `docker compose logs`: the proxy's lines continue no record of Synapse's.
#[test]
fn another_programs_lines_continue_nothing() {
    let mut text = String::new();
    for line in STORM.lines() {
        text.push_str(&format!("synapse-1  | synapse_main | {line}\n"));
        text.push_str("synapse-1  | nginx | 192.0.2.7 - - [22/Nov/2026:11:37:09 +0000] \"GET / HTTP/1.1\" 200\n");
    }
    let (.., user, device) = LOGS[0];
    let (carried, plain) = (read(&text, user, device), read(STORM, user, device));
    let (carried, plain) = (carried.log.unwrap(), plain.log.unwrap());
    let refused = |log: KeyLog| json!([log.refused, log.distrusted]);
    assert_eq!(refused(carried), refused(plain));
}

#[test]
fn a_format_without_the_line_number_is_read() {
    let bare: String = STORM
        .lines()
        .map(|line| match line.splitn(4, " - ").collect::<Vec<_>>()[..] {
            [time, logger, _, rest] => format!("{time} - {logger} - {rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (.., user, device) = LOGS[0];
    assert_eq!(facts(&read(&bare, user, device)), facts(&read(STORM, user, device)));
}

#[test]
fn an_unknown_format_says_which_line_was_tried() {
    let text = "11:37:09 INFO some\u{7}thing that nobody knows, at length\n".repeat(9);
    let State::Failed(why) = read(&text, "@a:b", "C").state else { panic!("it was read") };
    assert!(why.contains("“11:37:09 INFO some\u{fffd}thing that nobody kno”"), "{why}");
    assert!(why.contains("Kestrel knows"), "{why}");
    let State::Failed(why) = read("password: hunter2hunter2hunter2\n", "@a:b", "C").state else {
        panic!("it was read")
    };
    assert!(why.contains("“password: … ”"), "{why}");
}
