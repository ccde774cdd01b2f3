//! A command → whether it silences, deletes, or starts and stops something that others rely on. Those need a
//! device that its owner verified, as `[matrix] require_verified` says.

use super::{Capture, Command, Look};

impl Command {
    /// Whether somebody who may not send it could do harm with it: blind the room, destroy evidence.
    pub fn is_destructive(&self) -> bool {
        // Without a wildcard: a new command does not compile until somebody decides.
        match self {
            Self::Mute { .. } | Self::Unmute(_) => true,
            Self::Case { look, .. } => *look == Look::Delete,
            Self::Capture(wanted) => match wanted {
                Capture::Start { .. } | Capture::Stop => true,
                Capture::Mark(_) | Capture::Status => false,
            },
            Self::Ke1(_)
            | Self::Ke2(_)
            | Self::Ke3(_)
            | Self::Ke4(_)
            | Self::Triage(_)
            | Self::Fleet(_)
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
    use super::super::{COMMANDS, Context, Line, parse};

    #[test]
    fn what_silences_or_deletes_is_destructive_and_nothing_else() {
        let zone = jiff::tz::TimeZone::UTC;
        let server_name = Some(ruma::server_name!("example.org"));
        let context = Context { server_name, zone: &zone, now: jiff::Timestamp::UNIX_EPOCH };
        let is_destructive = |body: &str| {
            let command = parse(&Line { body, formatted: None }, &context).expect(body);
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
        let names: Vec<_> = of_the_table.map(|one| one.name).collect();
        assert_eq!(names, ["mute", "unmute", "capture"]);
    }
}
