//! Users and devices in every form that people write them.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::super::{COMMANDS, Context, Line, parse};
use super::reading::{NOW, device, error, ke1_of, read, read_at, time, user};
use crate::question::Span;

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
    // A display name that is also part of the command's name.
    let html = r#"!ke1 <a href="https://matrix.to/#/@k:example.org">k</a> D last 30m"#;
    assert_eq!(ke1_of(read_at("!ke1 k D last 30m", Some(html), NOW)).0, "@k:example.org");
    let two = format!("!ke1 {pill} {pill}");
    assert!(read_at("!ke1 Alice A. Alice A.", Some(&two), NOW).is_err());
}

#[test]
fn ids_too_long_for_an_answer_are_refused() {
    let long = "a".repeat(40_000);
    assert!(error(&format!("!ke1 {long} D")).contains("is not a Matrix user ID"));
    assert!(error(&format!("!ke1 a {long}")).contains("is too long for a device ID"));
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
        let error = read(body).expect_err(body);
        assert!(error.says.contains(says), "{body}: {error}");
        assert_eq!(error.usage, Some(COMMANDS[0].usage));
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
        ("!ke1 alice \"MY DEVICE", "“\"MY DEVICE” has no closing quote"),
        ("!ke1 alice \"\"", "in quotes is empty"),
        ("!ke1 alice 30m", "Is “30m” a window or a device ID?"),
        ("!ke1 alice MY DEVICE", "Unexpected words: “DEVICE”."),
        ("!ke1 alice last", "quote it"),
        ("!ke1 alice D \"last\" 30m", "Unexpected words: “last 30m”."),
    ] {
        assert!(error(body).contains(says), "{body}: {}", error(body));
    }
}
