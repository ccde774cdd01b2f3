//! A reply → a message as the ledger keeps it, with its transaction ID. Sends nothing.

use jiff::Timestamp;
use ruma::{EventId, OwnedEventId, OwnedUserId, RoomId, TransactionId};
use serde::{Deserialize, Serialize};

use crate::bot::chat_line::ChatLine;
use crate::bot::messages::transaction::{self, Purpose};
use crate::store::{NewMessage, Outgoing};
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

/// A summary's characters.
const SUMMARY: usize = 120;

/// A message as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwedMessage {
    pub(crate) place: MessagePlace,
    pub(crate) body: Body,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MessagePlace {
    Room,
    Thread {
        root: OwnedEventId,
        last: OwnedEventId,
    },
    /// A direct chat has no threads.
    Reply(OwnedEventId),
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Body {
    Words {
        plain: String,
        html: String,
        mentions: Vec<OwnedUserId>,
    },
    /// The evidence of the message's case, as a file; written when it is sent, so that the ledger holds it
    /// once.
    Evidence,
}

/// The answer to a line, in its thread.
pub(crate) fn answer(
    room: &RoomId,
    line: &ChatLine,
    about: Purpose,
    reply: &Reply,
    case: Option<u64>,
) -> NewMessage {
    let mentions = vec![line.sender.clone()];
    let plain = reply.plain.clone();
    let html = reply.html.clone();
    in_thread(room, line, about, Body::Words { plain, html, mentions }, case)
}

/// The evidence of a case, in the thread of the line that asked.
pub(crate) fn evidence(room: &RoomId, line: &ChatLine, case: u64) -> NewMessage {
    in_thread(room, line, Purpose::Evidence, Body::Evidence, Some(case))
}

fn in_thread(
    room: &RoomId,
    line: &ChatLine,
    about: Purpose,
    body: Body,
    case: Option<u64>,
) -> NewMessage {
    let place = MessagePlace::Thread { root: line.root().to_owned(), last: line.event.clone() };
    NewMessage {
        txn: transaction::for_event(&line.event, about).to_string(),
        room: room.to_owned(),
        message: OwedMessage { place, body }.text(),
        asked: line.sent,
        summary: summary(line),
        case,
    }
}

/// What a line asked, on one line.
fn summary(line: &ChatLine) -> String {
    let words: Vec<_> = line.body.split_whitespace().collect();
    match words.join(" ") {
        none if none.is_empty() => "a button".to_owned(),
        words => words.chars().take(SUMMARY).collect(),
    }
}

/// A reply in a direct chat. `summary` is empty if a drop need not be reported.
pub(crate) fn reply(
    chat: &RoomId,
    (cause, asked): (&EventId, Timestamp),
    about: Purpose,
    words: &Reply,
    summary: &str,
) -> NewMessage {
    let body = words_for_all(words);
    NewMessage {
        txn: transaction::for_event(cause, about).to_string(),
        room: chat.to_owned(),
        message: OwedMessage { place: MessagePlace::Reply(cause.to_owned()), body }.text(),
        asked,
        summary: summary.to_owned(),
        case: None,
    }
}

/// A message in the room itself that mentions nobody.
pub(crate) fn remark(
    room: &RoomId,
    (cause, at): (&EventId, Timestamp),
    about: Purpose,
    words: &Reply,
) -> NewMessage {
    NewMessage {
        txn: transaction::for_event(cause, about).to_string(),
        room: room.to_owned(),
        message: OwedMessage { place: MessagePlace::Room, body: words_for_all(words) }.text(),
        asked: at,
        summary: String::new(),
        case: None,
    }
}

/// A message for the admins in an ops room. `txn` names it to the homeserver.
pub(crate) fn to_admins(
    room: &RoomId,
    txn: &str,
    (at, mentions): (Timestamp, Vec<OwnedUserId>),
    words: &Reply,
) -> NewMessage {
    let body = Body::Words { plain: words.plain.clone(), html: words.html.clone(), mentions };
    NewMessage {
        txn: txn.to_owned(),
        room: room.to_owned(),
        message: OwedMessage { place: MessagePlace::Room, body }.text(),
        asked: at,
        summary: String::new(),
        case: None,
    }
}

/// Text in a thread that Kestrel opened. `txn` is the transaction ID; `summary` describes the message if it is
/// dropped.
pub(crate) fn in_own_thread(
    room: &RoomId,
    thread: (&EventId, &TransactionId),
    asked: (Timestamp, &str),
    words: &Reply,
    case: Option<u64>,
) -> NewMessage {
    NewMessage { case, ..body_in_own_thread(room, thread, asked, words_for_all(words)) }
}

/// The evidence of a case in a thread that Kestrel opened.
pub(crate) fn evidence_in_own_thread(
    room: &RoomId,
    thread: (&EventId, &TransactionId),
    asked: (Timestamp, &str),
    case: u64,
) -> NewMessage {
    NewMessage { case: Some(case), ..body_in_own_thread(room, thread, asked, Body::Evidence) }
}

fn body_in_own_thread(
    room: &RoomId,
    (root, txn): (&EventId, &TransactionId),
    (asked, summary): (Timestamp, &str),
    body: Body,
) -> NewMessage {
    let place = MessagePlace::Thread { root: root.to_owned(), last: root.to_owned() };
    NewMessage {
        txn: txn.to_string(),
        room: room.to_owned(),
        message: OwedMessage { place, body }.text(),
        asked,
        summary: summary.to_owned(),
        case: None,
    }
}

fn words_for_all(words: &Reply) -> Body {
    Body::Words { plain: words.plain.clone(), html: words.html.clone(), mentions: Vec::new() }
}

impl OwedMessage {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The short message that replaces an answer that the homeserver never accepts; none if that is rejected too.
pub(crate) fn refused(owed: &Outgoing) -> Option<NewMessage> {
    const SHORT: &str = "-short";
    let message = serde_json::from_str::<OwedMessage>(&owed.message).ok()?;
    let Body::Words { mentions, .. } = message.body else { return None };
    if owed.txn.ends_with(SHORT) {
        return None;
    }
    let Reply { plain, html } = replies::answer_rejected();
    let message = OwedMessage { place: message.place, body: Body::Words { plain, html, mentions } };
    Some(NewMessage {
        txn: format!("{}{SHORT}", owed.txn),
        room: owed.room.clone(),
        message: message.text(),
        asked: owed.asked,
        summary: String::new(),
        case: owed.case,
    })
}

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_user_id, room_id};

    use super::*;

    fn line() -> ChatLine {
        ChatLine {
            event: owned_event_id!("$line"),
            sender: owned_user_id!("@a:x"),
            sent: Timestamp::from_second(1_795_348_000).unwrap(),
            body: "!why\n  please".into(),
            formatted: None,
            thread: None,
            replied: None,
        }
    }

    fn outgoing(new: &NewMessage) -> Outgoing {
        let NewMessage { txn, room, message, asked, case, .. } = new.clone();
        Outgoing { id: 1, txn, room, message, asked, case }
    }

    #[test]
    fn an_answer_that_is_refused_for_good_is_replaced_once() {
        let room = room_id!("!ops:x");
        let reply = Reply { plain: "x".repeat(70_000), html: String::new() };
        let new = answer(room, &line(), Purpose::Answer, &reply, Some(7));
        assert_eq!(new.summary, "!why please");
        let short = refused(&outgoing(&new)).unwrap();
        assert!(short.message.contains("rejected") && short.message.len() < 1000);
        assert_ne!(short.txn, new.txn);
        assert_eq!(refused(&outgoing(&short)), None);
        assert_eq!(refused(&outgoing(&evidence(room, &line(), 7))), None);
    }
}
