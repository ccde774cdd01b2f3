//! Messages as they arrive, and what they come to.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::server_name;

use super::*;
use crate::evidence::quoted_device::quoted_device;
use crate::question::{Question, Span, Topic};

/// 2026-11-22 is a Sunday; Berlin is at +01:00.
const NOW: &str = "2026-11-22T13:00:00Z";

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("bundled")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn read_at(body: &str, formatted: Option<&str>, now: &str) -> Result<Option<Command>, UsageError> {
    let context =
        Context { server_name: Some(server_name!("example.org")), zone: &berlin(), now: time(now) };
    parse(&Line { body, formatted }, &context)
}

fn read(body: &str) -> Result<Option<Command>, UsageError> {
    read_at(body, None, NOW)
}

#[track_caller]
fn ke1_of(read: Result<Option<Command>, UsageError>) -> (String, Option<String>, Span) {
    match read {
        Ok(Some(Command::Ask(Question { topic: Topic::Ke1 { user, device }, span }))) => {
            (user.to_string(), device.map(|id| id.to_string()), span)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn user(body: &str) -> String {
    ke1_of(read(body)).0
}

#[track_caller]
fn device(body: &str) -> Option<String> {
    ke1_of(read(body)).1
}

#[track_caller]
fn window(words: &str, now: &str) -> Span {
    ke1_of(read_at(&format!("!ke1 @alice:example.org DEV {words}"), None, now)).2
}

#[track_caller]
fn slip(body: &str) -> String {
    read(body).expect_err(body).to_string()
}

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
    assert!(slip("!help key1").contains("!ke1"));
    assert!(slip("!help ke1 why").contains("“why”"));
    assert!(slip("!why not").contains("“not”"));
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
        let slip = read(typed).expect_err(typed);
        assert!(slip.says.contains(&format!("Did you mean {near}?")), "{typed}: {slip}");
        assert!(slip.usage.is_some_and(|usage| usage.starts_with(near)));
    }
    assert!(
        slip("!restart").ends_with("There is no command “!restart”. !help lists the commands.")
    );
}

#[test]
fn users_however_they_are_written() {
    for body in [
        "!ke1 @alice:example.org D",
        "!KE1  @alice:example.org\u{a0}D",
        "!ke1@alice:example.org D",
        "!ke1 alice:example.org D",
        "!ke1 alice D",
        "!ke1 Alice D",
        "!ke1 @alice D",
        "!ke1 Alice:example.org D",
        "!ke1 @alice: D",
        "!ke1 \u{2068}@alice:example.org\u{2069} D",
        "!ke1 `@alice:example.org` `D`",
        "!ke1 https://matrix.to/#/@alice:example.org D",
        "!ke1 https://matrix.to/#/%40alice%3Aexample.org?via=x.org D",
        "!ke1 https://app.element.io/#/user/@alice:example.org D",
        "!ke1 matrix:u/alice:example.org?action=chat D",
        "!ke1 MATRIX:u/alice:example.org D",
        "!ke1 [Alice A.](https://matrix.to/#/@alice:example.org) D",
        "!ke1\n@alice:example.org\nD",
    ] {
        let (user, device, span) = ke1_of(read(body));
        assert_eq!(
            (user.as_str(), device.as_deref(), span),
            ("@alice:example.org", Some("D"), Span::Unsaid),
            "{body}"
        );
    }
    assert_eq!(user("!ke1 @Alice D"), "@Alice:example.org");
    assert_eq!(user("!ke1 @a:my–server.org D"), "@a:my-server.org");
    assert_eq!(user("!ke1 @a:[2001:db8::1]:8448 D"), "@a:[2001:db8::1]:8448");
    assert_eq!(user("!ke1 @bob:other.org D"), "@bob:other.org");
}

#[test]
fn pills_keep_what_was_typed_around_them() {
    let pill = r#"<a href="https://matrix.to/#/@alice:example.org">Alice A.</a>"#;
    for (body, html) in [
    ("!ke1 Alice A. MY_DEVICE_1", format!("!ke1 {pill} MY<em>DEVICE</em>1")),
    ("!ke1 Alice A.: MY_DEVICE_1", format!("!ke1 {pill}: MY_DEVICE_1")),
    ("!ke1 @Alice A. MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
    ("!ke1 @alice:example.org MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
    ("!ke1 [Alice A.](https://matrix.to/#/@alice:example.org) MY_DEVICE_1", format!("!ke1 {pill} MY_DEVICE_1")),
    ("!ke1 somebody MY_DEVICE_1", format!("<p>!ke1 {pill} MY_DEVICE_1</p>")),
    ("> <@bob:example.org> Alice A.\n\n!ke1 Alice A. MY_DEVICE_1",
     format!("<mx-reply><blockquote><a href='https://matrix.to/#/@bob:example.org'>Bob</a> hi</blockquote></mx-reply>!ke1 {pill} MY_DEVICE_1")),
    ("!ke1 Alice A. MY_DEVICE_1", "!ke1 <A class='x>y' HREF=https://matrix.to/#/%40alice%3Aexample.org>Alice&nbsp;A.</A> MY_DEVICE_1".into()),
    ("!ke1 Alice A. MY_DEVICE_1", "!ke1 <a href=\"matrix:u/alice:example.org\">Alice A.</a> MY_DEVICE_1".into()),
] {
    let (user, device, _) = ke1_of(read_at(body, Some(&html), NOW));
    assert_eq!((user.as_str(), device.as_deref()), ("@alice:example.org", Some("MY_DEVICE_1")), "{body} {html}");
}
    let room = r#"!ke1 <a href="https://matrix.to/#/!room:example.org">room</a> D"#;
    assert_eq!(ke1_of(read_at("!ke1 room D", Some(room), NOW)).0, "@room:example.org");
    // A display name that also stands in the command's name.
    let html = r#"!ke1 <a href="https://matrix.to/#/@k:example.org">k</a> D last 30m"#;
    assert_eq!(ke1_of(read_at("!ke1 k D last 30m", Some(html), NOW)).0, "@k:example.org");
    let two = format!("!ke1 {pill} {pill}");
    assert!(read_at("!ke1 Alice A. Alice A.", Some(&two), NOW).is_err());
}

#[test]
fn ids_too_long_for_an_answer_are_refused() {
    let long = "a".repeat(40_000);
    assert!(slip(&format!("!ke1 {long} D")).contains("is not a Matrix user ID"));
    assert!(slip(&format!("!ke1 a {long}")).contains("is too long for a device ID"));
}

#[test]
fn users_that_are_none() {
    for (body, says) in [
        ("!ke1", "No user given."),
        ("!ke1 ABCDEFGHIJ", "“ABCDEFGHIJ” looks like a device ID."),
        ("!ke1 https://matrix.to/#/!room:example.org D", "is a link, but not to a user"),
        ("!ke1 https://example.org/x D", "is a link, but not to a user"),
        ("!ke1 @:example.org D", "“@:example.org” is not a Matrix user ID"),
        ("!ke1 @a:bad_server!? D", "is not a Matrix user ID"),
        ("!ke1 https://matrix.to/#/@a%0Ab:example.org D", "is not a Matrix user ID"),
        ("!ke1 https://matrix.to/#/@a%FF:example.org D", "is a link, but not to a user"),
        ("!ke1 \"\" D", "is not a Matrix user ID"),
        ("!ke1 @a\u{202e}b:example.org D", "“@a\\u{202e}b:example.org”"),
    ] {
        let slip = read(body).expect_err(body);
        assert!(slip.says.contains(says), "{body}: {slip}");
        assert_eq!(slip.usage, Some(COMMANDS[0].usage));
    }
    let context = Context { server_name: None, zone: &TimeZone::UTC, now: time(NOW) };
    let line = Line { body: "!ke1 alice D", formatted: None };
    assert!(parse(&line, &context).expect_err("no server").says.contains("has no server name"));
}

#[test]
fn devices_may_hold_anything() {
    for (typed, wanted) in [
        ("ABCDEFGHIJ", "ABCDEFGHIJ"),
        ("Bob's", "Bob's"),
        (r#""MY DEVICE""#, "MY DEVICE"),
        ("“MY DEVICE”", "MY DEVICE"),
        ("„MY DEVICE“", "MY DEVICE"),
        ("\"MY DEVICE”", "MY DEVICE"),
        ("'MY DEVICE'", "MY DEVICE"),
        ("‘MY DEVICE’", "MY DEVICE"),
        ("'Bob's phone'", "Bob's phone"),
        (r#""say ”hi” now""#, "say ”hi” now"),
        (r#""a \"b\" c""#, r#"a "b" c"#),
        (r#""a\\""#, r"a\"),
        (r#""a\n""#, r"a\n"),
        (r"a\b", r"a\b"),
        ("\"  padded \"", "  padded "),
        ("\"\u{a0}x\u{200b}\"", "\u{a0}x\u{200b}"),
        ("io.element:📱x", "io.element:📱x"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("\"last\"", "last"),
        ("'30m'", "30m"),
        ("'since 14:30'", "since 14:30"),
        ("--x", "--x"),
        ("a–b", "a–b"),
    ] {
        assert_eq!(device(&format!("!ke1 alice {typed}")).as_deref(), Some(wanted), "{typed}");
        let with_window = format!("!ke1 alice {typed} last 30m");
        assert_eq!(ke1_of(read(&with_window)).2, Span::Last(Duration::from_secs(1800)), "{typed}");
    }
    assert_eq!(device("!ke1 alice"), None);
    assert_eq!(device("!ke1 alice last 30m"), None);
    for (body, says) in [
        ("!ke1 alice \"MY DEVICE", "“\"MY DEVICE” is not closed"),
        ("!ke1 alice \"\"", "in quotes is empty"),
        ("!ke1 alice 30m", "Is “30m” a window or a device ID?"),
        ("!ke1 alice MY DEVICE", "Unexpected words: “DEVICE”."),
        ("!ke1 alice last", "quote it"),
        ("!ke1 alice D \"last\" 30m", "Unexpected words: “last 30m”."),
    ] {
        assert!(slip(body).contains(says), "{body}: {}", slip(body));
    }
}

#[test]
fn windows_in_the_rooms_zone() {
    let since = |text: &str| Span::Since(time(text));
    let between = |from: &str, to: &str| Span::Between(time(from), time(to));
    for (words, wanted) in [
        ("last 1h30m", Span::Last(Duration::from_secs(5_400))),
        ("LAST 90 s", Span::Last(Duration::from_secs(90))),
        ("—last 1w", Span::Last(Duration::from_secs(604_800))),
        ("2h", Span::Last(Duration::from_secs(7_200))),
        ("since 2026-11-22T10:00:00Z", since("2026-11-22T10:00:00Z")),
        ("since 2026-11-22t10:00:00.5+05:30", since("2026-11-22T04:30:00.5Z")),
        ("since 2026–11–22T10:00:00−01:00", since("2026-11-22T11:00:00Z")),
        ("since 2026-11-22 10:00:00 +01:00", since("2026-11-22T09:00:00Z")),
        ("since 2026-11-20", since("2026-11-19T23:00:00Z")),
        ("since 13:30", since("2026-11-22T12:30:00Z")),
        ("since 9:05", since("2026-11-22T08:05:00Z")),
        ("since 1:30pm", since("2026-11-22T12:30:00Z")),
        ("since 12 AM", since("2026-11-21T23:00:00Z")),
        ("since 14:30", since("2026-11-21T13:30:00Z")),
        ("since 12:30Z", since("2026-11-22T12:30:00Z")),
        ("since 12:30 utc", since("2026-11-22T12:30:00Z")),
        ("since yesterday 14:30", since("2026-11-21T13:30:00Z")),
        ("since yesterday at 14:30", since("2026-11-21T13:30:00Z")),
        ("since yesterday", since("2026-11-20T23:00:00Z")),
        ("from today", since("2026-11-21T23:00:00Z")),
        ("since 2026-11-22 09:15", since("2026-11-22T08:15:00Z")),
        ("since 2026-11-22T09:15:10", since("2026-11-22T08:15:10Z")),
        ("since 2026-11-22 09:15:10,250", since("2026-11-22T08:15:10.25Z")),
        ("since \"2026-11-22 09:15\"", since("2026-11-22T08:15:00Z")),
        ("between 09:00 and 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
        ("from 09:00 to now", between("2026-11-22T08:00:00Z", "2026-11-22T13:00:00Z")),
        ("since 09:00 until 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
        ("from 09:00 – 10:00", between("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")),
        (
            "between yesterday 09:00 and 10:00",
            between("2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"),
        ),
        ("between 23:30Z and 23:50Z", between("2026-11-21T23:30:00Z", "2026-11-21T23:50:00Z")),
        ("between 23:50 and 00:10", between("2026-11-21T22:50:00Z", "2026-11-21T23:10:00Z")),
        ("between 16:00 and 17:00", between("2026-11-21T15:00:00Z", "2026-11-21T16:00:00Z")),
        (
            "between 2026-11-01 and 2026-11-03",
            between("2026-10-31T23:00:00Z", "2026-11-02T23:00:00Z"),
        ),
        (
            "between 2026-11-01T00:00Z and 2026-11-01T01:00Z",
            between("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"),
        ),
    ] {
        assert_eq!(window(words, NOW), wanted, "{words}");
    }
}

#[test]
fn windows_that_cannot_be_looked_at() {
    for (words, says) in [
        ("last", "“last” needs a time"),
        ("last 30", "“30” is not a length of time"),
        ("last 0m", "is empty"),
        ("last 32d", "maximum is 31 days"),
        ("since", "“since” needs a time"),
        ("since now", "in the future"),
        ("since Teatime", "“Teatime” is not a time"),
        ("since 25:00", "“25:00” is not a time"),
        ("since 2026-02-30", "is not a time"),
        ("since 22/11/2026", "is not a time"),
        ("since 2026-11-22 09:15 foo", "is not a time"),
        ("since 2026-11-23", "in the future"),
        ("since 2026-10-01", "maximum is 31 days"),
        ("between 09:00", "needs “and”"),
        ("between 09:00 and", "A time is missing"),
        ("between and 09:00", "A time is missing"),
        ("between 13:00 and 15:00", "in the future"),
        ("between 10:00 and 09:00", "ends before it starts"),
        ("between 10:00 and 10:00", "The window is empty: its start and end are the same."),
        ("between yesterday 13:30 and 13:00", "ends before it starts"),
        ("between 2026-09-01 and 2026-11-01", "maximum is 31 days"),
    ] {
        let body = format!("!ke1 alice D {words}");
        assert!(slip(&body).contains(says), "{words}: {}", slip(&body));
    }
}

#[test]
fn a_changing_clock_is_asked_about() {
    let gap = read_at("!ke1 alice D since 2026-03-29 02:30", None, "2026-03-30T10:00:00Z");
    assert!(
        gap.expect_err("gap").says.contains("There was no 2026-03-29 02:30:00 in Europe/Berlin")
    );
    let fold = read_at("!ke1 alice D since 02:30", None, "2026-10-25T10:00:00Z").expect_err("fold");
    assert!(fold.says.contains("2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"), "{fold}");
    let answered = "!ke1 alice D since 2026-10-25T02:30:00+02:00";
    assert_eq!(
        ke1_of(read_at(answered, None, "2026-10-25T10:00:00Z")).2,
        Span::Since(time("2026-10-25T00:30:00Z"))
    );
    // The day of the change is 25 hours long.
    assert_eq!(
        window("since 2026-10-25", "2026-10-25T10:00:00Z"),
        Span::Since(time("2026-10-24T22:00:00Z"))
    );
}

#[test]
fn trees_are_those_of_the_branches() {
    use crate::evidence::Symptom;
    assert_eq!(read("!tree"), Ok(Some(Command::Tree(None))));
    assert_eq!(read("!tree KE2"), Ok(Some(Command::Tree(Some(Symptom::Ke2)))));
    for word in ["all", "fleet", "ke5"] {
        assert!(slip(&format!("!tree {word}")).contains("The trees are ke1, ke2, ke3 and ke4."));
    }
}

/// Devices whose ID reads like something else.
const HOSTILE_DEVICES: &[&str] = &[
    "ABCDEFGHIJ",
    "Sd4KnS1mfF",
    "last",
    "LAST",
    "all",
    "for",
    "live",
    "since",
    "between",
    "30m",
    "30M",
    "hour",
    "minutes30seconds",
    "MY PHONE",
    " padded ",
    "Bob's",
    "\"quoted\"",
    "ends with \"",
    "\" last 5m",
    "“curly”",
    "'",
    "\\",
    "\\\"",
    "\\u{41}",
    "a\nb",
    "\n> !why",
    "\r\t\0",
    "`code`",
    "` last 5m",
    "--last",
    "—last",
    "-",
    "@bob:example.org",
    "$event",
    "%24event",
    "!why",
    "[Bob](https://matrix.to/#/@bob:example.org)",
    "https://matrix.to/#/@bob:example.org",
    "<a href='https://matrix.to/#/@bob:example.org'>Bob</a>",
    "&quot;",
    "io.element:📱x",
    "👩‍👩‍👧",
    "Büro",
    "\u{202e}turned",
    "\u{a0}\u{200b}",
    "\u{115f}",
    "\u{10ffff}",
];

#[test]
fn a_quoted_device_is_read_as_that_device() {
    for device in HOSTILE_DEVICES {
        let quoted = quoted_device(device);
        assert!(quoted.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{quoted:?}");
        assert!(!quoted.contains('`'), "{quoted:?}");
        for body in [
            format!("!ke1 @alice:example.org {quoted}"),
            format!("!ke1 @alice:example.org {quoted} last 30m"),
            format!("!ke2 @alice:example.org {quoted} live 60s"),
            format!("!triage @alice:example.org {quoted}"),
        ] {
            let read = read(&body);
            let Ok(Some(Command::Ask(question))) = &read else { panic!("{body}: {read:?}") };
            assert_eq!(question.device().map(|id| id.as_str()), Some(*device), "{body}");
            assert_eq!(question.user().map(|id| id.as_str()), Some("@alice:example.org"), "{body}");
        }
        let body = format!("!capture start @alice:example.org {quoted} for 10m");
        let read = read(&body);
        let Ok(Some(Command::Capture(CaptureCommand::Start { device: read, .. }))) = &read else {
            panic!("{body}: {read:?}")
        };
        assert_eq!(read.as_ref().map(|id| id.as_str()), Some(*device), "{body}");
    }
    assert_eq!(quoted_device("ABCDEFGHIJ"), "ABCDEFGHIJ");
    assert_eq!(quoted_device(""), "\"\"");
    assert_eq!(quoted_device("MY \"PHONE\""), r#""MY \"PHONE\"""#);
}

#[test]
fn a_slip_quotes_what_was_typed_but_safely() {
    let long = "x".repeat(5000);
    let says = slip(&format!("!ke1 alice D {long}"));
    assert!(says.contains(&format!("“{}…”", "x".repeat(80))), "{says}");
    let says = slip("!ke1 alice D since <b>@room</b>\u{202e}\u{7}x");
    assert!(says.contains("“<b>@room</b>\\u{202e}\\u{7}x”"), "{says}");
    let said = slip(&format!("!{}", "é".repeat(3000)));
    assert!(said.chars().count() < 200, "{said}");
}

/// Hostile text, glued from pieces that mean something to some reader. A fixed seed: a failure repeats.
#[test]
fn no_message_is_too_strange() {
    const PIECES: &[&str] = &[
        "!ke1",
        "!help",
        "!",
        " ",
        "\n",
        "> ",
        "@",
        ":",
        "alice",
        "@alice:example.org",
        "\"",
        "'",
        "“",
        "”",
        "`",
        "\\",
        "last",
        "since",
        "between",
        "and",
        "30m",
        "14:30",
        "2026-11-22",
        "T",
        "Z",
        "+05:30",
        "99999999999999999999",
        "-",
        "–",
        "w",
        "é",
        "👩‍👩‍👧",
        "\u{202e}",
        "\u{a0}",
        "\u{0}",
        "\u{feff}",
        "%4",
        "%",
        "%+1",
        "https://matrix.to/#/",
        "matrix:u/",
        "[",
        "](",
        ")",
        "<",
        ">",
        "</a>",
        "<a href=",
        "<a href='https://matrix.to/#/@a:b'>",
        "<mx-reply>",
        "</mx-reply>",
        "&",
        "&amp;",
        "&#",
        "&#x110000;",
        "&#xd800;",
        ";",
        "?",
        "=",
        "0",
        "-009999",
        "-01-01",
        "9999-12-31",
        "am",
        "pm",
        "yesterday",
        "ß",
        "İ",
    ];
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).expect("small")).expect("small")
    };
    for round in 0..30_000 {
        let mut text = |start: &str| {
            let mut text = start.to_owned();
            for _ in 0..next(14) {
                text.push_str(PIECES[next(PIECES.len())]);
            }
            text
        };
        let body = text(if round % 2 == 0 { "!ke1 alice D " } else { "!ke1 " });
        let html = text("!ke1 ");
        let said = read_at(&body, Some(&html), NOW);
        if let Err(slip) = said {
            assert!(!slip.says.contains(super::usage_error::is_invisible), "{body:?}: {slip:?}");
        }
        let _ = read_at(&text(""), None, "-009999-01-02T01:59:59Z");
        let _ = read_at(&text("!ke1 alice D since "), None, "9999-12-30T22:00:00Z");
    }
}

#[test]
fn a_long_hostile_message_takes_no_long_time() {
    for piece in [
        "<",
        "<a ",
        "](",
        "[](",
        "'",
        "\"a ",
        "> ",
        "&",
        "%",
        "\\",
        "<a href='matrix:u/a:b'>",
        "!",
        ": ",
        "<blockquote>",
    ] {
        let long = format!("!ke1 {}", piece.repeat(65_536 / piece.len()));
        let _ = read_at(&long, Some(&long), NOW);
    }
}
