//! One message, read as in a room of `example.org` in Berlin.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ruma::server_name;

use super::super::{Command, Context, Line, UsageError, parse};
use crate::question::{Question, Span, Topic};

/// 2026-11-22 is a Sunday; Berlin is at +01:00.
pub(super) const NOW: &str = "2026-11-22T13:00:00Z";

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("bundled")
}

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

pub(super) fn read_at(
    body: &str,
    formatted: Option<&str>,
    now: &str,
) -> Result<Option<Command>, UsageError> {
    let context =
        Context { server_name: Some(server_name!("example.org")), zone: &berlin(), now: time(now) };
    parse(&Line { body, formatted }, &context)
}

pub(super) fn read(body: &str) -> Result<Option<Command>, UsageError> {
    read_at(body, None, NOW)
}

#[track_caller]
pub(super) fn ke1_of(read: Result<Option<Command>, UsageError>) -> (String, Option<String>, Span) {
    match read {
        Ok(Some(Command::Ask(Question { topic: Topic::Ke1 { user, device }, span }))) => {
            (user.to_string(), device.map(|id| id.to_string()), span)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn user(body: &str) -> String {
    ke1_of(read(body)).0
}

#[track_caller]
pub(super) fn device(body: &str) -> Option<String> {
    ke1_of(read(body)).1
}

#[track_caller]
pub(super) fn window(words: &str, now: &str) -> Span {
    ke1_of(read_at(&format!("!ke1 @alice:example.org DEV {words}"), None, now)).2
}

#[track_caller]
pub(super) fn error(body: &str) -> String {
    read(body).expect_err(body).to_string()
}
