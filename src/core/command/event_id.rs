//! An event ID in any form that people paste, a room ID, and the column in a client's error message.

use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};

use super::permalinks::{event_of_link, percent_decoded};
use super::usage_error::{UsageError, in_quotes};
use crate::evidence::EventSubject;

/// An event and the client's error message about it, as a terminal's flags give them.
pub fn event(text: &str, said: &str) -> Result<EventSubject, UsageError> {
    let (event, room) = event_id(text)?;
    Ok(EventSubject { event, room, column: column(said) })
}

/// An ID of any room version (`$local:server`, `$hash`), with `%24` for the `$` as logs and paths have it,
/// or a permalink.
pub(super) fn event_id(text: &str) -> Result<(OwnedEventId, Option<OwnedRoomId>), UsageError> {
    if let Some((room, event)) = event_of_link(text) {
        let event = EventId::parse(&event).map_err(|_| not_an_event(&event))?;
        return Ok((event, RoomId::parse(&room).ok()));
    }
    let text = text.trim_end_matches([',', ';', '.']);
    let decoded = match text.strip_prefix('$') {
        Some(_) => text.to_owned(),
        None => percent_decoded(text).unwrap_or_default(),
    };
    match EventId::parse(&decoded) {
        Ok(event) if decoded.len() > 1 => Ok((event, None)),
        _ => Err(not_an_event(text)),
    }
}

pub(super) fn room_id(text: &str) -> Result<OwnedRoomId, UsageError> {
    RoomId::parse(text).map_err(|_| {
        UsageError::new(format!("{} is not a room ID. Example: !abc:example.org.", in_quotes(text)))
    })
}

fn not_an_event(text: &str) -> UsageError {
    UsageError::new(format!("{} is not an event ID. An event ID starts with $.", in_quotes(text)))
}

/// The number after the last "column" of a client's message. Only for a missing field it is the length of the
/// content; for any other error it is where the error is.
pub(super) fn column(said: &str) -> Option<u64> {
    let (before, rest) = said.rsplit_once("column")?;
    let bare = before.split_whitespace().all(|word| matches!(word, "at" | "line" | "1" | "line1"));
    if !bare && !before.contains("missing field") {
        return None;
    }
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::commands::Command;
    use super::super::context::tests::epoch;
    use super::super::message::Line;
    use super::super::parse::parse;
    use super::*;
    use crate::question::{Question, Topic};

    const EVENT: &str = "$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ";

    fn read(body: &str) -> Result<EventSubject, UsageError> {
        match parse(&Line { body, formatted: None }, &epoch())? {
            Some(Command::Ask(Question { topic: Topic::Ke3(event), .. })) => Ok(event),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn an_event_is_read_in_every_form() {
        let room = "!room:example.org";
        let escaped = EVENT.replace('$', "%24");
        for (body, in_room) in [
            (format!("!ke3 {EVENT}"), false),
            (format!("!ke3 {escaped}"), false),
            (format!("!ke3 {EVENT} in {room}"), true),
            (format!("!ke3 https://matrix.to/#/{room}/{EVENT}?via=example.org"), true),
            (format!("!ke3 https://matrix.to/#/%21room%3Aexample.org/{escaped}"), true),
        ] {
            let typed = read(&body).expect("an event");
            assert_eq!(typed.event.as_str(), EVENT, "{body}");
            assert_eq!(typed.room.is_some_and(|found| found == room), in_room, "{body}");
        }
        assert_eq!(read("!ke3 $143:example.org").expect("an old id").event, "$143:example.org");
        for body in ["!ke3", "!ke3 hello", "!ke3 $", "!ke3 $a in nowhere"] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn the_client_s_column_is_read() {
        let said = "DecryptionError[msg: missing field 'algorithm' at line 1 column 138 …]";
        assert_eq!(read(&format!("!ke3 {EVENT} {said}")).expect("an event").column, Some(138));
        for said in ["it is broken", "wasn't valid base64: length: 21 at line 1 column 252"] {
            assert_eq!(read(&format!("!ke3 {EVENT} {said}")).expect("an event").column, None);
        }
    }
}
