//! KE-3: an event that will not decrypt. What the homeserver holds of it decides most of it; what only
//! the client knows is asked of the client.

use crate::diagnose::tree_walk::{Question, Ruling, Walk, database_how};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::client::ClientEvent;
use crate::evidence::event::{Algorithm, EventRow, EventShape, content_seen};
use crate::evidence::{EventSubject, Known, Need, utc};

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] = &[Need::Event, Need::Redactions, Need::EventShape];

/// The algorithm of a message in a room that clients know (spec "m.room.encrypted"; Olm is for to-device
/// messages, and no client decrypts it in a room).
const KNOWN: &str = "m.megolm.v1.aes-sha2";
/// What `{}` is long.
const EMPTY: u64 = 2;

/// The trunk: in the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[Question] = &[
    Question {
        name: "event-known",
        asked: "Does this server have the event?",
        rules: &[VerdictId::EventUnknown],
        ask: event_known,
    },
    Question {
        name: "event-encrypted",
        asked: "Is it an encrypted message?",
        rules: &[VerdictId::EventNotEncrypted],
        ask: event_encrypted,
    },
    Question {
        name: "event-redacted",
        asked: "Was it redacted?",
        rules: &[VerdictId::EventRedacted],
        ask: event_redacted,
    },
    Question {
        name: "algorithm-stated",
        asked: "Does its content state an algorithm?",
        rules: &[VerdictId::EventMalformed],
        ask: algorithm_stated,
    },
    Question {
        name: "algorithm-known",
        asked: "Do clients know the algorithm?",
        rules: &[VerdictId::EventUnsupported],
        ask: algorithm_known,
    },
    Question {
        name: "client-contradicts",
        asked: "Does the client's message contradict the server?",
        rules: &[VerdictId::EventClient, VerdictId::EventWellFormed],
        ask: client_contradicts,
    },
];

/// A question that the database did not answer.
fn unread<T>(walk: &mut Walk, why: &str, of: &Known<T>) {
    walk.step(Answer::Unknown, why, of);
    walk.missing("the database", database_how(why));
}

fn subject<'a>(walk: &Walk<'a>) -> Option<&'a EventSubject> {
    walk.evidence.subject.event()
}

fn event_known(walk: &mut Walk) -> Option<Ruling> {
    let event = walk.evidence.event();
    match &event {
        Known::Is(row, _) => {
            walk.step(Answer::Yes, "it has a row in events", &event);
            describe(walk, row);
            None
        }
        Known::None(_) => {
            let why = "no row in events: a typo, another server's event that never came here, or history \
                       that was purged";
            walk.decided(Answer::No, vec![why.into()], &event);
            Some((VerdictId::EventUnknown, Certainty::Proven))
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &event);
            None
        }
    }
}

/// Who sent it, from where, and what does not fit what was asked.
fn describe(walk: &mut Walk, row: &EventRow) {
    let shape = walk.evidence.event_shape();
    let shape = shape.value();
    let device = shape.and_then(|shape| shape.device.as_deref());
    let from = match (device, row.local) {
        (Some(device), _) => format!("from this server's device {device}"),
        (None, Some(true)) => "from this server, which noted no device".to_owned(),
        (None, Some(false)) => "from another server, which alone knows the device".to_owned(),
        (None, None) => "by a remote server, or an older Synapse that noted no device".to_owned(),
    };
    let sent = row.sent.map_or("at an unknown time".to_owned(), utc);
    let delayed = shape.is_some_and(|shape| shape.delayed);
    let how = if delayed { ", as a delayed event" } else { "" };
    walk.because.push(format!("{} sent it {from}{how}, {sent}", row.sender));
    if let Some(why) = &row.rejected {
        walk.findings
            .push(format!("Synapse rejected the event ({why}): no client of it is shown it"));
    }
    let asked = subject(walk).and_then(|subject| subject.room.as_ref());
    if let Some(room) = asked.filter(|room| room.as_str() != row.room) {
        walk.findings.push(format!("the event is in {}, not in {room}", row.room));
    }
}

fn event_encrypted(walk: &mut Walk) -> Option<Ruling> {
    let event = walk.evidence.event();
    let row = event.value()?;
    if row.kind == "m.room.encrypted" && !row.state {
        walk.step(Answer::Yes, "type m.room.encrypted, no state key", &event);
        return None;
    }
    let why = match row.state {
        true => format!("it is a state event of type {}: no client decrypts state", row.kind),
        false => format!("its type is {}: there is nothing to decrypt", row.kind),
    };
    walk.decided(Answer::No, vec![why], &event);
    Some((VerdictId::EventNotEncrypted, Certainty::Proven))
}

