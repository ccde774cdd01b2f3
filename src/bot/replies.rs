//! The bot's own short replies. Verdicts are worded elsewhere. No reply here contains text from a user or a log.

use std::time::Duration;

use jiff::SignedDuration;

use super::clock_offset;
use super::permission::CommandRefusal;
use kestrel_core::render::{Page, Reply};

/// For messages that a stolen access token can send but its owner's device would not.
const STOLEN: &str = "If you did not send this, somebody has your access token: sign out sessions you do not recognise and \
                      change your password.";

/// To a member who may not command the bot.
pub(super) fn not_for_you() -> Reply {
    said(
        "Kestrel answers this server's administrators only. If messages do not decrypt for you, ask one of them.",
    )
}

/// To an admin whose command does not count: what happened, what it means, what to do.
pub(super) fn refused(refusal: CommandRefusal) -> Reply {
    let says = match refusal {
        CommandRefusal::NotEncrypted => format!(
            "this message was not encrypted. An encrypted room accepts encrypted commands only, because anybody with an \
             access token can send a plain message. Send it from a client that encrypts. {STOLEN}"
        ),
        CommandRefusal::RoomNotEncrypted => "this room is not encrypted, so a command here does not prove who sent it. Turn on \
             encryption in the room's settings, or set allow_unencrypted = true in the config's [matrix]."
            .to_owned(),
        CommandRefusal::NoDeviceToVerify(rule) => format!(
            "this command needs a verified device, and in a room that is not encrypted no device can be verified. \
             Turn on encryption in the room's settings. The config's [matrix] says require_verified = \"{}\".",
            rule.name()
        ),
        CommandRefusal::NotVerified(rule) => format!(
            "this command needs a verified device, and the one that sent it is not. Verify this session in your \
             client's settings, then send the command again. The config's [matrix] says require_verified = \"{}\".",
            rule.name()
        ),
        CommandRefusal::IdentityChanged => "this command needs a verified device, and your cross-signing identity was \
             replaced after it was verified. Verify it again from the bot's account, then send the command again."
            .to_owned(),
        CommandRefusal::UnknownDevice => format!(
            "the homeserver does not list the device that encrypted this message. It may be signed out. Send the \
             command from a device that is signed in. {STOLEN}"
        ),
        CommandRefusal::UnknownSource => "the key of this message came from a backup, an import or another user, so it does \
             not prove who sent it. Start a new encryption session (in Element: /discardsession), then send the \
             command again."
            .to_owned(),
        CommandRefusal::OtherUser => {
            format!("this message was encrypted by another user's device. {STOLEN}")
        }
        CommandRefusal::Copied => format!(
            "this is a copy of an earlier encrypted message, and each message runs once. To run the command again, \
             type it again. {STOLEN}"
        ),
        CommandRefusal::Unnoted => "the store cannot be written, so Kestrel could not detect a copy of this message. Kestrel's \
             log has the error; the disk may be full. Free some space, then send the command again."
            .to_owned(),
    };
    let mut page = Page::default();
    page.line().strong("Not run").text(format!(": {says}"));
    page.reply()
}

/// Sent once in a room that is not encrypted, where the config accepts commands.
pub(super) fn not_encrypted_here() -> Reply {
    said(
        "This room is not encrypted, and the config says allow_unencrypted = true: anybody with an admin's access \
         token can command Kestrel here. Turn on encryption in the room's settings.",
    )
}

/// For 🔕: a reaction does not prove who sent it.
pub(super) fn how_to_mute(storm: u64) -> Reply {
    let mut page = Page::default();
    page.line().text(
        "Reactions are not encrypted, so this one does not mute. To mute this storm for an hour, send: ",
    );
    page.usage(&format!("!mute {storm} 1h"));
    page.reply()
}

/// For more reactions than the limit.
pub(super) fn too_many_presses(most: usize) -> Reply {
    said(&format!(
        "Limit: {most} reactions per person per hour. Send the command instead; !help lists them."
    ))
}

