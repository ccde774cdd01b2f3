//! KE-3: an event that will not decrypt. What the homeserver holds of it decides most of it; what only
//! the client knows is asked of the client.

use super::remedy;
use super::shown;
use super::verdict::{Answer, Certainty, Missing, Step, Verdict, VerdictId};
use super::walk::{Ruling, database_how};
use crate::evidence::event::{Algorithm, EventRow, EventShape, content_seen};
use crate::evidence::{About, EventSubject, Evidence, Known, Need};

/// What the branch reads.
pub(super) const NEEDS: &[Need] = &[Need::Event, Need::Redactions, Need::EventShape];

/// The algorithm of a message in a room that clients know (spec "m.room.encrypted"; Olm is for to-device
/// messages, and no client decrypts it in a room).
const KNOWN: &str = "m.megolm.v1.aes-sha2";
/// What `{}` is long.
const EMPTY: u64 = 2;

/// Walks the branch.
pub(super) fn diagnose(evidence: &Evidence) -> Verdict {
    let mut walk = Walk::new(evidence);
    let (id, certainty) = QUESTIONS
        .iter()
        .find_map(|question| question(&mut walk))
        .unwrap_or((VerdictId::Inconclusive, Certainty::NotEnoughEvidence));
    Verdict {
        id,
        certainty,
        path: walk.path,
        because: walk.because,
        storm: None,
        findings: walk.findings,
        notes: Vec::new(),
        remedies: remedy::advise(id),
        missing: walk.missing,
        window: evidence.window,
    }
}

/// The trunk: in the order in which verdicts are tried.
const QUESTIONS: &[fn(&mut Walk) -> Option<Ruling>] =
    &[event_known, event_encrypted, event_redacted, algorithm_stated, algorithm_known, well_formed];

struct Walk<'a> {
    subject: Option<&'a EventSubject>,
    event: Known<&'a EventRow>,
    shape: Known<&'a EventShape>,
    evidence: &'a Evidence,
    path: Vec<Step>,
    because: Vec<String>,
    findings: Vec<String>,
    missing: Vec<Missing>,
}

impl<'a> Walk<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let subject = match &evidence.subject {
            About::Event(subject) => Some(subject),
            About::Device(_) => None,
        };
        let (event, shape) = (evidence.event(), evidence.event_shape());
        let (path, because, findings, missing) = Default::default();
        Self { subject, event, shape, evidence, path, because, findings, missing }
    }

    fn step(
        &mut self,
        question: &'static str,
        asked: &'static str,
        answer: Answer,
        because: impl Into<String>,
        evidence: &[String],
    ) {
        let (because, evidence) = (because.into(), evidence.to_vec());
        self.path.push(Step { question, asked, answer, because, evidence });
    }

    /// A question that the database did not answer.
    fn unread(&mut self, question: &'static str, asked: &'static str, why: &str, ids: &[String]) {
        self.step(question, asked, Answer::Unknown, why, ids);
        if self.missing.is_empty() {
            self.missing.push(Missing { need: "the database".into(), how: database_how(why) });
        }
    }

    /// A question that was answered with the reason of the verdict.
    fn ruled(
        &mut self,
        (question, asked, answer): (&'static str, &'static str, Answer),
        why: String,
        ids: &[String],
    ) {
        self.step(question, asked, answer, why.clone(), ids);
        self.because.insert(0, why);
    }
}

fn event_known(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Does this server have the event?";
    let event = walk.event.clone();
    match event {
        Known::Is(row, ids) => {
            walk.step("event-known", ASKED, Answer::Yes, "it has a row in events", &ids);
            describe(walk, row);
            None
        }
        Known::None(ids) => {
            let why = "no row in events: a typo, another server's event that never came here, or history \
                       that was purged";
            walk.ruled(("event-known", ASKED, Answer::No), why.into(), &ids);
            Some((VerdictId::EventUnknown, Certainty::Proven))
        }
        Known::Unknown(why, ids) => {
            walk.unread("event-known", ASKED, &why, &ids);
            None
        }
    }
}

/// Who sent it, from where, and what does not fit what was asked.
fn describe(walk: &mut Walk, row: &EventRow) {
    let shape = walk.shape.value();
    let device = shape.and_then(|shape| shape.device.as_deref());
    let from = match device {
        Some(device) => format!("from this server's device {device}"),
        None => "by a remote server, or an older Synapse that noted no device".to_owned(),
    };
    let sent = row.sent.map_or("at an unknown time".to_owned(), shown);
    let delayed = shape.is_some_and(|shape| shape.delayed);
    let how = if delayed { ", as a delayed event" } else { "" };
    walk.because.push(format!("{} sent it {from}{how}, {sent}", row.sender));
    if let Some(why) = &row.rejected {
        walk.findings
            .push(format!("Synapse rejected the event ({why}): no client of it is shown it"));
    }
    let asked = walk.subject.and_then(|subject| subject.room.as_ref());
    if let Some(room) = asked.filter(|room| room.as_str() != row.room) {
        walk.findings.push(format!("the event is in {}, not in {room}", row.room));
    }
}

