//! The walls see a breach: small houses with one thing wrong in each, and houses that only look wrong.

use super::rules::{self, Inspection, Rule};

/// A house of these files, each with its head line.
pub fn house(files: &[(&str, &str)]) -> Inspection {
    let headed =
        |(path, text): &(&str, &str)| (format!("src/{path}"), format!("//! A file.\n{text}"));
    rules::inspect(&files.iter().map(headed).collect())
}

pub fn broken(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let inspection = house(files);
    assert!(inspection.of(Rule::Lost).is_empty(), "{:?}", inspection.of(Rule::Lost));
    inspection.of(rule).iter().map(|breach| breach.at.clone()).collect()
}

/// Whether the room `storm`, with this code, sees the room `bot`.
fn sees_the_bot(code: &str) -> bool {
    let files = [
        ("lib.rs", "pub mod bot; pub mod storm; pub mod evidence; pub mod flow;"),
        (
            "bot.rs",
            "pub mod words; pub struct Bot; pub fn run() {} pub enum Is { Up } pub trait Says {}",
        ),
        ("bot/words.rs", "pub fn said() {}"),
        ("evidence.rs", "pub fn bot() {} pub struct Seen;"),
        ("flow.rs", "pub use crate::bot::Bot as Person; pub use crate::evidence::Seen;"),
        ("storm.rs", "pub mod below; use crate::evidence; pub struct Storm; type Own = Storm;"),
        ("storm/below.rs", code),
    ];
    let seen = broken(Rule::Wall, &files);
    seen.iter().any(|at| at == "storm/below.rs -> bot")
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    let ways = [
        "use crate::bot::run;",
        "use crate::bot;",
        "use crate::bot as other;",
        "use crate::{evidence::{self, Seen}, bot::{words::{said as say}}};",
        "use crate::bot::*;",
        "use crate::bot::Is::Up;",
        "use super::super::bot::run;",
        "pub(crate) use crate::bot::Bot;",
        "fn f() { crate::bot::run(); }",
        "fn f() { super::super::bot::words::said() }",
        "fn f() { use crate::bot::run; run() }",
        "use crate::flow::Person;",
        "use crate::flow; fn f(of: flow::Person) {}",
        "use crate::flow::*; fn f(of: Person) {}",
        "struct C; impl crate::bot::Says for C {}",
        "impl<'a> From<crate::bot::Bot> for &'a str {}",
        "macro_rules! run { () => { $crate::bot::run() } }",
        "fn f() { println!(\"{}\", crate::bot::run()) }",
        "#[serde(with = \"crate::bot::words\")] struct C;",
        "mod inner { pub fn f() { crate::bot::run() } }",
        "mod inner { use super::super::super::bot::run; }",
        "use crate as all; use all::bot::run;",
        "fn f(of: impl Fn() -> crate::bot::Bot) {}",
        "const TESTS: &str = \"mod tests {\"; use crate::bot::run;",
        "const TESTS: &str = r#\"#[cfg(test)] mod tests { \"#; use crate::bot::run;",
        "#[cfg(test)] use crate::evidence; use crate::bot::run;",
        "#[cfg(test)] const N: [u8; 2] = [1; 2]; use crate::bot::run;",
        "#[cfg(test)] fn f() -> bool { '{' == '\\'' } use crate::bot::run;",
        "struct S { #[cfg(test)] a: Vec<(u8, u8)>, b: crate::bot::Bot }",
        "#[cfg(not(test))] use crate::bot::run;",
        "#[cfg(any(test, unix))] use crate::bot::run;",
        "/* one /* two */ still */ use crate::bot::run;",
        "fn f<'a>(x: &'a u8, y: char) -> bool { y == 'a' } use crate::bot::run;",
        "fn f() { let _ = (b'\"', b\"\\\"\", '\"'); crate::bot::run() }",
    ];
    for way in ways {
        assert!(sees_the_bot(way), "{way}");
    }
}

#[test]
fn what_only_looks_like_a_name_is_none() {
    let looks = [
        "// use crate::bot::run;\n/// crate::bot::run()\nfn f() {}",
        "/* /* crate::bot */ use crate::bot::run; */",
        "const A: &str = \"crate::bot::run()\";",
        "const A: &str = r##\"\"# use crate::bot::run; \"##;",
        "#[cfg(test)] use crate::bot::run;",
        "#[cfg(test)]\nmod tests { use crate::bot::run; }",
        "#[cfg(all(test, unix))] mod tests { use crate::bot::run; }",
        "#[cfg(test)] #[derive(Debug)] pub(crate) struct S(crate::bot::Bot);",
        "struct S; impl S { #[cfg(test)] fn f(&self) { crate::bot::run() } fn g() {} }",
        "#[test] fn f() { crate::bot::run() }",
        "enum E { #[cfg(test)] A(crate::bot::Bot), B }",
        "pub(in crate::storm) struct S;",
        "use crate::flow::Seen;",
        "fn f(bot: u8) -> u8 { bot }",
        "use crate::evidence::bot; fn f() { bot() }",
        "mod bot { pub fn run() {} } use bot::run;",
    ];
    for look in looks {
        assert!(!sees_the_bot(look), "{look}");
    }
}

