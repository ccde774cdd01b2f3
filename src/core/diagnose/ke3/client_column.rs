//! The column of the client's error → how long the content was that it read.

use crate::diagnose::tree_walk::Walk;
use crate::evidence::client::ClientEvent;
use crate::evidence::event::{EventShape, content_seen};

/// What `{}` is long.
pub(super) const EMPTY: u64 = 2;

/// The column of the client's error gives the length of what it read. Says whether that is another content
/// than the server's.
pub(super) fn compare_column(walk: &mut Walk, shape: &EventShape) -> bool {
    let event = walk.evidence.event();
    let (Some(subject), Some(row)) = (walk.evidence.subject.event(), event.value()) else {
        return false;
    };
    let column = subject.column.or_else(|| reported(walk)?.column);
    let Some(column) = column else { return false };
    let Some(seen) = content_seen(column, &subject.event, &row.sender) else {
        walk.findings.push(format!("column {column} does not match any error about this event"));
        return false;
    };
    let stored = shape.content_bytes;
    let said = match seen {
        EMPTY => "the client read {}, which is empty content".to_owned(),
        seen => format!("the client read {seen} bytes of content"),
    };
    let other = seen != stored;
    let verdict = if other { "not what is stored here" } else { "the same as is stored here" };
    walk.findings.push(format!(
        "column {column} in the client's error means that {said}: {verdict} ({stored} bytes)"
    ));
    other
}

/// What a client's report says about the event.
pub(super) fn reported<'a>(walk: &Walk<'a>) -> Option<&'a ClientEvent> {
    let event = &walk.evidence.subject.event()?.event;
    let mut clients = walk.evidence.clients();
    clients.find_map(|(_, client)| client.events.iter().find(|seen| seen.event == event.as_str()))
}
