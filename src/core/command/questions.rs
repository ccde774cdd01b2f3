//! The words of the commands about a user or a device: who, which device, which window.

use std::time::Duration;

use ruma::OwnedDeviceId;

use super::event_id::event;
use super::ids::{device_id, user_id};
use super::tokens::Word;
use super::usage_error::{self, Slip};
use super::{Command, Context, Ke1, Ke2, Ke4, Triage, window};

/// The longest live watch: it reads the database fifty times a second.
const LONGEST_LIVE: Duration = Duration::from_secs(5 * 60);

/// Reads `@user DEVICE [window]`.
pub(super) fn ke1(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let (user, rest) = named(words, "Whose device is it? Name a user and a device.")?;
    let user = user_id(user, context)?;
    let (device, window) = device(rest)?;
    let span = window::span(window, context)?;
    Ok(Command::Ke1(Ke1 { user, device, span }))
}

/// Reads `@user DEVICE [@sender] [window] [live 60s]`.
pub(super) fn ke2(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let (user, rest) = named(words, "Whose device is it? Name a user and a device.")?;
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
    let span = window::span(window, context)?;
    Ok(Command::Ke2(Ke2 { user, device, sender, span, live }))
}

/// Reads `@user [window]`.
pub(super) fn ke4(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let (user, window) = named(words, "Whose call is it? Name a user.")?;
    let user = user_id(user, context)?;
    let span = window::span(window, context)?;
    Ok(Command::Ke4(Ke4 { user, span }))
}

/// Reads `@user [DEVICE] [$event] [window]`.
pub(super) fn triage(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let (user, rest) = named(words, "Who is in trouble? Name a user.")?;
    let user = user_id(user, context)?;
    let (device, rest) = match rest.first() {
        Some(word) if is_event(word) => (None, rest),
        _ => device(rest)?,
    };
    let (event, window) = match rest.split_first() {
        Some((word, window)) if is_event(word) => (Some(event(&word.text, "")?), window),
        _ => (None, rest),
    };
    let span = window::span(window, context)?;
    Ok(Command::Triage(Triage { user, device, event, span }))
}

/// Reads `[window]`.
pub(super) fn fleet(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    window::span(words, context).map(Command::Fleet)
}

fn named<'a>(words: &'a [Word], ask: &str) -> Result<(&'a Word, &'a [Word]), Slip> {
    words.split_first().ok_or_else(|| Slip::new(ask))
}

/// The device, unless a window stands there.
fn device(words: &[Word]) -> Result<(Option<OwnedDeviceId>, &[Word]), Slip> {
    match words.split_first() {
        Some((word, window)) if !window::opens(word) => Ok((Some(device_id(word)?), window)),
        _ => Ok((None, words)),
    }
}

/// A second user where one may stand: a mention, or an id with its @.
fn is_user(word: &Word) -> bool {
    word.is_pill() || word.is_bare() && word.text.starts_with('@')
}

fn is_event(word: &Word) -> bool {
    let text = word.text.to_lowercase();
    word.is_bare() && (text.starts_with('$') || text.starts_with("%24"))
}

/// Takes `live 60s` off the end; `live` alone is a minute.
fn live(words: &[Word]) -> Result<(&[Word], Option<Duration>), Slip> {
    let Some(at) = words.iter().position(|w| w.is_bare() && w.text.eq_ignore_ascii_case("live"))
    else {
        return Ok((words, None));
    };
    let length = match &words[at + 1..] {
        [] => Duration::from_secs(60),
        [word] => bounded(window::duration(&word.text)?)?,
        [_, extra, ..] => {
            return Err(Slip::new(format!(
                "live takes a length, as in live 60s; {} is one word too many.",
                usage_error::shown(&extra.text)
            )));
        }
    };
    Ok((&words[..at], Some(length)))
}

/// A live watch of a length that is allowed.
pub(super) fn bounded(length: Duration) -> Result<Duration, Slip> {
    match length > LONGEST_LIVE {
        true => Err(Slip::new("A live watch lasts at most 5 minutes; ask again after it.")),
        false => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Line, Span, parse};
    use super::*;

    fn read(body: &str) -> Result<Command, Slip> {
        let (zone, now) = (jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let context = Context { server_name: None, zone: &zone, now };
        let line = Line { body, formatted: None };
        Ok(parse(&line, &context)?.expect("a command"))
    }

    #[test]
    fn a_live_watch_of_one_sender() {
        let Ok(Command::Ke2(typed)) = read("!ke2 @a:x.org DEV @b:y.org live 90s") else {
            panic!("no ke2")
        };
        assert_eq!(typed.device.expect("a device").as_str(), "DEV");
        assert_eq!(typed.sender.expect("a sender").as_str(), "@b:y.org");
        assert_eq!((typed.live, typed.span), (Some(Duration::from_secs(90)), Span::Unsaid));
        let Ok(Command::Ke2(typed)) = read("!ke2 @a:x.org \"live\" last 30m live") else {
            panic!("no ke2")
        };
        assert_eq!(typed.device.expect("a device").as_str(), "live");
        assert_eq!(typed.live, Some(Duration::from_secs(60)));
        assert!(read("!ke2 @a:x.org DEV live 6m").is_err());
        assert!(read("!ke2 @a:x.org DEV live 60s more").is_err());
    }

    #[test]
    fn a_triage_may_name_an_event() {
        let Ok(Command::Triage(typed)) = read("!triage @a:x.org %24ev:x.org last 1h") else {
            panic!("no triage")
        };
        assert_eq!(
            (typed.device, typed.event.expect("an event").event.as_str()),
            (None, "$ev:x.org")
        );
        let Ok(Command::Triage(typed)) = read("!triage @a:x.org DEV") else { panic!("no triage") };
        assert_eq!((typed.device.expect("a device").as_str(), typed.event), ("DEV", None));
    }
}