#[test]
fn of_some_rooms_a_part_may_be_seen() {
    let files = |room, code| {
        vec![
            ("lib.rs", "mod collect; mod diagnose; mod plan; mod store; mod bot; mod terminal;"),
            ("collect.rs", "pub mod logs; pub mod postgres; pub struct Answers;"),
            ("collect/logs.rs", "pub mod follow; pub fn read() {}"),
            ("collect/logs/follow.rs", "pub struct Follow;"),
            ("collect/postgres.rs", "pub fn grants() {}"),
            (
                "diagnose.rs",
                "mod rows; pub fn needs() {} pub fn diagnose() {} pub use rows::Certainty;",
            ),
            ("diagnose/rows.rs", "pub struct Certainty;"),
            (room, code),
        ]
    };
    let fine = [
        ("plan.rs", "use crate::diagnose; fn f() { diagnose::needs() }"),
        ("store.rs", "use crate::diagnose::Certainty;"),
        ("bot.rs", "use crate::collect::logs::follow::Follow;"),
        ("terminal.rs", "use crate::collect::{logs, postgres::grants}; fn f() { logs::read() }"),
    ];
    for (room, code) in fine {
        assert_eq!(broken(Rule::Wall, &files(room, code)), [""; 0], "{code}");
    }
    let wrong = [
        ("plan.rs", "use crate::diagnose::diagnose;", "plan.rs -> diagnose"),
        ("store.rs", "use crate::diagnose::needs;", "store.rs -> diagnose"),
        ("bot.rs", "use crate::collect::logs::read;", "bot.rs -> collect"),
        ("bot.rs", "fn f() { crate::collect::postgres::grants() }", "bot.rs -> collect"),
        ("terminal.rs", "use crate::collect::Answers;", "terminal.rs -> collect"),
    ];
    for (room, code, at) in wrong {
        assert_eq!(broken(Rule::Wall, &files(room, code)), [at], "{code}");
    }
}

#[test]
fn the_walls_go_through_both_crates_and_the_program() {
    let files = [
        ("core/lib.rs", "pub mod evidence; pub mod diagnose; pub mod storm;"),
        ("core/evidence.rs", "mod known; pub use known::Known;"),
        ("core/evidence/known.rs", "pub struct Known;"),
        ("core/diagnose.rs", "use crate::evidence::Known; pub fn diagnose() {}"),
        ("core/storm.rs", "fn f() { crate::diagnose::diagnose() }"),
        ("lib.rs", "pub use kestrel_core::evidence; pub mod config; pub mod bot;"),
        ("config.rs", "use kestrel_core::evidence::Known; use crate::evidence::Known as Same;"),
        ("bot.rs", "use kestrel_core::diagnose::diagnose; pub fn run() {}"),
        ("main.rs", "mod terminal; fn main() { kestrel::bot::run() }"),
        ("terminal.rs", "use kestrel::bot::run;"),
    ];
    let wrong = broken(Rule::Wall, &files);
    assert_eq!(wrong, ["bot.rs -> diagnose", "storm.rs -> diagnose", "terminal.rs -> bot"]);
    assert!(house(&files).of(Rule::FileCircle).is_empty());
}

#[test]
fn rooms_in_a_circle_are_seen() {
    let files = [
        ("lib.rs", "mod storm; mod capture; mod config;"),
        ("storm.rs", "use crate::capture::b; pub fn a() {}"),
        ("capture.rs", "use crate::config::c; pub fn b() {}"),
        ("config.rs", "mod inner; pub fn c() {}"),
        ("config/inner.rs", "use crate::storm::a;"),
    ];
    assert_eq!(broken(Rule::RoomCircle, &files), ["capture, config, storm"]);
    assert_eq!(broken(Rule::FileCircle, &files), [""; 0]);
}

/// The files of `storm` that are in a circle, with this code in each.
fn circle(rule: Rule, storm: &str, one: &str, two: &str) -> Vec<String> {
    let files = [("storm.rs", storm), ("storm/one.rs", one), ("storm/two.rs", two)];
    broken(rule, &[&[("lib.rs", "pub mod storm;")], files.as_slice()].concat())
}

