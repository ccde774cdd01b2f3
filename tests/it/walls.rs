//! The walls of the architecture page: which room may see which, which words are in one room only, and how large
//! a file and a function may be. The tables below are the rules, and the tests read every production line of both
//! crates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

mod breaches;
mod circles;
mod house;
mod imports;
mod lexer;
mod measure;
mod names;
mod production;
mod reader;
mod rules;
mod small_breaches;
mod still_open;

use measure::Function;
use rules::{Breach, Inspection, Rule};
use still_open::STILL_OPEN;

/// Room → the rooms it may see. A room that is missing here may see none.
const DOORS: &[(&str, &[&str])] = &[
    ("evidence", &[]),
    ("carriers", &[]),
    ("question", &["evidence"]),
    ("synapse_log", &["evidence", "carriers"]),
    ("client_files", &["evidence", "carriers"]),
    ("call_log", &["evidence", "carriers"]),
    ("command", &["question", "evidence"]),
    ("diagnose", &["evidence", "question"]),
    ("plan", &["question", "evidence", "diagnose"]),
    ("storm", &["evidence"]),
    ("capture", &["evidence"]),
    (
        "render",
        &[
            "question",
            "command",
            "plan",
            "evidence",
            "carriers",
            "synapse_log",
            "client_files",
            "call_log",
            "diagnose",
            "storm",
            "capture",
        ],
    ),
    ("config", &["evidence"]),
    (
        "collect",
        &["plan", "evidence", "carriers", "synapse_log", "client_files", "call_log", "config"],
    ),
    ("store", &["evidence", "storm", "capture", "diagnose", "config"]),
    (
        "flow",
        &[
            "question",
            "command",
            "plan",
            "evidence",
            "carriers",
            "synapse_log",
            "client_files",
            "call_log",
            "diagnose",
            "render",
            "storm",
            "capture",
            "collect",
            "store",
            "config",
        ],
    ),
    (
        "bot",
        &[
            "flow", "command", "question", "evidence", "render", "storm", "capture", "collect",
            "store", "config",
        ],
    ),
    (
        "terminal",
        &[
            "flow",
            "question",
            "command",
            "plan",
            "evidence",
            "carriers",
            "synapse_log",
            "client_files",
            "call_log",
            "diagnose",
            "render",
            "storm",
            "capture",
            "collect",
            "store",
            "config",
        ],
    ),
];

/// Files that wire rooms together, and look into each.
const WIRING: &[&str] = &["main", "lib"];

/// Room, another, what it may see of that: items, or (with a slash) folders.
const NARROW: &[(&str, &str, &[&str])] = &[
    ("plan", "diagnose", &["needs"]),
    ("store", "diagnose", &["VerdictId", "Certainty", "Judgement"]),
    ("bot", "collect", &["collect/logs/follow/"]),
    ("terminal", "collect", &["collect/logs/", "collect/postgres/", "collect/prometheus/"]),
];

/// Words that may be in some files only.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("tokio_postgres", &["collect/postgres.rs", "collect/postgres/"]),
    ("tokio_postgres_rustls", &["collect/postgres.rs", "collect/postgres/"]),
    ("matrix_sdk", &["bot.rs", "bot/"]),
    ("matrix_sdk_crypto", &["bot.rs", "bot/"]),
    ("reqwest", &["collect/prometheus.rs", "collect/http.rs", "collect/http/"]),
    ("hyper", &["collect/prometheus.rs", "collect/http.rs", "collect/http/"]),
    ("rusqlite", &["store/ledger.rs", "store/ledger/"]),
    ("tokio::process", &["collect/logs/exec.rs", "collect/exec.rs"]),
    ("std::process::Command", &["collect/logs/exec.rs", "collect/exec.rs"]),
];

/// Clocks, and the rooms that may look at them.
const CLOCKS: &[(&str, &[&str])] = &[
    ("Instant::now", &["main", "bot", "terminal", "collect", "flow"]),
    ("SystemTime::now", &["main", "bot", "terminal"]),
    ("Timestamp::now", &["main", "bot", "terminal"]),
    ("Zoned::now", &["main", "bot", "terminal"]),
];

/// What a pure room never says.
const PURE_NEVER: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "async",
];

/// The pure rooms, and what else each never says.
const PURE: &[(&str, &[&str])] = &[
    ("evidence", &[]),
    ("carriers", &[]),
    ("synapse_log", &[]),
    ("client_files", &[]),
    ("call_log", &[]),
    ("question", &[]),
    ("command", &[]),
    ("plan", &[]),
    ("diagnose", &["regex", "Regex"]),
    ("storm", &[]),
    ("capture", &[]),
    ("render", &[]),
];

/// An item that holds a client's text unredacted, the files that may define it, and the places that may name it.
const UNREDACTED: &[(&str, &[&str], &[&str])] = &[
    ("Read", &["evidence/har.rs", "client_files/har/facts.rs"], CLIENT_FILES),
    ("head", &["evidence/report.rs", "client_files/report/facts.rs"], CLIENT_FILES),
    ("list", &["evidence/report.rs", "client_files/report/facts.rs"], CLIENT_FILES),
    ("refused", &["evidence/client_line.rs", "client_files/signs.rs"], CLIENT_FILES),
];

const CLIENT_FILES: &[&str] = &["evidence/artefact/", "client_files/"];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
const PARAMETERS: usize = 5;
const NESTING: usize = 4;

