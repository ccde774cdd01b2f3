//! The walls of the architecture page: which room may name which, and what stands in one room only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room → the rooms it may name. A room that is missing here may name none, and fails the test below.
const DOORS: &[(&str, &[&str])] = &[
    ("evidence", &[]),
    ("question", &["evidence"]),
    ("command", &["question", "evidence"]),
    ("config", &["evidence"]),
    ("diagnose", &["evidence"]),
    ("plan", &["question", "evidence", "diagnose"]),
    ("storm", &["evidence"]),
    ("capture", &["evidence"]),
    ("render", &["command", "evidence", "diagnose", "storm", "capture"]),
    ("collect", &["plan", "evidence", "config"]),
    ("store", &["evidence", "capture", "storm", "config"]),
    (
        "flow",
        &[
            "question", "plan", "collect", "evidence", "diagnose", "render", "storm", "capture",
            "store", "config",
        ],
    ),
    (
        "bot",
        &[
            "command", "question", "flow", "render", "storm", "capture", "collect", "store",
            "config", "evidence",
        ],
    ),
];

/// Words that may stand in some places only; the place is a path below `src`.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("tokio_postgres", &["collect/postgres"]),
    ("matrix_sdk", &["bot/"]),
    ("reqwest", &["collect/prometheus.rs"]),
    ("rusqlite", &["store/ledger"]),
    ("tokio::process", &["collect/logs/exec.rs"]),
    ("std::process::Command", &["collect/logs/exec.rs"]),
];

/// Words that a pure room never says.
const PURE: &[(&str, &[&str])] = &[
    ("evidence", &["tokio", "std::fs", "std::net", "std::env", "SystemTime", "Instant", "now()"]),
    (
        "diagnose",
        &["tokio", "std::fs", "std::net", "std::env", "regex", "SystemTime", "now()", "async "],
    ),
    ("plan", &["tokio", "std::fs", "SystemTime", "now()"]),
    ("render", &["tokio", "std::fs", "SystemTime", "now()"]),
    ("question", &["tokio", "std::fs", "SystemTime", "now()"]),
    ("command", &["tokio", "std::fs", "SystemTime", "now()"]),
    ("storm", &["tokio", "std::fs", "SystemTime", "now()"]),
    ("capture", &["tokio", "std::fs", "SystemTime", "now()"]),
];

const FILE_LINES: usize = 400;

struct Source {
    path: PathBuf,
    /// Without comments and tests.
    code: String,
    lines: usize,
}

impl Source {
    fn room(&self) -> String {
        let below = self.path.strip_prefix("core").unwrap_or(&self.path);
        let first = below.components().next().expect("a path below src").as_os_str();
        first.to_string_lossy().trim_end_matches(".rs").to_owned()
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is there").flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, found),
                path if path.extension().is_some_and(|kind| kind == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    let src = crate::tree().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    assert!(paths.len() > 20, "the sources were not found");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is text");
        let before_tests: Vec<_> =
            text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
        let code = before_tests.iter().filter(|line| !line.trim_start().starts_with("//"));
        Source {
            path: path.strip_prefix(&src).expect("below src").to_owned(),
            code: code.copied().collect::<Vec<_>>().join("\n"),
            lines: before_tests.len(),
        }
    };
    paths.into_iter().map(read).collect()
}

/// The rooms that a room's code names: `crate::room`, alone or in a group.
fn named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut rooms = BTreeSet::new();
    let starts = code.match_indices("crate::").chain(code.match_indices("kestrel_core::"));
    for (at, start) in starts {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                rooms.extend(group.split(',').map(|item| word(item.trim())));
            }
            None => {
                rooms.insert(word(rest));
            }
        }
    }
    rooms
}

#[test]
fn no_room_looks_through_a_wall() {
    let doors: BTreeMap<_, _> = DOORS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let room = source.room();
        if ["main", "terminal", "lib"].contains(&room.as_str()) {
            continue;
        }
        let allowed = doors.get(room.as_str());
        for other in named(&source.code).into_iter().filter(|other| *other != room) {
            if !allowed.is_some_and(|allowed| allowed.contains(&other.as_str())) {
                wrong.push(format!("{} names {other}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn of_all_that_collects_the_bot_sees_the_follower_only() {
    let bot = sources().into_iter().filter(|source| source.room() == "bot");
    let all = bot.map(|source| source.code).collect::<Vec<_>>().join("\n");
    let named: Vec<_> = all.match_indices("crate::collect").collect();
    assert!(!named.is_empty(), "the watch follows no log");
    for (at, _) in named {
        assert!(all[at..].starts_with("crate::collect::logs::follow::"), "{}", &all[at..at + 60]);
    }
}

#[test]
fn no_two_rooms_name_each_other() {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        names.entry(source.room()).or_default().extend(named(&source.code));
    }
    for (room, others) in &names {
        for other in others.iter().filter(|other| *other != room) {
            let back = names.get(other).is_some_and(|back| back.contains(room));
            assert!(!back, "{room} and {other} name each other");
        }
    }
}

#[test]
fn what_belongs_to_one_room_stands_there_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        for (word, places) in KEPT_TO {
            if source.code.contains(word) && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} says {word}"));
            }
        }
        for (room, words) in PURE.iter().filter(|(room, _)| *room == source.room()) {
            let said = words.iter().filter(|word| source.code.contains(**word));
            wrong.extend(said.map(|word| format!("{path} says {word}, and {room} is pure")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_and_stays_small() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.lines <= FILE_LINES, "{path} has {} lines before its tests", source.lines);
        let text = fs::read_to_string(crate::tree().join("src").join(&source.path));
        assert!(text.expect("a source").starts_with("//!"), "{path} does not open with //!");
    }
}

#[test]
fn the_walls_see_a_breach() {
    let code =
        "use crate::bot::run;\nuse crate::{collect, render::Reply};\nlet x = crate::store::open();";
    let rooms = named(code);
    for room in ["bot", "collect", "render", "store"] {
        assert!(rooms.contains(room), "{room} was not seen in {rooms:?}");
    }
}
