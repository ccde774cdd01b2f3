//! The walls see a breach in one file: a word out of its place, a clock, a size, a reader of unredacted text.

use super::breaches::{broken, house};
use super::lexer::{self, Kind};
use super::rules::{Breach, Rule};
use super::{FILE_LINES, FUNCTION_LINES, compare};

#[test]
fn a_word_out_of_its_place_is_seen() {
    let wrong = [
        ("flow.rs", "use tokio_postgres::Client;", "tokio_postgres"),
        ("flow.rs", "use matrix_sdk::Room;", "matrix_sdk"),
        ("collect.rs", "fn f() { reqwest::get() }", "reqwest"),
        ("bot.rs", "use matrix_sdk::reqwest;", "reqwest"),
        ("store.rs", "use rusqlite::*;", "rusqlite"),
        ("collect.rs", "use tokio::{fs, process};", "tokio::process"),
        (
            "collect.rs",
            "use std::process; fn f() { process::Command::new() }",
            "std::process::Command",
        ),
        ("collect.rs", "use std::process::*; fn f() { Command::new() }", "std::process::Command"),
        ("storm.rs", "fn f() { tokio::spawn(g()) }", "tokio"),
        ("storm.rs", "use std::{fs, io};", "std::fs"),
        ("storm.rs", "use std as s; fn f() { s::env::var() }", "std::env"),
        ("storm.rs", "fn f(at: std::time::SystemTime) {}", "SystemTime"),
        ("storm.rs", "use std::time::*; fn f(at: Instant) {}", "Instant"),
        ("storm.rs", "async fn f() {}", "async"),
        ("diagnose.rs", "use regex::Regex;", "regex"),
        ("store.rs", "fn f() { tokio::time::Instant::now() }", "Instant::now"),
        ("store.rs", "use tokio::time::Instant as C; fn f() { C::now() }", "Instant::now"),
        ("store.rs", "use tokio::time as t; fn f() { t::Instant::now() }", "Instant::now"),
        ("collect.rs", "use jiff::Timestamp; fn f() { g(Timestamp::now) }", "Timestamp::now"),
        ("flow.rs", "fn f() { jiff::Zoned::now() }", "Zoned::now"),
        ("flow.rs", "fn f() { std::time::SystemTime::now() }", "SystemTime::now"),
    ];
    for (file, code, word) in wrong {
        let root = format!("pub mod {};", file.trim_end_matches(".rs"));
        let seen = broken(Rule::Word, &[("lib.rs", &root), (file, code)]);
        assert!(seen.contains(&format!("{file} says {word}")), "{code}: {seen:?}");
    }
}

#[test]
fn a_word_in_its_place_is_fine() {
    let fine = [
        ("collect/postgres.rs", "use tokio_postgres::Client;"),
        ("collect/prometheus.rs", "use reqwest::Client; fn f() { tokio::time::Instant::now() }"),
        ("collect/exec.rs", "use tokio::process::Command;"),
        ("bot.rs", "use matrix_sdk::Room; fn f() { jiff::Timestamp::now() }"),
        ("store/ledger.rs", "use rusqlite::params;"),
        (
            "flow.rs",
            "use std::process::ExitCode; use std::time::Instant; fn f() { Instant::now() }",
        ),
        ("storm.rs", "use jiff::Timestamp; fn now() -> u8 { 1 } fn f() { now() }"),
        ("diagnose.rs", "#[cfg(test)] mod tests { use regex::Regex; }\nfn f() { \"tokio\" }"),
    ];
    for (file, code) in fine {
        let folder = file.split('/').next().expect("a room").trim_end_matches(".rs");
        let (root, room) = (format!("pub mod {folder};"), format!("{folder}.rs"));
        let child = file.rsplit('/').next().expect("a file").trim_end_matches(".rs");
        let parent = format!("mod {child};");
        let mut files = vec![("lib.rs", root.as_str()), (file, code)];
        if room != file {
            files.push((&room, &parent));
        }
        assert_eq!(broken(Rule::Word, &files), [""; 0], "{code}");
    }
}

