//! The words of `!ke1` to `!ke4`, `!triage` and `!fleet` → the question that they ask: who, which device, which
//! event, which window.

use std::time::Duration;

use ruma::OwnedDeviceId;

use super::context::Context;
use super::durations::live_watch;
use super::event_id::{column, event, event_id, room_id};
use super::ids::{device_id, user_id};
use super::tokens::{Word, joined};
use super::usage_error::{UsageError, extra_word};
use super::window::{opens, span};
use crate::evidence::EventSubject;
use crate::question::{Question, Span, Topic};

/// A live watch of no named length.
const LIVE_UNSAID: Duration = Duration::from_secs(60);

/// Reads `@user DEVICE [window]`.
pub(super) fn ke1(words: &[Word], context: &Context<'_>) -> Result<Question, UsageError> {
    let (user, rest) = first_word(words, "No user given. Name a user and a device.")?;
    let user = user_id(user, context)?;
    let (device, window) = device(rest)?;
    Ok(Question { topic: Topic::Ke1 { user, device }, span: span(window, context)? })
}

/// Reads `@user DEVICE [@sender] [window] [live 60s]`.
pub(super) fn ke2(words: &[Word], context: &Context<'_>) -> Result<Question, UsageError> {
    let (user, rest) = first_word(words, "No user given. Name a user and a device.")?;
    let user = user_id(user, context)?;
    let (rest, live) = live(rest)?;
    let (device, rest) = match rest.first() {
        Some(word) if is_user(word) => (None, rest),
        _ => device(rest)?,
    };
    let (sender, window) = match rest.split_first() {
        Some((word, window)) if is_user(word) => (Some(user_id(word, context)?), window),
        _ => (None, rest),
    };
    let span = span(window, context)?;
    Ok(Question { topic: Topic::Ke2 { user, device, sender, live }, span })
}

/// Reads `$event [in !room] [the client's words]`.
pub(super) fn ke3(words: &[Word]) -> Result<Question, UsageError> {
    let (first, rest) = first_word(words, "No event given. Paste its ID: it starts with $.")?;
    let (event, linked) = event_id(&first.text)?;
    let (room, rest) = match rest {
        [word, room, rest @ ..] if word.is_bare() && word.text.eq_ignore_ascii_case("in") => {
            (Some(room_id(&room.text)?), rest)
        }
        rest => (linked, rest),
    };
    let subject = EventSubject { event, room, column: column(&joined(rest)) };
    Ok(Question { topic: Topic::Ke3(subject), span: Span::Unsaid })
}

/// Reads `@user [window]`.
pub(super) fn ke4(words: &[Word], context: &Context<'_>) -> Result<Question, UsageError> {
    let (user, window) = first_word(words, "No user given. Name the user whose calls drop.")?;
    let user = user_id(user, context)?;
    Ok(Question { topic: Topic::Ke4 { user }, span: span(window, context)? })
}

/// Reads `@user [DEVICE] [$event] [window]`.
pub(super) fn triage(words: &[Word], context: &Context<'_>) -> Result<Question, UsageError> {
    let (user, rest) = first_word(words, "No user given. Name the user in trouble.")?;
    let user = user_id(user, context)?;
    let (device, rest) = match rest.first() {
        Some(word) if is_event(word) => (None, rest),
        _ => device(rest)?,
    };
    let (event, window) = match rest.split_first() {
        Some((word, window)) if is_event(word) => (Some(event(&word.text, "")?), window),
        _ => (None, rest),
    };
    Ok(Question { topic: Topic::All { user, device, event }, span: span(window, context)? })
}

/// Reads `[window]`.
pub(super) fn fleet(words: &[Word], context: &Context<'_>) -> Result<Question, UsageError> {
    Ok(Question { topic: Topic::Fleet, span: span(words, context)? })
}

fn first_word<'a>(words: &'a [Word], missing: &str) -> Result<(&'a Word, &'a [Word]), UsageError> {
    words.split_first().ok_or_else(|| UsageError::new(missing))
}

/// The device, unless a window is there.
fn device(words: &[Word]) -> Result<(Option<OwnedDeviceId>, &[Word]), UsageError> {
    match words.split_first() {
        Some((word, window)) if !opens(word) => Ok((Some(device_id(word)?), window)),
        _ => Ok((None, words)),
    }
}

/// A second user, if there is one: a mention, or an ID with its @.
fn is_user(word: &Word) -> bool {
    word.is_pill() || word.is_bare() && word.text.starts_with('@')
}

fn is_event(word: &Word) -> bool {
    let text = word.text.to_lowercase();
    word.is_bare() && (text.starts_with('$') || text.starts_with("%24"))
}

/// Takes `live 60s` off the end; `live` alone is a minute.
fn live(words: &[Word]) -> Result<(&[Word], Option<Duration>), UsageError> {
    let is_live = |word: &Word| word.is_bare() && word.text.eq_ignore_ascii_case("live");
    let Some(at) = words.iter().position(is_live) else {
        return Ok((words, None));
    };
    let length = match &words[at + 1..] {
        [] => LIVE_UNSAID,
        [word] => live_watch(&word.text)?,
        [_, extra, ..] => {
            return Err(extra_word(&extra.text, " live takes one length, for example live 60s."));
        }
    };
    Ok((&words[..at], Some(length)))
}

#[cfg(test)]
mod tests {
    use super::super::commands::Command;
    use super::super::context::tests::epoch;
    use super::super::message::Line;
    use super::super::parse::parse;
    use super::*;

    fn read(body: &str) -> Result<Question, UsageError> {
        match parse(&Line { body, formatted: None }, &epoch())? {
            Some(Command::Ask(question)) => Ok(question),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_live_watch_of_one_sender() {
        let question = read("!ke2 @a:x.org DEV @b:y.org live 90s").expect("a question");
        assert_eq!(question.device().expect("a device").as_str(), "DEV");
        assert_eq!(question.live(), Some(Duration::from_secs(90)));
        assert_eq!(question.span, Span::Unsaid);
        let Topic::Ke2 { sender, .. } = question.topic else { panic!("no ke2") };
        assert_eq!(sender.expect("a sender").as_str(), "@b:y.org");

        let question = read("!ke2 @a:x.org \"live\" last 30m live").expect("a question");
        assert_eq!(question.device().expect("a device").as_str(), "live");
        assert_eq!(question.live(), Some(Duration::from_secs(60)));
        assert!(read("!ke2 @a:x.org DEV live 6m").is_err());
        assert!(read("!ke2 @a:x.org DEV live 60s more").is_err());
    }

    #[test]
    fn a_triage_may_name_an_event() {
        let named = |body: &str| match read(body).expect(body).topic {
            Topic::All { device, event, .. } => {
                let device = device.map(|device| device.to_string());
                (device, event.map(|subject| subject.event.to_string()))
            }
            other => panic!("{body}: {other:?}"),
        };
        assert_eq!(
            named("!triage @a:x.org %24ev:x.org last 1h"),
            (None, Some("$ev:x.org".to_owned()))
        );
        assert_eq!(named("!triage @a:x.org DEV"), (Some("DEV".to_owned()), None));
    }
}