fn event_redacted(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let redactions = walk.evidence.redactions();
    let rows = match &redactions {
        Known::Is(rows, _) => rows,
        Known::None(_) => {
            walk.step(Answer::No, "no redaction names it", &redactions);
            return None;
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &redactions);
            return None;
        }
    };
    if rows.iter().all(|row| row.censored) && states_algorithm(walk) {
        let why = "a redaction names it, and Synapse looked at it and kept the content: whoever sent it was \
                   not allowed to";
        walk.step(Answer::No, why, &redactions);
        walk.findings.push(why.into());
        return None;
    }
    let who = rows.iter().find_map(|row| Some((row.sender.as_deref()?, row.local)));
    let who = match who {
        Some((sender, Some(true))) => format!("{sender}, of this server,"),
        Some((sender, Some(false))) => format!("{sender}, of another server,"),
        Some((sender, None)) => sender.to_owned(),
        None => "somebody on another server".to_owned(),
    };
    let content = match rows.iter().any(|row| row.censored) {
        true => "its content is pruned from the database",
        false => "its content stands in the database until Synapse prunes it (7 days by default)",
    };
    walk.decided(Answer::Yes, vec![format!("{who} redacted it; {content}")], &redactions);
    Some((VerdictId::EventRedacted, Certainty::Proven))
}

/// Whether the stored content names an algorithm. Pruning leaves none, and Synapse notes a redaction that
/// was not allowed as done too (`_censor_redactions`: "we mark the fact that we've checked").
fn states_algorithm(walk: &Walk) -> bool {
    let shape = walk.evidence.event_shape();
    let algorithm = shape.value().map(|shape| &shape.algorithm);
    matches!(algorithm, Some(Algorithm::Named(name)) if !name.is_empty())
}

fn algorithm_stated(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let known = walk.evidence.event_shape();
    let shape = match &known {
        Known::Is(shape, _) => *shape,
        Known::None(_) => {
            unread(walk, "its content could not be read", &known);
            return None;
        }
        Known::Unknown(why, _) => {
            unread(walk, why, &known);
            return None;
        }
    };
    let (what, client) = match &shape.algorithm {
        Algorithm::Absent if shape.content_bytes == EMPTY => {
            ("the content is {}", "missing field `algorithm`")
        }
        Algorithm::Absent => ("the algorithm is absent", "missing field `algorithm`"),
        Algorithm::Null => ("the algorithm is null", "invalid type: null"),
        Algorithm::Other(_) => ("the algorithm is no string", "invalid type"),
        Algorithm::Named(name) if name.is_empty() => {
            ("the algorithm is empty", "unsupported algorithm")
        }
        Algorithm::Named(_) => {
            walk.step(Answer::Yes, "a string", &known);
            return None;
        }
    };
    let why =
        format!("{what}, as stored here ({} bytes); clients say \"{client}\"", shape.content_bytes);
    walk.decided(Answer::No, vec![why], &known);
    compare_column(walk, shape);
    Some((VerdictId::EventMalformed, Certainty::Proven))
}

fn algorithm_known(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.evidence.event_shape();
    let Algorithm::Named(name) = &known.value()?.algorithm else { return None };
    if name == KNOWN {
        walk.step(Answer::Yes, name.clone(), &known);
        return None;
    }
    let why = format!("the algorithm is {name:?}, which no client decrypts in a room");
    walk.decided(Answer::No, vec![why], &known);
    Some((VerdictId::EventUnsupported, Certainty::Proven))
}

fn client_contradicts(walk: &mut Walk) -> Option<Ruling> {
    walk.evidence.event().value()?;
    let known = walk.evidence.event_shape();
    let shape = *known.value()?;
    // Only a redaction that could not be looked up may still change the verdict.
    walk.evidence.redactions().unknown().is_none().then_some(())?;
    let how = "its report or console log around the event: a missing session (MissingRoomKey), an unknown \
               index, or its words on this event after the event id";
    walk.missing("the client's side", how.into());
    if compare_column(walk, shape) {
        walk.step(Answer::Yes, "it read another content", &known);
        return Some((VerdictId::EventClient, Certainty::Consistent));
    }
    if reported(walk).is_some_and(|seen| seen.no_algorithm) {
        let why = "the client's report says that it read no algorithm it knows; the server's copy has one";
        walk.decided(Answer::Yes, vec![why.into()], &known);
        return Some((VerdictId::EventClient, Certainty::Consistent));
    }
    let why = "the content states a known algorithm: what is missing is the client's to say";
    walk.decided(Answer::No, vec![why.into()], &known);
    Some((VerdictId::EventWellFormed, Certainty::Consistent))
}

/// What a client's report says of the event.
fn reported<'a>(walk: &Walk<'a>) -> Option<&'a ClientEvent> {
    let event = &subject(walk)?.event;
    let mut clients = walk.evidence.clients();
    clients.find_map(|(_, client)| client.events.iter().find(|seen| seen.event == event.as_str()))
}

/// The column of the client's error gives the length of what it read. Says whether that is another content
/// than the server's.
fn compare_column(walk: &mut Walk, shape: &EventShape) -> bool {
    let event = walk.evidence.event();
    let (Some(subject), Some(row)) = (subject(walk), event.value()) else { return false };
    let column = subject.column.or_else(|| reported(walk)?.column);
    let Some(column) = column else { return false };
    let Some(seen) = content_seen(column, &subject.event, &row.sender) else {
        walk.findings.push(format!("column {column} fits no message about this event"));
        return false;
    };
    let stored = shape.content_bytes;
    let said = match seen {
        EMPTY => "the client read {}, an empty content".to_owned(),
        seen => format!("the client read a content of {seen} bytes"),
    };
    let other = seen != stored;
    let verdict = if other { "another than is stored here" } else { "as it is stored here" };
    walk.findings.push(format!("by column {column}, {said}: {verdict} ({stored} bytes)"));
    other
}