/// For commands that arrived while the bot was offline and are too old now. `clock` is how far the homeserver's clock
/// is ahead of this machine's, if that is too far.
pub(super) fn skipped(count: usize, oldest: Duration, clock: Option<SignedDuration>) -> Reply {
    let minutes = oldest.as_secs().div_ceil(60);
    let (what, them) = match count {
        1 => ("a command".to_owned(), "it"),
        count => (format!("{count} commands"), "them"),
    };
    let mut says = format!(
        "Kestrel was offline and skipped {what} older than {minutes} min. Send {them} again if you still need \
         the answer."
    );
    if let Some(offset) = clock {
        says.push_str(&format!(
            " Clocks differ: {}, so a command can look older or younger than it is. Set the clocks (NTP).",
            clock_offset::describe(offset)
        ));
    }
    said(&says)
}

/// For a command that arrives while the queue is full.
pub(super) fn queue_full(most: usize) -> Reply {
    said(&format!(
        "Not accepted: {most} commands are already waiting. Send it again when they are answered."
    ))
}

/// For a room whose backlog was longer than the limit. `moment` is the oldest event that was read.
pub(super) fn read_back_to(events: usize, moment: &str) -> Reply {
    said(&format!(
        "Kestrel was offline and read the newest {events} events of this room, back to {moment}. Earlier \
         commands were not read. Send them again if you still need the answers."
    ))
}

/// For `!why` in a thread without a case.
pub(super) fn no_case_here() -> Reply {
    said(
        "There is no case in this thread. Send !why in the thread of a verdict, or as a reply to one.",
    )
}

/// For a number that no case has.
pub(super) fn no_such_case(number: u64) -> Reply {
    said(&format!(
        "There is no case {number}. !cases lists the newest. Old cases are deleted automatically."
    ))
}

/// For a case that another version saved.
pub(super) fn case_unreadable(number: u64) -> Reply {
    said(&format!(
        "Case {number} cannot be read: another version of Kestrel saved it. Kestrel's log has the error."
    ))
}

/// For a case without a subject.
pub(super) fn not_again(number: u64) -> Reply {
    said(&format!("Case {number} cannot be asked again: it does not name a user."))
}

/// For `!case N delete`.
pub(super) fn case_deleted(number: u64) -> Reply {
    said(&format!(
        "Case {number} is deleted from the store, with its evidence. The question, the answer and the attached \
         evidence.json are still in the room. Remove them there if they must go too."
    ))
}

/// For "run again" under a storm of delayed events, which name no device.
pub(super) fn no_device_in_it() -> Reply {
    said(
        "Requests for delayed events name no user. Ask about a user who was in the call: !ke4 @user:server",
    )
}

/// For `!unmute` without a name.
pub(super) fn all_unmuted(count: usize) -> Reply {
    if count == 0 {
        return said("Nothing was muted.");
    }
    said("Nothing is muted any more.")
}

/// For `!unmute` of something that is not muted.
pub(super) fn was_not_muted() -> Reply {
    said("That was not muted. !storms lists what is.")
}

/// For `!mute` of a storm that is not ongoing.
pub(super) fn cannot_mute(storm: u64, is_known: bool) -> Reply {
    let why = if is_known {
        format!("Storm {storm} is resolved.")
    } else {
        format!("There is no storm {storm}.")
    };
    said(&format!("{why} !storms lists ongoing storms. To mute a user, send: !mute @user:server"))
}

/// For `!storms` where nothing is watched.
pub(super) fn not_watching() -> Reply {
    said("The storm watch is off: no log is configured, or [watch] says enabled = false.")
}

/// To somebody who sends no file in a direct chat.
pub(super) fn how_to_report() -> Reply {
    said(
        "Send me the file that your client saved (.json, .har, .log, also zipped), or paste its text. I remove \
         secrets before anything is kept.",
    )
}

/// For an admin's command in a direct chat.
pub(super) fn in_the_ops_room() -> Reply {
    said(
        "Commands are answered in the ops room. In this chat I take reports: send me the file that a client saved.",
    )
}

/// For a report that waits.
pub(super) fn your_turn_comes() -> Reply {
    said("Got it. I'll read it after the previous report.")
}

/// For a user who sends too many reports.
pub(super) fn too_often(each: usize) -> Reply {
    said(&format!(
        "Limit: {each} reports per hour. This one was not read. Send it again in an hour."
    ))
}

