//! Replies to commands that are not run, not read or not answered: what happened, what it means, what to do.

use std::time::Duration;

use crate::render::page::{Page, Reply};
use crate::render::plain_replies::said;

/// For messages that a stolen access token can send but its owner's device would not.
const STOLEN: &str = "If you did not send this, someone has your access token: sign out the sessions that you do not \
                      recognise and change your password.";

/// Why an admin's command is not run. A rule is the value of `require_verified` in the config.
#[derive(Debug, Clone, Copy)]
pub enum NotRun<'a> {
    NotEncrypted,
    RoomNotEncrypted,
    NoDeviceToVerify { rule: &'a str },
    NotVerified { rule: &'a str },
    IdentityChanged,
    UnknownDevice,
    UnknownSource,
    OtherUser,
    Copied,
    NotSaved,
}

/// To a member who may not command the bot.
pub fn not_for_you() -> Reply {
    said(
        "Kestrel answers only this server's administrators. If your messages do not decrypt, ask one of them.",
    )
}

/// To an admin whose command does not count.
pub fn not_run(why: NotRun<'_>) -> Reply {
    let mut page = Page::default();
    page.line().strong("Not run").text(format!(": {}", reason(why)));
    page.reply()
}

fn reason(why: NotRun<'_>) -> String {
    match why {
        NotRun::NotEncrypted => format!(
            "this message was not encrypted. An encrypted room accepts only encrypted commands, because anyone with \
             an access token can send a plain message. Send it from a client that encrypts. {STOLEN}"
        ),
        NotRun::RoomNotEncrypted => "this room is not encrypted, so a command here does not prove who sent it. Turn \
             on encryption in the room's settings, or set `allow_unencrypted = true` in the config's [matrix] section."
            .to_owned(),
        NotRun::NoDeviceToVerify { rule } => format!(
            "this command needs a verified device, and no device can be verified in a room that is not encrypted. \
             Turn on encryption in the room's settings. The config's [matrix] section has `require_verified = \
             \"{rule}\"`."
        ),
        NotRun::NotVerified { rule } => format!(
            "this command needs a verified device, and your device is not verified. Verify this session in your \
             client's settings, then send the command again. The config's [matrix] section has `require_verified = \
             \"{rule}\"`."
        ),
        NotRun::IdentityChanged => "this command needs a verified device, and your cross-signing identity was \
             replaced after it was verified. Log in to the bot's account with a Matrix client and verify your user again there, then send the command again."
            .to_owned(),
        NotRun::UnknownDevice => format!(
            "the homeserver does not list the device that encrypted this message. The device may be signed out. \
             Send the command from a device that is signed in. {STOLEN}"
        ),
        NotRun::UnknownSource => "the key of this message came from a backup, an import or another user, so it does \
             not prove who sent it. Start a new encryption session (in Element: `/discardsession`), then send the \
             command again."
            .to_owned(),
        NotRun::OtherUser => {
            format!("this message was encrypted by another user's device. {STOLEN}")
        }
        NotRun::Copied => format!(
            "this is a copy of an earlier encrypted message, and each message runs once. To run the command again, \
             type it again. {STOLEN}"
        ),
        NotRun::NotSaved => "the store cannot be written, so Kestrel cannot check whether this message is a copy. \
             Kestrel's log has the error; the disk may be full. Free some space, then send the command again."
            .to_owned(),
    }
}

/// Sent once in a room that is not encrypted, where the config accepts commands.
pub fn not_encrypted_here() -> Reply {
    said(
        "This room is not encrypted, and the config has `allow_unencrypted = true`: anyone with an admin's access \
         token can command Kestrel here. Turn on encryption in the room's settings.",
    )
}

/// For more reactions than the limit.
pub fn too_many_presses(most: usize) -> Reply {
    said(&format!(
        "Limit: {most} reactions per person per hour. Send the command instead; `!help` lists the commands."
    ))
}

/// For commands that arrived while the bot was offline and are too old now. `clocks` says how far the clocks are
/// apart, if that is too far.
pub fn skipped(count: usize, oldest: Duration, clocks: Option<&str>) -> Reply {
    let minutes = oldest.as_secs().div_ceil(60);
    let (what, them) = match count {
        1 => ("1 command".to_owned(), "it"),
        count => (format!("{count} commands"), "them"),
    };
    let mut says = format!(
        "Kestrel was offline and skipped {what} older than {minutes} min. Send {them} again if you still need \
         the answer."
    );
    if let Some(clocks) = clocks {
        says.push_str(&format!(
            " Clocks differ: {clocks}, so a command can look older or younger than it is. Set the clocks (NTP)."
        ));
    }
    said(&says)
}

/// For a command that arrives while the queue is full.
pub fn queue_full(most: usize) -> Reply {
    said(&format!(
        "Not accepted: {most} commands are already waiting. Send it again when they are answered."
    ))
}

/// For a room whose backlog was longer than the limit. `moment` is the oldest event that was read.
pub fn read_back_to(events: usize, moment: &str) -> Reply {
    said(&format!(
        "Kestrel was offline and read the newest {events} events of this room, back to {moment}. Earlier \
         commands were not read. Send them again if you still need the answers."
    ))
}

/// In place of an answer that the homeserver never accepts.
pub fn answer_rejected() -> Reply {
    said(
        "The homeserver rejected this answer: it is too large or malformed. Kestrel's log has the error. \
         Ask about a shorter window.",
    )
}

/// For an internal error.
pub fn our_fault() -> Reply {
    said("Not answered: Kestrel had an internal error. Its log has the details.")
}

/// For an answer that hit its deadline.
pub fn too_long() -> Reply {
    said(
        "Not answered: the deadline passed. Kestrel's log has the details. Ask about a shorter window.",
    )
}

/// Before the process ends because one of its tasks keeps failing.
pub fn stopping() -> Reply {
    said(
        "🔴 Kestrel is stopping: a part that it needs keeps failing. Kestrel's log has the error. Fix the cause, then start \
         Kestrel again. Commands that are not answered yet are answered after the next start.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_counted() {
        let five = Duration::from_secs(300);
        assert!(skipped(1, five, None).plain.contains("1 command older than 5 min"));
        assert!(skipped(3, five, None).plain.contains("3 commands older than 5 min"));
        let says = skipped(1, five, Some("theirs is 7 min ahead")).plain;
        assert!(says.contains("Clocks differ: theirs is 7 min ahead, so"), "{says}");
        assert!(says.ends_with("Set the clocks (NTP)."), "{says}");
    }

    #[test]
    fn each_reason_says_what_happened_and_what_to_do() {
        let rule = "destructive";
        for (why, says) in [
            (NotRun::NotEncrypted, "Send it from a client that encrypts."),
            (NotRun::RoomNotEncrypted, "allow_unencrypted = true"),
            (NotRun::NoDeviceToVerify { rule }, "require_verified = \"destructive\""),
            (NotRun::NotVerified { rule }, "require_verified = \"destructive\""),
            (NotRun::IdentityChanged, "verify your user again"),
            (NotRun::UnknownDevice, "a device that is signed in"),
            (NotRun::UnknownSource, "/discardsession"),
            (NotRun::OtherUser, "sign out the sessions"),
            (NotRun::Copied, "type it again"),
            (NotRun::NotSaved, "the disk may be full"),
        ] {
            let reply = not_run(why);
            assert!(reply.plain.starts_with("Not run: "), "{why:?}: {}", reply.plain);
            assert!(reply.plain.contains(says), "{why:?}: {}", reply.plain);
            assert!(reply.plain.chars().count() < 400, "too long for a phone: {}", reply.plain);
        }
    }
}
