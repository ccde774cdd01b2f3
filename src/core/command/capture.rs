//! The words of `!capture`: whose call, for how long, what was just seen, or the end.

use std::time::Duration;

use ruma::{OwnedDeviceId, OwnedUserId};

use super::ids::{device_id, user_id};
use super::tokens::Word;
use super::usage_error::{Slip, shown};
use super::window::{self, Lengths, joined};
use super::{Command, Context};

/// A capture of no named length: one call.
const UNSAID: Duration = Duration::from_secs(30 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// What is wanted of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    Start {
        user: OwnedUserId,
        /// `None` looks at all of the user's devices.
        device: Option<OwnedDeviceId>,
        length: Duration,
    },
    /// Notes a moment, in a person's words.
    Mark(String),
    Stop,
    Status,
}

/// Reads `[start @user [DEVICE] [for 30m] | mark TEXT | stop]`.
pub(super) fn capture(words: &[Word], context: &Context<'_>) -> Result<Command, Slip> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(Command::Capture(Capture::Status));
    };
    let capture = match (first.text.to_lowercase().as_str(), rest) {
        ("start", rest) => start(rest, context)?,
        ("mark", []) => {
            return Err(Slip::new("What was seen? As in !capture mark audio cut."));
        }
        ("mark", rest) => Capture::Mark(joined(rest)),
        ("stop", []) => Capture::Stop,
        ("status", []) => Capture::Status,
        ("stop" | "status", [extra, ..]) => {
            return Err(Slip::new(format!("{} is one word too many.", shown(&extra.text))));
        }
        _ => {
            return Err(Slip::new(format!(
                "I do not know {} of a capture. It can be start, mark or stop.",
                shown(&first.text)
            )));
        }
    };
    Ok(Command::Capture(capture))
}

fn start(words: &[Word], context: &Context<'_>) -> Result<Capture, Slip> {
    let Some((user, rest)) = words.split_first() else {
        return Err(Slip::new("Whose call is it? Name a user."));
    };
    let user = user_id(user, context)?;
    let (device, rest) = match rest.split_first() {
        Some((word, after)) if !opens_length(word) => (Some(device_id(word)?), after),
        _ => (None, rest),
    };
    Ok(Capture::Start { user, device, length: length(rest)? })
}

/// A length stands here and no device: a device that reads like one goes in quotes.
fn opens_length(word: &Word) -> bool {
    let text = word.text.to_lowercase();
    word.is_bare() && (text == "for" || window::seconds(&text).is_some())
}

/// `[for] 30m`; half an hour where nothing is said.
fn length(words: &[Word]) -> Result<Duration, Slip> {
    let lengths = Lengths {
        unsaid: UNSAID,
        shortest: SHORTEST,
        longest: LONGEST,
        written: "30m, 2h or 1h30m",
        bounds: "A capture lasts a minute to 4 hours".to_owned(),
    };
    window::length(words, &lengths)
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::super::{Line, parse};
    use super::*;

    fn read_with(body: &str, formatted: Option<&str>) -> Result<Command, Slip> {
        let (zone, now) = (jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let server_name = Some(server_name!("example.org"));
        let context = Context { server_name, zone: &zone, now };
        Ok(parse(&Line { body, formatted }, &context)?.expect("a command"))
    }

    fn read(body: &str) -> Result<Command, Slip> {
        read_with(body, None)
    }

    fn started(device: Option<&str>, seconds: u64) -> Result<Command, Slip> {
        let user = user_id!("@alice:example.org").to_owned();
        let length = Duration::from_secs(seconds);
        Ok(Command::Capture(Capture::Start { user, device: device.map(Into::into), length }))
    }

    #[test]
    fn a_capture_of_a_user_or_a_device_for_a_time() {
        for (body, device, seconds) in [
            ("!capture start alice", None, 1800),
            ("!capture Start @alice:example.org ABCDEFGHIJ", Some("ABCDEFGHIJ"), 1800),
            ("!capture start alice ABCDEFGHIJ for 1h30m", Some("ABCDEFGHIJ"), 5400),
            ("!capture start alice ABCDEFGHIJ 1h 30 min", Some("ABCDEFGHIJ"), 5400),
            ("!capture start alice for 1m", None, 60),
            ("!capture start alice 4h", None, 14_400),
            ("!capture start alice \"30m\" for 2h", Some("30m"), 7200),
            ("!capture start alice \"for\"", Some("for"), 1800),
            ("!capture start alice \"MY PHONE\" for 10m", Some("MY PHONE"), 600),
        ] {
            assert_eq!(read(body), started(device, seconds), "{body}");
        }
        let pill =
            r#"!capture start <a href="https://matrix.to/#/@alice:example.org">Alice A.</a>: DEV"#;
        let body = "!capture start Alice A.: DEV";
        assert_eq!(read_with(body, Some(pill)), started(Some("DEV"), 1800));
    }

    #[test]
    fn marks_keep_their_words_and_the_rest_takes_none() {
        for (body, text) in [
            ("!capture mark audio cut", "audio cut"),
            ("!capture mark   video   froze for Bob's phone", "video froze for Bob's phone"),
            ("!capture mark $event:example.org won't decrypt", "$event:example.org won't decrypt"),
            ("!capture mark stop", "stop"),
        ] {
            assert_eq!(read(body), Ok(Command::Capture(Capture::Mark(text.into()))), "{body}");
        }
        assert_eq!(read("!capture"), Ok(Command::Capture(Capture::Status)));
        assert_eq!(read("!capture status"), Ok(Command::Capture(Capture::Status)));
        assert_eq!(read("!capture STOP"), Ok(Command::Capture(Capture::Stop)));
    }

    #[test]
    fn slips_say_how_it_is_written() {
        for (body, says) in [
            ("!capture start", "Whose call is it?"),
            ("!capture start ABCDEFGHIJ", "looks like a device"),
            ("!capture start alice for", "I cannot read “for” as a length of time"),
            ("!capture start alice DEV for ever", "I cannot read “for ever”"),
            ("!capture start alice DEV DEV2", "I cannot read “DEV2” as a length of time"),
            ("!capture start alice 30s", "“30s” does not."),
            ("!capture start alice for 5h", "A capture lasts a minute to 4 hours"),
            ("!capture mark", "What was seen?"),
            ("!capture stop now", "“now” is one word too many"),
            ("!capture @alice:example.org", "It can be start, mark or stop."),
        ] {
            let slip = read(body).expect_err(body);
            assert!(slip.says.contains(says), "{body}: {slip}");
            assert!(slip.usage.is_some_and(|usage| usage.starts_with("!capture")), "{slip}");
        }
    }
}