#[test]
fn a_long_file_is_seen_and_its_tests_are_not_counted() {
    let lines = |count: usize| "// a line\n".repeat(count);
    let long = |text: &str| broken(Rule::LongFile, &[("lib.rs", "mod storm;"), ("storm.rs", text)]);
    // The head is a line, too.
    assert_eq!(long(&lines(FILE_LINES - 1)), [""; 0]);
    assert_eq!(long(&lines(FILE_LINES)), ["storm.rs"]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(FILE_LINES));
    assert_eq!(long(&tests), [""; 0]);
    let early = format!("#[cfg(test)]\nuse crate::storm;\n{}{tests}", lines(FILE_LINES));
    assert_eq!(long(&early), ["storm.rs"]);
    let quoted =
        format!("const A: &str = \"\n#[cfg(test)]\nmod tests {{\";\n{}", lines(FILE_LINES));
    assert_eq!(long(&quoted), ["storm.rs"]);
}

#[test]
fn a_file_that_tests_declare_is_a_test_with_all_below_it() {
    let files = [
        ("lib.rs", "mod storm; mod bot;"),
        ("bot.rs", "pub fn run() {}"),
        ("storm.rs", "#[cfg(test)] mod scene; #[cfg(test)] mod tests { mod deep; }"),
        ("storm/scene.rs", "mod below; use crate::bot::run;"),
        ("storm/scene/below.rs", "use crate::bot::run;"),
        ("storm/tests/deep.rs", "use crate::bot::run;"),
        ("storm/whole.rs", "#![cfg(test)]\nuse crate::bot::run;"),
    ];
    assert_eq!(broken(Rule::Wall, &files), [""; 0]);
    assert_eq!(broken(Rule::Unreached, &files), ["src/storm/whole.rs"]);
}

#[test]
fn a_file_without_a_head_and_a_mod_rs_are_seen() {
    let files = [("lib.rs", "pub mod storm;"), ("storm/mod.rs", "")];
    assert_eq!(broken(Rule::ModRs, &files), ["src/storm/mod.rs"]);
    let tree = [("src/lib.rs".to_owned(), "pub fn f() {}".to_owned())].into();
    let bare = super::rules::inspect(&tree);
    assert_eq!(bare.of(Rule::NoHead).len(), 1);
}

fn functions(rule: Rule, code: &str) -> Vec<String> {
    broken(rule, &[("lib.rs", "mod storm;"), ("storm.rs", code)])
}

#[test]
fn many_parameters_are_seen() {
    let wide = [
        "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, g: u8) {}",
        "struct S; impl S { pub fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }",
        "trait T { fn f(&mut self, a: u8, b: u8, c: u8, d: u8, e: u8,); }",
        "fn f<T: Fn(u8) -> u8>(a: &'static str, (b, c): (u8, u8), d: u8, e: u8, g: u8, h: T) {}",
    ];
    for code in wide {
        assert_eq!(functions(Rule::ManyParameters, code), ["storm.rs: f"], "{code}");
    }
    let fine = [
        "fn f(a: u8, b: u8, c: u8, d: u8, e: u8,) {}",
        "fn f(a: Map<u8, u8>, (b, c): (u8, u8), d: [u8; 3], e: impl Fn(u8, u8) -> u8) {}",
        "type F = fn(u8, u8, u8, u8, u8, u8);",
        "fn f() { g(1, 2, 3, 4, 5, 6) }",
        "#[cfg(test)] fn f(a: u8, b: u8, c: u8, d: u8, e: u8, g: u8) {}",
    ];
    for code in fine {
        assert_eq!(functions(Rule::ManyParameters, code), [""; 0], "{code}");
    }
}

#[test]
fn a_long_function_is_seen() {
    let of = |lines: usize| format!("fn f() -> [u8; 3] {{\n{}}}", "// a line\n".repeat(lines));
    assert_eq!(functions(Rule::LongFunction, &of(FUNCTION_LINES - 1)), ["storm.rs: f"]);
    assert_eq!(functions(Rule::LongFunction, &of(FUNCTION_LINES - 2)), [""; 0]);
}

