//! The few sentences the bot says of its own accord, as replies. Verdicts are worded elsewhere, and
//! nothing foreign stands in these.

use std::time::Duration;

use jiff::SignedDuration;

use super::clock_offset;
use super::permission::Refusal;
use kestrel_core::render::{Page, Reply};

/// For what a stolen access token can send and its owner's device would not.
const STOLEN: &str = "If you did not send this, somebody has your access token: sign out the sessions that you do not know, and \
                      change your password.";

/// To a member who may not command the bot.
pub(super) fn not_for_you() -> Reply {
    said(
        "I answer this server's administrators only. If messages will not decrypt for you, please tell one \
         of them.",
    )
}

/// To an admin whose command does not count: what happened, what it means, what to do.
pub(super) fn refused(refusal: Refusal) -> Reply {
    let says = match refusal {
        Refusal::NotEncrypted => format!(
            "this message was not encrypted. Only encrypted commands count in an encrypted room, because anybody with \
             an access token can send a plain message. Send it from a client that encrypts. {STOLEN}"
        ),
        Refusal::RoomNotEncrypted => "this room is not encrypted, so a command here does not prove who sent it. Turn on \
             encryption in the room's settings, or set allow_unencrypted = true in the config's [matrix]."
            .to_owned(),
        Refusal::NoDeviceToVerify(rule) => format!(
            "this command needs a verified device, and in a room that is not encrypted no device can be verified. \
             Turn on encryption in the room's settings. The config's [matrix] says require_verified = \"{}\".",
            rule.name()
        ),
        Refusal::NotVerified(rule) => format!(
            "this command needs a verified device, and the one that sent it is not. Verify this session in your \
             client's settings, then send the command again. The config's [matrix] says require_verified = \"{}\".",
            rule.name()
        ),
        Refusal::IdentityChanged => "this command needs a verified device, and your cross-signing identity was \
             replaced after it was verified. Verify it again from the bot's account, then send the command again."
            .to_owned(),
        Refusal::UnknownDevice => format!(
            "the homeserver does not list the device that encrypted this message. It may be signed out. Send the \
             command from a device that is signed in. {STOLEN}"
        ),
        Refusal::UnknownSource => "the key of this message came from a backup, an import or another user, so it does \
             not prove who sent it. Start a new encryption session (in Element: /discardsession), then send the \
             command again."
            .to_owned(),
        Refusal::OtherUser => {
            format!("this message was encrypted by another user's device. {STOLEN}")
        }
        Refusal::Copied => format!(
            "this is a copy of an earlier encrypted message, and a message counts once. To run the command again, \
             type it again. {STOLEN}"
        ),
        Refusal::Unnoted => "the store cannot be written, so a copy of this message could not be told from it. The \
             bot's log says why; the disk may be full. Make room, then send the command again."
            .to_owned(),
    };
    let mut page = Page::default();
    page.line().strong("Not run").text(format!(": {says}"));
    page.reply()
}

/// Once in a room that is not encrypted, where the config lets commands count.
pub(super) fn not_encrypted_here() -> Reply {
    said(
        "This room is not encrypted, and the config says allow_unencrypted = true: anybody with the access token of \
         an admin can command Kestrel here. Turn on encryption in the room's settings.",
    )
}

/// For 🔕: a reaction proves no sender.
pub(super) fn how_to_mute(storm: u64) -> Reply {
    let mut page = Page::default();
    page.line().text(
        "A reaction is not encrypted, so it does not mute. To mute this storm for an hour, send: ",
    );
    page.usage(&format!("!mute {storm} 1h"));
    page.reply()
}

/// For one button too many.
pub(super) fn too_many_presses(most: usize) -> Reply {
    said(&format!(
        "Limit: {most} reactions per person per hour. Send the command instead; !help lists them."
    ))
}

/// For what passed while the bot was away.
/// `clock` is how far the homeserver's clock is ahead of this machine's, where that is too much.
pub(super) fn skipped(count: usize, oldest: Duration, clock: Option<SignedDuration>) -> Reply {
    let minutes = oldest.as_secs().div_ceil(60);
    let what = match count {
        1 => "a command".to_owned(),
        count => format!("{count} commands"),
    };
    let mut says = format!(
        "I was away and skipped {what} older than {minutes} min. Please ask again if it still matters."
    );
    if let Some(offset) = clock {
        says.push_str(&format!(
            " Clocks differ: {}, so a command may look older or younger than it is. Set the clocks (NTP).",
            clock_offset::describe(offset)
        ));
    }
    said(&says)
}

/// For a command that came while too many wait.
pub(super) fn queue_full(most: usize) -> Reply {
    said(&format!(
        "Not accepted: {most} commands are waiting already. Ask again when they are answered."
    ))
}

/// For a room that was not read back whole. `moment` is the oldest that was read.
pub(super) fn read_back_to(events: usize, moment: &str) -> Reply {
    said(&format!(
        "Kestrel was offline and read the newest {events} events of this room, back to {moment}. Commands \
         before that were not read. Send them again if they still matter."
    ))
}

/// For `!why` where no case is known.
pub(super) fn no_case_here() -> Reply {
    said(
        "I know no case here. Write !why in the thread of one of my verdicts, or as a reply to one.",
    )
}

