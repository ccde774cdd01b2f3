//! The words of `!ke3`: an event id in any form that people paste, a room, and what a client said.

use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId};

use super::message::{event_of_link, percent_decoded};
use super::tokens::Word;
use super::usage_error::{Slip, shown};
use super::{Command, Context, Ke3};

/// Reads `$event [in !room] [the client's words]`.
pub(super) fn ke3(words: &[Word], _: &Context<'_>) -> Result<Command, Slip> {
    let Some((first, rest)) = words.split_first() else {
        return Err(Slip::new("Which event is it? Paste its id; it begins with $."));
    };
    let (event, linked) = event_id(&first.text)?;
    let (room, rest) = match rest {
        [word, room, rest @ ..] if word.is_bare() && word.text.eq_ignore_ascii_case("in") => {
            (Some(room_id(&room.text)?), rest)
        }
        rest => (linked, rest),
    };
    let said: Vec<_> = rest.iter().map(|word| word.text.as_str()).collect();
    Ok(Command::Ke3(Ke3 { event, room, column: column(&said.join(" ")) }))
}

/// The same from a terminal's flags.
pub fn event(text: &str, said: &str) -> Result<Ke3, Slip> {
    let (event, room) = event_id(text)?;
    Ok(Ke3 { event, room, column: column(said) })
}

/// An id of any room version (`$local:server`, `$hash`), with `%24` for the `$` as logs and paths have it,
/// or a permalink.
fn event_id(text: &str) -> Result<(OwnedEventId, Option<OwnedRoomId>), Slip> {
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

fn room_id(text: &str) -> Result<OwnedRoomId, Slip> {
    RoomId::parse(text).map_err(|_| {
        Slip::new(format!("{} is no room id. One looks like !abc:example.org.", shown(text)))
    })
}

fn not_an_event(text: &str) -> Slip {
    Slip::new(format!("{} is no event id. One begins with $.", shown(text)))
}

/// The number behind the last "column" of a client's message. Only of a missing field does it tell how long
/// the content is: of every other error it is the place of the fault.
fn column(said: &str) -> Option<u64> {
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
    use super::super::{Line, parse};
    use super::*;

    const EVENT: &str = "$Em6EjLqqd-WtLgEjz4tBf6U11WxhFpwkvyP0cJSAiEQ";

    fn read(body: &str) -> Result<Ke3, Slip> {
        let (zone, now) = (jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let context = Context { server_name: None, zone: &zone, now };
        match parse(&Line { body, formatted: None }, &context)? {
            Some(Command::Ke3(typed)) => Ok(typed),
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
