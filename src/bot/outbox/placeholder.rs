//! A storm → the names that stand for its first message, and for its cases, until the homeserver gave the events theirs.

use std::fmt::Arguments;

use ruma::{EventId, OwnedEventId};

use kestrel_core::storm::Event;

/// How such names begin.
const PREFIX: &str = "$storm-";

/// Where a storm's cases are kept until its first message is sent.
pub(super) fn for_root(event: &Event) -> OwnedEventId {
    name(format_args!("{}-{}", event.storm, event.first.as_millisecond()))
}

/// What a case of an owed message was caused by.
pub(super) fn for_message(event: &Event, owed: i64) -> OwnedEventId {
    name(format_args!("{}-{}-{owed}", event.storm, event.at.as_millisecond()))
}

/// Whether a name stands for an event that is not sent yet.
pub(crate) fn is_placeholder(event: &EventId) -> bool {
    event.as_str().starts_with(PREFIX)
}

/// A name that no event has: those of rooms of today are a digest, older ones name their server.
fn name(what: Arguments<'_>) -> OwnedEventId {
    let id = format!("{PREFIX}{what}");
    EventId::parse(&id).unwrap_or_else(|_| ruma::owned_event_id!("$storm"))
}