/// For a number that no case has.
pub(super) fn no_such_case(number: u64) -> Reply {
    said(&format!(
        "I keep no case {number}; !cases lists the newest. It may be too old, or deleted."
    ))
}

/// For a case that another version kept.
pub(super) fn case_unreadable(number: u64) -> Reply {
    said(&format!(
        "Case {number} was kept by another version of me and I cannot read it; my log says why."
    ))
}

/// For a case that does not say what to ask.
pub(super) fn not_again(number: u64) -> Reply {
    said(&format!("Case {number} cannot be asked again: it does not say whom it is about."))
}

/// For `!case N delete`.
pub(super) fn case_deleted(number: u64) -> Reply {
    said(&format!(
        "Case {number} is deleted with its evidence: nothing of it is left in my store. What stands in the \
         room stays: the question, the answer and its evidence.json. Remove those there if they must go too."
    ))
}

/// For "run again" under a storm of delayed events, which name no device.
pub(super) fn no_device_in_it() -> Reply {
    said(
        "Requests on delayed events name no user. Ask for one who was in the call: !ke4 @user:server",
    )
}

/// For `!unmute` without a name.
pub(super) fn all_unmuted(count: usize) -> Reply {
    said(match count {
        0 => "Nothing was muted.",
        _ => "Nothing is muted any more.",
    })
}

/// For `!storms` where nothing is watched.
pub(super) fn not_watching() -> Reply {
    said("The storm watch is off: no log is configured, or [watch] says enabled = false.")
}

/// To whoever only talks in a direct chat.
pub(super) fn how_to_report() -> Reply {
    said(
        "Send me the file that your client saved (.json, .har, .log, also zipped), or paste its text, and I will \
         look. Secrets are removed before anything is kept.",
    )
}

/// For an admin's command in a direct chat.
pub(super) fn in_the_ops_room() -> Reply {
    said(
        "Commands are answered in the ops room. Here I take reports: send me the file that a client saved.",
    )
}

/// For a report that waits.
pub(super) fn your_turn_comes() -> Reply {
    said("I have it, and read it when the one before it is done.")
}

/// For a user who sends too many.
pub(super) fn too_often(each: usize) -> Reply {
    said(&format!(
        "I read {each} reports of yours an hour. This one was not read; send it again later."
    ))
}

/// For `!report` that replies to nothing.
pub(super) fn report_of_what() -> Reply {
    said("Write !report as a reply to the file or the pasted log.")
}

/// Where a report was told.
pub(super) fn in_its_thread(case: Option<u64>, link: &str) -> Reply {
    let mut page = Page::default();
    let case = case.map_or("The report".to_owned(), |number| format!("Case {number}"));
    page.line().text(case).text(" is in ").link("a thread of its own", link).text(".");
    page.reply()
}

/// For a file that is nothing that can be read; `why` is for people.
pub(super) fn not_read(why: &str) -> String {
    format!("I could not read that: {}.", why.trim_end_matches('.'))
}

/// For `!capture` where none goes on.
pub(super) fn no_capture() -> Reply {
    said(
        "No capture goes on in this room. Begin one before the call: !capture start @user:server DEVICE for 30m",
    )
}

/// For `!capture start` where one goes on.
pub(super) fn one_capture(number: u64) -> Reply {
    said(&format!(
        "Capture {number} goes on in this room, and one at a time is enough: !capture stop ends it."
    ))
}

/// For what was said to a capture outside of its thread.
pub(super) fn taken_for(number: u64) -> Reply {
    said(&format!("Taken; capture {number} tells the rest in its own thread."))
}

/// In the place of an answer that the homeserver refuses for good.
pub(super) fn answer_refused() -> Reply {
    said(
        "The homeserver refused this answer: it is too large or malformed. Kestrel's log has the error. \
         Ask about a shorter window.",
    )
}

/// For a fault of our own; the log has the rest.
pub(super) fn our_fault() -> Reply {
    said("Something went wrong on my side, not on yours; my log says what.")
}

/// Before the process ends because one of its tasks cannot be kept.
pub(super) fn stopping() -> Reply {
    said(
        "🔴 Kestrel stops: one of its tasks keeps failing, and it does not run without it. Its log names the \
         task and the error. If a service manager restarts it, what was asked is answered then.",
    )
}

/// For an answer that was given up.
pub(super) fn took_too_long() -> Reply {
    said("This took too long and I gave up; my log says where. A shorter window may help.")
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
            (Refusal::NotEncrypted, "Send it from a client that encrypts."),
            (Refusal::RoomNotEncrypted, "allow_unencrypted = true"),
            (Refusal::NoDeviceToVerify(rule), "require_verified = \"destructive\""),
            (Refusal::NotVerified(rule), "require_verified = \"destructive\""),
            (Refusal::IdentityChanged, "Verify it again"),
            (Refusal::UnknownDevice, "a device that is signed in"),
            (Refusal::UnknownSource, "/discardsession"),
            (Refusal::OtherUser, "sign out the sessions"),
            (Refusal::Copied, "type it again"),
            (Refusal::Unnoted, "the disk may be full"),
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
