//! Text that was made to be misread.

use super::super::{CaptureCommand, Command};
use super::reading::{NOW, error, read, read_at};
use crate::evidence::hidden::is_invisible;
use crate::evidence::quoted_device::quoted_device;

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
fn an_error_quotes_what_was_typed_but_safely() {
    let long = "x".repeat(5000);
    let says = error(&format!("!ke1 alice D {long}"));
    assert!(says.contains(&format!("“{}…”", "x".repeat(80))), "{says}");
    let says = error("!ke1 alice D since <b>@room</b>\u{202e}\u{7}x");
    assert!(says.contains("“<b>@room</b>\\u{202e}\\u{7}x”"), "{says}");
    let said = error(&format!("!{}", "é".repeat(3000)));
    assert!(said.chars().count() < 200, "{said}");
}

/// Pieces of text that mean something to some reader.
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

/// Numbers below a bound. A fixed seed: a failure repeats.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).expect("small")).expect("small")
    }
}

#[test]
fn any_device_can_be_quoted() {
    let mut next = numbers();
    for _ in 0..5_000 {
        let device: String = (0..=next(6)).map(|_| PIECES[next(PIECES.len())]).collect();
        let body = format!("!ke2 @alice:example.org {} live 60s", quoted_device(&device));
        let read = read(&body);
        let Ok(Some(Command::Ask(question))) = &read else { panic!("{body}: {read:?}") };
        assert_eq!(question.device().map(|id| id.as_str()), Some(device.as_str()), "{body}");
    }
}

#[test]
fn no_message_is_too_strange() {
    let mut next = numbers();
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
        if let Err(error) = said {
            assert!(!error.says.contains(is_invisible), "{body:?}: {error:?}");
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
