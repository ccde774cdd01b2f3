//! The table, its help, and what is no command.

use super::super::{COMMANDS, Command, CommandName, help};
use super::reading::{error, read};
use crate::evidence::Symptom;

#[test]
fn every_command_is_parsed_from_its_own_example_and_help_lists_all() {
    for row in &COMMANDS {
        let read = read(row.example).expect(row.example).expect(row.example);
        assert_eq!(read.name(), row.name, "{}", row.example);
        assert!(row.example.starts_with(&format!("!{}", row.word)));
        assert!(row.usage.starts_with(&format!("!{}", row.word)));
        assert!(row.word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.doc);
        assert!(row.notes.iter().all(|note| note.ends_with('.') || note.contains(": ")));
        assert!(help(None).lines.contains(&(row.usage, row.doc)));
        assert_eq!(help(Some(row.name)).lines, [(row.usage, row.doc)]);
        assert_eq!(help(Some(row.name)).example, Some(row.example));
    }
    assert_eq!(help(None).lines.len(), COMMANDS.len());
}

#[test]
fn only_a_line_that_begins_with_a_mark_is_a_command() {
    for body in [
        "",
        " ",
        "hello",
        "see !ke1",
        "!",
        "!!",
        "!!!",
        "! ke1",
        "!1",
        "!?",
        "> !why",
        "> <@a:b> !why\n",
        "!opsroom:example.org",
        "!ke1abc:example.org",
        "* !why",
        "\u{feff}",
    ] {
        assert_eq!(read(body), Ok(None), "{body}");
    }
    for body in [
        "!why",
        " !why ",
        "!WHY",
        "!why?",
        "\u{feff}!why",
        "\n!why",
        "> <@a:b> !ke1\n\n!why",
        "> a\n > b\n!why",
    ] {
        assert_eq!(read(body), Ok(Some(Command::Why)), "{body}");
    }
}

#[test]
fn help_and_why() {
    assert_eq!(read("!help"), Ok(Some(Command::Help(None))));
    for body in ["!help ke1", "!Help !KE1", "!help\u{a0} ke1"] {
        assert_eq!(read(body), Ok(Some(Command::Help(Some(CommandName::Ke1)))), "{body}");
    }
    assert!(error("!help key1").contains("!ke1"));
    assert!(error("!help ke1 why").contains("“why”"));
    assert!(error("!why not").contains("“not”"));
}

#[test]
fn an_unknown_command_gets_the_nearest() {
    for (typed, near) in [
        ("!ke @a:b C", "!ke1"),
        ("!key1", "!ke1"),
        ("!ek1", "!ke1"),
        ("!k1", "!ke1"),
        ("!hlep", "!help"),
        ("!halp", "!help"),
        ("!h", "!help"),
        ("!who", "!why"),
        ("!KE1x", "!ke1"),
    ] {
        let error = read(typed).expect_err(typed);
        assert!(error.says.contains(&format!("Did you mean {near}?")), "{typed}: {error}");
        assert!(error.usage.is_some_and(|usage| usage.starts_with(near)));
    }
    assert!(
        error("!restart").ends_with("There is no command “!restart”. !help lists the commands.")
    );
}

#[test]
fn trees_are_those_of_the_branches() {
    assert_eq!(read("!tree"), Ok(Some(Command::Tree(None))));
    assert_eq!(read("!tree KE2"), Ok(Some(Command::Tree(Some(Symptom::Ke2)))));
    for word in ["all", "fleet", "ke5"] {
        assert!(error(&format!("!tree {word}")).contains("The trees are ke1, ke2, ke3 and ke4."));
    }
}