fn event_encrypted(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Is it an encrypted message?";
    let Known::Is(row, ids) = walk.event.clone() else { return None };
    if row.kind == "m.room.encrypted" && !row.state {
        walk.step(
            "event-encrypted",
            ASKED,
            Answer::Yes,
            "type m.room.encrypted, no state key",
            &ids,
        );
        return None;
    }
    let why = match row.state {
        true => format!("it is a state event of type {}: no client decrypts state", row.kind),
        false => format!("its type is {}: there is nothing to decrypt", row.kind),
    };
    walk.ruled(("event-encrypted", ASKED, Answer::No), why, &ids);
    Some((VerdictId::EventNotEncrypted, Certainty::Proven))
}

fn event_redacted(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Was it redacted?";
    let redactions = walk.evidence.redactions();
    walk.event.value()?;
    let (rows, ids) = match redactions {
        Known::Is(rows, ids) => (rows, ids),
        Known::None(ids) => {
            walk.step("event-redacted", ASKED, Answer::No, "no redaction names it", &ids);
            return None;
        }
        Known::Unknown(why, ids) => {
            walk.unread("event-redacted", ASKED, &why, &ids);
            return None;
        }
    };
    let who =
        rows.iter().find_map(|row| row.sender.as_deref()).unwrap_or("somebody on another server");
    let content = match rows.iter().any(|row| row.censored) {
        true => "its content is pruned from the database",
        false => "its content stands in the database until Synapse prunes it (7 days by default)",
    };
    walk.ruled(
        ("event-redacted", ASKED, Answer::Yes),
        format!("{who} redacted it; {content}"),
        &ids,
    );
    Some((VerdictId::EventRedacted, Certainty::Proven))
}

fn algorithm_stated(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Does its content state an algorithm?";
    walk.event.value()?;
    let (shape, ids) = match walk.shape.clone() {
        Known::Is(shape, ids) => (shape, ids),
        Known::None(ids) => {
            walk.unread("algorithm-stated", ASKED, "its content could not be read", &ids);
            return None;
        }
        Known::Unknown(why, ids) => {
            walk.unread("algorithm-stated", ASKED, &why, &ids);
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
            walk.step("algorithm-stated", ASKED, Answer::Yes, "a string", &ids);
            return None;
        }
    };
    let why =
        format!("{what}, as stored here ({} bytes); clients say \"{client}\"", shape.content_bytes);
    walk.ruled(("algorithm-stated", ASKED, Answer::No), why, &ids);
    compare_column(walk, shape);
    Some((VerdictId::EventMalformed, Certainty::Proven))
}

fn algorithm_known(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Do clients know the algorithm?";
    let Known::Is(shape, ids) = walk.shape.clone() else { return None };
    let Algorithm::Named(name) = &shape.algorithm else { return None };
    if name == KNOWN {
        walk.step("algorithm-known", ASKED, Answer::Yes, name.clone(), &ids);
        return None;
    }
    let why = format!("the algorithm is {name:?}, which no client decrypts in a room");
    walk.ruled(("algorithm-known", ASKED, Answer::No), why, &ids);
    Some((VerdictId::EventUnsupported, Certainty::Proven))
}

fn well_formed(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Does the client's message contradict the server?";
    let shape = *walk.shape.value()?;
    walk.event.value()?;
    // Only a redaction that could not be looked up may still change the verdict.
    walk.evidence.redactions().unknown().is_none().then_some(())?;
    let ids = walk.shape.ids().to_vec();
    walk.missing.push(Missing {
        need: "the client's side".into(),
        how: "its report or console log around the event: a missing session (MissingRoomKey), an unknown \
              index, or its words on this event after the event id"
            .into(),
    });
    if compare_column(walk, shape) {
        walk.step("client-contradicts", ASKED, Answer::Yes, "it read another content", &ids);
        return Some((VerdictId::EventClient, Certainty::Consistent));
    }
    let why = "the content states a known algorithm: what is missing is the client's to say";
    walk.ruled(("client-contradicts", ASKED, Answer::No), why.into(), &ids);
    Some((VerdictId::EventWellFormed, Certainty::Consistent))
}

/// The column of the client's error gives the length of what it read. Says whether that is another content
/// than the server's.
fn compare_column(walk: &mut Walk, shape: &EventShape) -> bool {
    let (Some(subject), Some(row)) = (walk.subject, walk.event.value()) else { return false };
    let Some(column) = subject.column else { return false };
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
