//! The few sentences the bot says of its own accord, as replies. Verdicts are worded elsewhere, and
//! nothing foreign stands in these.

use std::time::Duration;

use crate::render::{Page, Reply};

/// To a member who may not command the bot.
pub(super) fn not_for_you() -> Reply {
    said(
        "I answer this server's administrators only. If messages will not decrypt for you, please tell one \
         of them.",
    )
}

/// For what passed while the bot was away.
pub(super) fn skipped(count: usize, oldest: Duration) -> Reply {
    let minutes = oldest.as_secs().div_ceil(60);
    let what = match count {
        1 => "a command".to_owned(),
        count => format!("{count} commands"),
    };
    said(&format!(
        "I was away and skipped {what} older than {minutes} min. Please ask again if it still matters."
    ))
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

    #[test]
    fn what_was_skipped_is_counted() {
        let five = Duration::from_secs(300);
        assert!(skipped(1, five).plain.contains("a command older than 5 min"));
        assert!(skipped(3, five).plain.contains("3 commands older than 5 min"));
    }

    #[test]
    fn nothing_needs_escaping() {
        for reply in [
            not_for_you(),
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
