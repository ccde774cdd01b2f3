//! The words of `!capture`: whose call, for how long, what was just seen, or the end.

use std::time::Duration;

use ruma::{OwnedDeviceId, OwnedUserId};

use super::context::Context;
use super::durations::{Lengths, length, seconds};
use super::ids::{device_id, user_id};
use super::tokens::{Word, joined};
use super::usage_error::{UsageError, extra_word, in_quotes};

/// A capture of no named length: one call.
const UNSAID: Duration = Duration::from_secs(30 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// What to do with the capture of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureCommand {
    Start {
        user: OwnedUserId,
        /// `None` records all of the user's devices.
        device: Option<OwnedDeviceId>,
        length: Duration,
    },
    /// Notes a moment, in a person's words.
    Mark(String),
    Stop,
    Status,
}

/// Reads `[start @user [DEVICE] [for 30m] | mark TEXT | stop]`.
pub(super) fn capture(words: &[Word], context: &Context<'_>) -> Result<CaptureCommand, UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(CaptureCommand::Status);
    };
    match (first.text.to_lowercase().as_str(), rest) {
        ("start", rest) => start(rest, context),
        ("mark", []) => Err(UsageError::new(
            "No text given. Write what you saw, for example !capture mark audio cut.",
        )),
        ("mark", rest) => Ok(CaptureCommand::Mark(joined(rest))),
        ("stop", []) => Ok(CaptureCommand::Stop),
        ("status", []) => Ok(CaptureCommand::Status),
        ("stop" | "status", [extra, ..]) => Err(extra_word(&extra.text, "")),
        _ => Err(UsageError::new(format!(
            "There is no capture action {}. Use start, mark or stop.",
            in_quotes(&first.text)
        ))),
    }
}

fn start(words: &[Word], context: &Context<'_>) -> Result<CaptureCommand, UsageError> {
    let Some((user, rest)) = words.split_first() else {
        return Err(UsageError::new("No user given. Name the user whose call to record."));
    };
    let user = user_id(user, context)?;
    let (device, rest) = match rest.split_first() {
        Some((word, after)) if !opens_length(word) => (Some(device_id(word)?), after),
        _ => (None, rest),
    };
    let lengths = Lengths {
        unsaid: UNSAID,
        shortest: SHORTEST,
        longest: LONGEST,
        examples: "30m, 2h, 1h30m",
        bounds: "A capture can last 1m to 4h".to_owned(),
    };
    Ok(CaptureCommand::Start { user, device, length: length(rest, &lengths)? })
}

/// Whether this word is a length and not a device: a device that reads like a length is quoted.
fn opens_length(word: &Word) -> bool {
    let text = word.text.to_lowercase();
    word.is_bare() && (text == "for" || seconds(&text).is_some())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::super::commands::Command;
    use super::super::context::tests::epoch;
    use super::super::message::Line;
    use super::super::parse::parse;
    use super::*;

    fn read_with(body: &str, formatted: Option<&str>) -> Result<CaptureCommand, UsageError> {
        match parse(&Line { body, formatted }, &epoch())? {
            Some(Command::Capture(capture)) => Ok(capture),
            other => panic!("{body}: {other:?}"),
        }
    }

    fn read(body: &str) -> Result<CaptureCommand, UsageError> {
        read_with(body, None)
    }

    fn started(device: Option<&str>, seconds: u64) -> Result<CaptureCommand, UsageError> {
        let user = user_id!("@alice:example.org").to_owned();
        let length = Duration::from_secs(seconds);
        Ok(CaptureCommand::Start { user, device: device.map(Into::into), length })
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
            assert_eq!(read(body), Ok(CaptureCommand::Mark(text.into())), "{body}");
        }
        assert_eq!(read("!capture"), Ok(CaptureCommand::Status));
        assert_eq!(read("!capture status"), Ok(CaptureCommand::Status));
        assert_eq!(read("!capture STOP"), Ok(CaptureCommand::Stop));
    }

    #[test]
    fn errors_say_how_it_is_written() {
        for (body, says) in [
            ("!capture start", "No user given."),
            ("!capture start ABCDEFGHIJ", "looks like a device"),
            ("!capture start alice for", "“for” is not a length of time"),
            ("!capture start alice DEV for ever", "“for ever” is not a length of time"),
            ("!capture start alice DEV DEV2", "“DEV2” is not a length of time"),
            ("!capture start alice 30s", "not “30s”"),
            ("!capture start alice for 5h", "A capture can last 1m to 4h"),
            ("!capture mark", "No text given."),
            ("!capture stop now", "Unexpected extra word: “now”"),
            ("!capture @alice:example.org", "Use start, mark or stop."),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.says.contains(says), "{body}: {error}");
            assert!(error.usage.is_some_and(|usage| usage.starts_with("!capture")), "{error}");
        }
    }
}