fn inspection() -> &'static Inspection {
    static DONE: OnceLock<Inspection> = OnceLock::new();
    DONE.get_or_init(|| rules::inspect(&house::on_disk(&crate::tree())))
}

/// Fails for what is broken and not known, and for what is known and not broken any more.
fn holds(rule: Rule) {
    let known =
        STILL_OPEN.iter().filter(|(of, _)| *of == rule).flat_map(|(_, at)| at.iter().copied());
    if let Err(why) = compare(&inspection().of(rule), known.collect()) {
        panic!("{rule:?}: {why}");
    }
}

fn compare(found: &[&Breach], known: BTreeSet<&str>) -> Result<(), String> {
    let found: BTreeMap<_, _> = found.iter().map(|breach| (breach.at.as_str(), breach)).collect();
    let new = found.iter().filter(|(at, _)| !known.contains(*at));
    let new: Vec<_> = new.map(|(at, breach)| format!("  {at}\n      {}", breach.why)).collect();
    let mended: Vec<_> = known.iter().filter(|at| !found.contains_key(*at)).collect();
    if new.is_empty() && mended.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = found.keys().map(|at| format!("            {at:?},")).collect();
    let (new, list) = (new.join("\n"), list.join("\n"));
    let rest =
        format!("to be taken out of the list of exceptions: {mended:#?}\nall of it:\n{list}");
    Err(format!("is broken:\n{new}\n{rest}\n"))
}

#[test]
fn no_room_sees_through_a_wall() {
    holds(Rule::Wall);
}

#[test]
fn no_two_rooms_are_in_a_circle() {
    holds(Rule::RoomCircle);
}

#[test]
fn no_two_files_are_in_a_circle() {
    holds(Rule::FileCircle);
}

#[test]
fn no_child_names_what_a_file_above_it_defines() {
    holds(Rule::ChildOfParent);
}

#[test]
fn a_word_stays_in_its_place() {
    holds(Rule::Word);
}

#[test]
fn no_file_is_long() {
    holds(Rule::LongFile);
}

#[test]
fn every_file_says_what_it_is() {
    holds(Rule::NoHead);
}

#[test]
fn no_function_has_many_parameters() {
    holds(Rule::ManyParameters);
}

#[test]
fn no_function_is_long() {
    holds(Rule::LongFunction);
}

#[test]
fn no_function_is_deep() {
    holds(Rule::DeepFunction);
}

#[test]
fn a_clients_text_is_seen_by_its_redaction_only() {
    for (item, files, _) in UNREDACTED {
        let defines = |file: &&str| inspection().defines(file, item);
        assert!(files.iter().any(defines), "{item} is in none of {files:?}: the rule sees nothing");
    }
    holds(Rule::Unredacted);
}

#[test]
fn a_module_with_children_is_a_file_beside_its_folder() {
    holds(Rule::ModRs);
}

#[test]
fn every_file_is_part_of_the_house() {
    holds(Rule::Unreached);
}

#[test]
fn every_name_was_followed() {
    holds(Rule::Lost);
}

#[test]
fn no_type_whose_methods_stand_in_many_files_closes_a_circle() {
    holds(Rule::MethodCircle);
}

/// Run with `--nocapture` to read it.
#[test]
fn what_was_measured_is_within_the_limits() {
    let inspection = inspection();
    let files = inspection.house.files.iter();
    let longest_file = files.clone().max_by_key(|file| file.lines).expect("files");
    println!("{} files; longest: {} ({})", files.len(), longest_file.lines, longest_file.name);
    let longest = largest(inspection, |function| function.lines);
    let widest = largest(inspection, |function| function.parameters);
    let deepest = largest(inspection, |function| function.depth);
    println!("longest function: {} ({})", longest.0, longest.1);
    println!("most parameters: {} ({})", widest.0, widest.1);
    println!("deepest nesting: {} ({})", deepest.0, deepest.1);
    let by_imports = inspection.ties(false);
    let mut flat = by_imports.clone();
    flat.retain(|pair, _| !inspection.names.of_parents.contains_key(pair));
    let kinds = [
        ("imports from files beside or below", flat),
        ("imports", by_imports),
        ("imports and methods", inspection.ties(true)),
    ];
    for (what, ties) in kinds {
        let circles = rules::circles_of(&ties);
        println!("circles of files by {what}: {}", circles.len());
        for circle in &circles {
            println!("  {} files:\n      {}", circle.len(), inspection.story(circle, &ties));
        }
    }
    assert_eq!(longest_file.lines > FILE_LINES, is_open(Rule::LongFile));
    assert_eq!(longest.0 > FUNCTION_LINES, is_open(Rule::LongFunction));
    assert_eq!(widest.0 > PARAMETERS, is_open(Rule::ManyParameters));
    assert_eq!(deepest.0 > NESTING, is_open(Rule::DeepFunction));
}

/// The largest function by one measure, and where it stands.
fn largest(inspection: &'static Inspection, size: fn(&Function) -> usize) -> (usize, String) {
    let of_file = |file: &'static house::File| {
        file.functions.iter().map(move |f| (size(f), format!("{}: {}", file.name, f.name)))
    };
    let all = inspection.house.files.iter().flat_map(of_file);
    all.max_by_key(|(size, _)| *size).expect("functions")
}

fn is_open(rule: Rule) -> bool {
    STILL_OPEN.iter().any(|(of, at)| *of == rule && !at.is_empty())
}