/// For `!report` that is not a reply.
pub(super) fn report_of_what() -> Reply {
    said("Send !report as a reply to the file or to the pasted log.")
}

/// Where a report was posted.
pub(super) fn in_its_thread(case: Option<u64>, link: &str) -> Reply {
    let mut page = Page::default();
    let case = case.map_or("The report".to_owned(), |number| format!("Case {number}"));
    page.line().text(case).text(" is in ").link("its own thread", link).text(".");
    page.reply()
}

/// For a file that cannot be read; `why` is for people.
pub(super) fn not_read(why: &str) -> String {
    format!("The file could not be read: {}.", why.trim_end_matches('.'))
}

/// For `!capture` when none is running.
pub(super) fn no_capture() -> Reply {
    said(
        "No capture is running in this room. Start one before the call: !capture start @user:server DEVICE for 30m",
    )
}

/// For `!capture start` when one is running.
pub(super) fn one_capture(number: u64) -> Reply {
    said(&format!(
        "Capture {number} is already running in this room. To end it, send: !capture stop"
    ))
}

/// For a capture command outside the capture's thread.
pub(super) fn taken_for(number: u64) -> Reply {
    said(&format!("Done. Capture {number} answers in its own thread."))
}

/// For a capture that ends without a device to judge.
pub(super) fn no_device_in_capture() -> Reply {
    said("No verdict: no device of this user was identified. The bundle has everything else.")
}

/// In the place of an answer that the homeserver refuses for good.
pub(super) fn answer_refused() -> Reply {
    said(
        "The homeserver refused this answer: it is too large or malformed. Kestrel's log has the error. \
         Ask about a shorter window.",
    )
}

/// For an internal error.
pub(super) fn our_fault() -> Reply {
    said("Not answered: Kestrel had an internal error. Its log has the details.")
}

/// Before the process ends because one of its tasks keeps failing.
pub(super) fn stopping() -> Reply {
    said(
        "🔴 Kestrel stops: one of its tasks keeps failing, and it does not run without it. Its log names the \
         task and the error. If a service manager restarts it, open commands are answered then.",
    )
}

/// For an answer that hit its deadline.
pub(super) fn took_too_long() -> Reply {
    said(
        "Not answered: the deadline passed. Kestrel's log has the details. Ask about a shorter window.",
    )
}

