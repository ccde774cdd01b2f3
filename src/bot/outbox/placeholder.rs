//! A storm → placeholder event IDs for its first message and its cases, until the real events exist.

use std::fmt::Arguments;

use ruma::{EventId, OwnedEventId};

use kestrel_core::storm::Event;

/// How placeholders begin.
const PREFIX: &str = "$storm-";

/// The placeholder for the thread of a storm's cases, until its first message is sent.
pub(super) fn for_root(event: &Event) -> OwnedEventId {
    name(format_args!("{}-{}", event.storm, event.first.as_millisecond()))
}

/// The placeholder for the cause of an alert's case.
pub(super) fn for_message(event: &Event, owed: i64) -> OwnedEventId {
    name(format_args!("{}-{}-{owed}", event.storm, event.at.as_millisecond()))
}

/// Whether an event ID is such a placeholder.
pub(crate) fn is_placeholder(event: &EventId) -> bool {
    event.as_str().starts_with(PREFIX)
}

/// An ID that no event has: event IDs of current room versions are digests, older ones name their server.
fn name(what: Arguments<'_>) -> OwnedEventId {
    let id = format!("{PREFIX}{what}");
    EventId::parse(&id).unwrap_or_else(|_| ruma::owned_event_id!("$storm"))
}