#[test]
fn files_in_a_circle_are_seen() {
    let (declares, shares) =
        ("mod one; mod two;", "mod one; mod two; pub use one::A; pub use two::B;");
    let pair = ["storm/one.rs", "storm/two.rs"];
    let both = |storm, one, two| circle(Rule::FileCircle, storm, one, two);
    assert_eq!(
        both(declares, "use super::two::B; pub struct A;", "use super::one::A; pub struct B;"),
        pair
    );
    assert_eq!(
        both(shares, "use super::B; pub struct A;", "use crate::storm::A; pub struct B;"),
        pair
    );
    assert_eq!(both(shares, "use super::*; pub struct A(B);", "use super::A; pub struct B;"), pair);
    assert_eq!(
        both(declares, "pub fn a() { super::two::b() }", "use super::one; pub fn b() { one::a() }"),
        pair
    );
    let with_macro = "pub fn b() {} fn f() { made!() }";
    assert_eq!(
        both(declares, "fn f() { super::two::b() } macro_rules! made { () => {} }", with_macro),
        pair
    );
    assert_eq!(both(shares, "use super::B; pub struct A;", "pub struct B;"), [""; 0]);
    assert_eq!(
        both(
            shares,
            "pub struct A; #[cfg(test)] mod tests { use super::super::B; }",
            "use super::A; pub struct B;"
        ),
        [""; 0]
    );
}

#[test]
fn a_parent_that_uses_its_child_is_in_a_circle_with_it() {
    let back = ["storm.rs", "storm/one.rs"];
    let parents = [
        "mod one; mod two; use one::A; pub struct S(A);",
        "mod one; mod two; pub use one::A; pub struct S(A);",
        "mod one; mod two; pub struct S(one::A);",
        "mod one; mod two; pub use one::a; pub struct S; fn f() { a() }",
    ];
    let (child, other) = ("use super::S; pub struct A; pub fn a() {}", "pub struct B;");
    for parent in parents {
        assert_eq!(circle(Rule::FileCircle, parent, child, other), back, "{parent}");
        let at = circle(Rule::ChildOfParent, parent, child, other);
        assert_eq!(at, ["storm/one.rs -> storm.rs"], "{parent}");
    }
    let shares = "mod one; mod two; pub use one::{A, a}; pub struct S;";
    assert_eq!(circle(Rule::FileCircle, shares, child, other), [""; 0]);
    assert_eq!(circle(Rule::ChildOfParent, shares, child, other), ["storm/one.rs -> storm.rs"]);
    assert_eq!(circle(Rule::ChildOfParent, shares, "pub struct A; pub fn a() {}", other), [""; 0]);
}

#[test]
fn a_place_of_visibility_and_a_name_of_two_things_are_no_circle() {
    let child = |storm, one| circle(Rule::ChildOfParent, storm, one, "pub fn b() {}");
    assert_eq!(child("mod one; mod two;", "pub(in crate::storm) struct A;"), [""; 0]);
    // Only the module has members, not the function that is called like it.
    let storm = "mod one; mod two; pub fn two() {}";
    assert_eq!(child(storm, "fn f() { super::two::b() }"), [""; 0]);
    assert_eq!(child(storm, "fn f() { super::two() }"), ["storm/one.rs -> storm.rs"]);
}

#[test]
fn a_type_whose_methods_stand_in_two_files_closes_a_circle() {
    let storm = "mod one; mod two;";
    let one = "pub struct A; impl A { pub fn f(&self) { self.g() } }";
    let two = "use super::one::A; impl A { pub fn g(&self) {} }";
    assert_eq!(circle(Rule::FileCircle, storm, one, two), [""; 0]);
    assert_eq!(circle(Rule::MethodCircle, storm, one, two), ["storm/one.rs", "storm/two.rs"]);
    let one = "pub struct A; impl A { pub fn f(&self) { Self::g(self) } }";
    assert_eq!(circle(Rule::MethodCircle, storm, one, two), ["storm/one.rs", "storm/two.rs"]);
    let one = "pub struct A; impl A { pub fn f(&self) { self.of.g() } }";
    assert_eq!(circle(Rule::MethodCircle, storm, one, two), [""; 0]);
}

#[test]
fn a_file_elsewhere_is_found_by_its_path() {
    let files = [
        ("lib.rs", "pub mod storm;"),
        ("storm.rs", "#[path = \"elsewhere.rs\"] mod one; mod two;"),
        ("storm/elsewhere.rs", "use super::two::B; pub struct A;"),
        ("storm/two.rs", "use super::one::A; pub struct B;"),
    ];
    let seen = broken(Rule::FileCircle, &files);
    assert_eq!(seen, ["storm/elsewhere.rs", "storm/two.rs"]);
}