pub(super) fn said(words: &str) -> Reply {
    Reply { plain: words.to_owned(), html: words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RequireVerified;

    #[test]
    fn what_was_skipped_is_counted() {
        let five = Duration::from_secs(300);
        assert!(skipped(1, five, None).plain.contains("a command older than 5 min"));
        assert!(skipped(3, five, None).plain.contains("3 commands older than 5 min"));
        let says = skipped(1, five, Some(SignedDuration::from_mins(-7))).plain;
        assert!(says.contains("the homeserver's clock is 7 min behind this machine's"), "{says}");
        assert!(says.ends_with("Set the clocks (NTP)."), "{says}");
    }

    #[test]
    fn each_refusal_says_what_happened_and_what_to_do() {
        let rule = RequireVerified::Destructive;
        for (refusal, says) in [
            (CommandRefusal::NotEncrypted, "Send it from a client that encrypts."),
            (CommandRefusal::RoomNotEncrypted, "allow_unencrypted = true"),
            (CommandRefusal::NoDeviceToVerify(rule), "require_verified = \"destructive\""),
            (CommandRefusal::NotVerified(rule), "require_verified = \"destructive\""),
            (CommandRefusal::IdentityChanged, "Verify it again"),
            (CommandRefusal::UnknownDevice, "a device that is signed in"),
            (CommandRefusal::UnknownSource, "/discardsession"),
            (CommandRefusal::OtherUser, "sign out sessions"),
            (CommandRefusal::Copied, "type it again"),
            (CommandRefusal::Unnoted, "the disk may be full"),
        ] {
            let reply = refused(refusal);
            assert!(reply.plain.starts_with("Not run: "), "{refusal:?}: {}", reply.plain);
            assert!(reply.plain.contains(says), "{refusal:?}: {}", reply.plain);
            assert!(reply.plain.chars().count() < 400, "too long for a phone: {}", reply.plain);
        }
    }

    #[test]
    fn the_button_is_answered_with_a_line_that_works() {
        let reply = how_to_mute(7);
        assert!(reply.plain.ends_with(" send: !mute 7 1h"), "{}", reply.plain);
        assert!(reply.html.contains("<code>!mute 7 1h</code>"), "{}", reply.html);
    }

    #[test]
    fn nothing_needs_escaping() {
        for reply in [
            not_for_you(),
            not_encrypted_here(),
            too_many_presses(20),
            no_case_here(),
            no_device_in_it(),
            no_such_case(7),
            case_unreadable(7),
            not_again(7),
            case_deleted(7),
            not_watching(),
            no_capture(),
            one_capture(7),
            taken_for(7),
            our_fault(),
            took_too_long(),
        ] {
            assert!(!reply.html.contains(['<', '>', '&']));
        }
    }
}

/// Every reply of this file, as people read it.
#[cfg(test)]
mod snapshot_tests {
    use super::*;
    use crate::config::RequireVerified;

    #[test]
    fn every_reply() {
        let rule = RequireVerified::Destructive;
        let five = Duration::from_secs(300);
        let link = "https://matrix.to/#/!r%3Ax/%24e";
        let replies = [
            ("not an admin", not_for_you()),
            ("plain in an encrypted room", refused(CommandRefusal::NotEncrypted)),
            ("room not encrypted", refused(CommandRefusal::RoomNotEncrypted)),
            ("no device to verify", refused(CommandRefusal::NoDeviceToVerify(rule))),
            ("device not verified", refused(CommandRefusal::NotVerified(rule))),
            ("identity changed", refused(CommandRefusal::IdentityChanged)),
            ("unknown device", refused(CommandRefusal::UnknownDevice)),
            ("key of unknown source", refused(CommandRefusal::UnknownSource)),
            ("another user's key", refused(CommandRefusal::OtherUser)),
            ("copied", refused(CommandRefusal::Copied)),
            ("store not writable", refused(CommandRefusal::Unnoted)),
            ("room not encrypted, allowed", not_encrypted_here()),
            ("mute button", how_to_mute(7)),
            ("too many reactions", too_many_presses(20)),
            ("one command skipped", skipped(1, five, None)),
            ("commands skipped", skipped(3, five, None)),
            ("skipped, clock behind", skipped(1, five, Some(SignedDuration::from_mins(-7)))),
            ("skipped, clock ahead", skipped(1, five, Some(SignedDuration::from_mins(7)))),
            ("queue full", queue_full(50)),
            ("backlog not read", read_back_to(500, "2026-11-22 11:46:40 UTC")),
            ("no case in the thread", no_case_here()),
            ("no such case", no_such_case(7)),
            ("case unreadable", case_unreadable(7)),
            ("case names no user", not_again(7)),
            ("case deleted", case_deleted(7)),
            ("no device in a delay storm", no_device_in_it()),
            ("nothing was muted", all_unmuted(0)),
            ("all unmuted", all_unmuted(2)),
            ("that was not muted", was_not_muted()),
            ("mute of a storm that is over", cannot_mute(7, true)),
            ("mute of an unknown storm", cannot_mute(7, false)),
            ("no storm watch", not_watching()),
            ("how to report", how_to_report()),
            ("command in a direct chat", in_the_ops_room()),
            ("report queued", your_turn_comes()),
            ("too many reports", too_often(5)),
            ("!report without a file", report_of_what()),
            ("report posted", in_its_thread(Some(12), link)),
            ("report posted, no case", in_its_thread(None, link)),
            ("file not read", said(&not_read("it is torn"))),
            ("no capture", no_capture()),
            ("capture already running", one_capture(3)),
            ("capture outside its thread", taken_for(3)),
            ("capture without a device", no_device_in_capture()),
            ("answer rejected", answer_refused()),
            ("internal error", our_fault()),
            ("stopping", stopping()),
            ("deadline", took_too_long()),
        ];
        let page: String = replies
            .iter()
            .map(|(name, reply)| format!("=== {name} ===\n{}\n\n", reply.plain))
            .collect();
        insta::assert_snapshot!("replies", page);
    }
}
