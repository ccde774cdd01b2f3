//! Windows and times in every form that people write them.

use std::time::Duration;

use super::reading::{NOW, error, ke1_of, read_at, time, window};
use crate::question::Span;

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
        ("since now", "The window is empty"),
        ("since Teatime", "“Teatime” is not a time"),
        ("since 25:00", "“25:00” is not a time"),
        ("since 2026-02-30", "is not a time"),
        ("since 22/11/2026", "is not a time"),
        ("since 2026-11-22 09:15 foo", "is not a time"),
        ("since 2026-11-23", "in the future"),
        ("since 2026-10-01", "maximum is 31 days"),
        ("between 09:00", "needs the word “and”"),
        ("between 09:00 and", "A time is missing"),
        ("between and 09:00", "A time is missing"),
        ("between 13:00 and 15:00", "in the future"),
        ("between 10:00 and 09:00", "ends before it starts"),
        ("between 10:00 and 10:00", "The window is empty: its start and end are the same."),
        ("between yesterday 13:30 and 13:00", "ends before it starts"),
        ("between 2026-09-01 and 2026-11-01", "maximum is 31 days"),
    ] {
        let body = format!("!ke1 alice D {words}");
        assert!(error(&body).contains(says), "{words}: {}", error(&body));
    }
}

#[test]
fn a_changing_clock_is_asked_about() {
    let gap = read_at("!ke1 alice D since 2026-03-29 02:30", None, "2026-03-30T10:00:00Z");
    assert!(
        gap.expect_err("gap").says.contains("2026-03-29 02:30:00 does not exist in Europe/Berlin")
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