#[test]
fn deep_nesting_is_seen() {
    let deep = [
        "fn f() { if let A { b } = c { loop { loop { loop { loop {} } } } } }",
        "fn f() { loop { loop { loop { loop { g(|x| { x }) } } } } }",
        "fn f() { if a { for b in c { while d { match e { F => { loop { } } } } } } }",
        "fn f() { if let A { b } = c { if d {} else if e { a(|x| { for y in x { match y { _ => if z { } } } }) } } }",
        "fn f() { loop { loop { loop { loop { let Some(x) = y else { return }; } } } } }",
    ];
    for code in deep {
        assert_eq!(functions(Rule::DeepFunction, code), ["storm.rs: f"], "{code}");
    }
    let flat = [
        "fn f() { if a { for b in c { while d { match e { F { g } if h => A { b: C { d } }, _ => {} } } } } }",
        "fn f() { match a { A { b } => { c }, B { c: D { e: F { .. } } } => { { { 1 } } } } }",
        "fn f() { if a { } else if b { } else if c { } else if d { } else if e { } else { } }",
        "fn f() { while let A { b: B { c } } = d { if let E { .. } = c && let F { .. } = g { } } }",
    ];
    for code in flat {
        assert_eq!(functions(Rule::DeepFunction, code), [""; 0], "{code}");
    }
}

#[test]
fn a_reader_of_unredacted_text_is_seen() {
    let files = |reader, other| {
        [
            ("lib.rs", "pub mod evidence; pub mod flow;"),
            ("evidence.rs", "pub mod har; pub mod artefact; pub mod known;"),
            ("evidence/har.rs", reader),
            ("evidence/artefact.rs", "pub mod har;"),
            ("evidence/artefact/har.rs", "use crate::evidence::har::Read;"),
            ("evidence/known.rs", other),
            ("flow.rs", ""),
        ]
    };
    let seen = |reader, other| broken(Rule::Unredacted, &files(reader, other));
    assert_eq!(seen("pub(super) struct Read;", ""), [""; 0]);
    assert_eq!(seen("pub struct Read;", ""), ["evidence/har.rs: Read"]);
    assert_eq!(
        seen("pub(super) struct Read;", "fn f(of: super::har::Read) {}"),
        ["evidence/known.rs -> evidence/har.rs: Read"]
    );
}

#[test]
fn an_exception_that_is_not_needed_fails() {
    let breach = Breach { rule: Rule::Wall, at: "a.rs -> b".into(), why: "c".into() };
    assert_eq!(compare(&[&breach], ["a.rs -> b"].into()), Ok(()));
    assert!(compare(&[&breach], [].into()).is_err_and(|why| why.contains("a.rs -> b\n      c")));
    assert!(compare(&[], ["a.rs -> b"].into()).is_err_and(|why| why.contains("a.rs -> b")));
}

#[test]
fn a_name_that_leads_nowhere_is_not_passed_over() {
    let files = [("lib.rs", "mod storm;"), ("storm.rs", "use crate::gone::away;")];
    assert_eq!(house(&files).of(Rule::Lost).len(), 1);
}

#[test]
fn the_lexer_reads_hostile_text() {
    let of = |text: &str| {
        let tokens = lexer::tokens(text).into_iter();
        tokens.map(|token| (token.kind, token.text)).collect::<Vec<_>>()
    };
    let literal = |text: &str| (Kind::Literal, text.to_owned());
    assert_eq!(of("r#\"a\"b\"#"), [literal("a\"b")]);
    assert_eq!(of("br##\"\"#\"##"), [literal("\"#")]);
    assert_eq!(
        of("\"\\\\\" '\\'' b'\\\\'"),
        [literal("\\\\"), literal("'\\''"), literal("'\\\\'")]
    );
    assert_eq!(
        of("'a 'static"),
        [(Kind::Lifetime, "'a".into()), (Kind::Lifetime, "'static".into())]
    );
    assert_eq!(of("r#type"), [(Kind::Word, "type".into())]);
    assert_eq!(of("/* a /* \" */ ' */ // \"\n1.5"), [literal("1.5")]);
    assert_eq!(of("0..9").len(), 4);
    assert_eq!(lexer::tokens("\"a\n\n\" b /*\n*/ c").last().map(|token| token.line), Some(4));
    assert_eq!(of("\"never closed").len(), 1);
    assert_eq!(of("/* never closed").len(), 0);
}
