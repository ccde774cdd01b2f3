//! A command → whether it silences, deletes, or starts and stops something that others rely on. Such a command needs
//! a device that its owner verified, as `[matrix] require_verified` says.

use super::capture::CaptureCommand;
use super::cases::CaseAction;
use super::commands::Command;

impl Command {
    /// Whether somebody who may not send it could do harm with it: blind the room, destroy evidence.
    pub fn is_destructive(&self) -> bool {
        // Without a wildcard: a new command does not compile until somebody decides.
        match self {
            Self::Mute { .. } | Self::Unmute(_) => true,
            Self::Case { action, .. } => *action == CaseAction::Delete,
            Self::Capture(capture) => match capture {
                CaptureCommand::Start { .. } | CaptureCommand::Stop => true,
                CaptureCommand::Mark(_) | CaptureCommand::Status => false,
            },
            Self::Ask(_)
            | Self::Report { .. }
            | Self::Storms
            | Self::Cases(_)
            | Self::Tree(_)
            | Self::Remedies(_)
            | Self::Why
            | Self::Help(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::tests::epoch;
    use super::super::message::Line;
    use super::super::parse::parse;
    use super::super::table::COMMANDS;

    #[test]
    fn what_silences_or_deletes_is_destructive_and_nothing_else() {
        let is_destructive = |body: &str| {
            let command = parse(&Line { body, formatted: None }, &epoch()).expect(body);
            command.expect(body).is_destructive()
        };
        for body in [
            "!mute all 24h",
            "!mute 7 1h",
            "!unmute",
            "!unmute all",
            "!case 1 delete",
            "!capture start alice",
            "!capture stop",
        ] {
            assert!(is_destructive(body), "{body}");
        }
        for body in ["!case 1", "!case 1 why", "!case 1 again", "!capture", "!capture mark cut"] {
            assert!(!is_destructive(body), "{body}");
        }
        let of_the_table = COMMANDS.iter().filter(|one| is_destructive(one.example));
        let words: Vec<_> = of_the_table.map(|one| one.word).collect();
        assert_eq!(words, ["mute", "unmute", "capture"]);
    }
}
