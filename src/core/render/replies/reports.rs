//! Replies about reports: how to send one, why one waits, and why one is not read. Users read most of them, in a
//! direct chat with the bot, so there the bot says "I".

use jiff::{SignedDuration, Timestamp};

use crate::render::page::{Page, Reply};
use crate::render::plain_replies::said;
use crate::render::view::View;

/// To a user who sends no file in a direct chat.
pub fn how_to_report() -> Reply {
    said(
        "Send me the file that your client saved (.json, .har or .log, also zipped), or paste its text. I remove \
         secrets before I store anything.",
    )
}

/// For an admin's command in a direct chat.
pub fn commands_elsewhere() -> Reply {
    said(
        "I answer commands in the ops room only. In this chat I take reports: send me the file that a client saved.",
    )
}

/// For a report that waits for another.
pub fn your_turn_comes() -> Reply {
    said("Got it. I'll read it after the previous report.")
}

/// For a user who sends too many reports. One more is allowed after `free`.
pub fn reports_limited(each: usize, free: Timestamp, view: &View) -> Reply {
    // The next whole minute, when it is allowed for certain.
    let next = free.checked_add(SignedDuration::from_mins(1)).unwrap_or(free);
    let at = next.to_zoned(view.zone.clone()).strftime("%H:%M %Z");
    said(&format!("Limit: {each} reports per hour. I did not read this one. Try again at {at}."))
}

/// For `!report` that is not a reply.
pub fn report_of_what() -> Reply {
    said("Send `!report` as a reply to the file or to the pasted log.")
}

/// Where a report was posted.
pub fn in_its_thread(case: Option<u64>, link: &str) -> Reply {
    let mut page = Page::default();
    let case = case.map_or("The report".to_owned(), |number| format!("Case {number}"));
    page.line().text(case).text(" is in ").link("its own thread", link).text(".");
    page.reply()
}

/// For a file that cannot be read; `why` is for people.
pub fn not_read(why: &str) -> String {
    format!("The file could not be read: {}.", why.trim_end_matches('.'))
}

/// For a file above the limit, in bytes.
pub fn too_large(most: usize) -> String {
    let most = match most >> 20 {
        0 => format!("{} KiB", most >> 10),
        mib => format!("{mib} MiB"),
    };
    format!(
        "The file is larger than the limit of {most} and was not read. Zip it, or record one call only."
    )
}

/// For a picture, audio or video.
pub fn no_picture() -> &'static str {
    "Pictures, audio and video cannot be read. Send the file that your client saved (.json, .har or .log, also \
     zipped), or paste its text."
}

/// For a file that the homeserver did not serve, or that did not decrypt.
pub fn download_failed() -> &'static str {
    "The file could not be downloaded or decrypted. Send it again."
}

/// For a file whose download did not end in time.
pub fn download_too_slow() -> &'static str {
    "The download took longer than 1 minute, so the file was not read. Send it again, or send a smaller one."
}

/// For `!report` in reply to a message that the homeserver does not give.
pub fn message_not_fetched() -> &'static str {
    "The message that you replied to could not be fetched. Send the file again and reply to it."
}

/// For `!report` in reply to a message that does not decrypt.
pub fn message_without_key() -> &'static str {
    "Kestrel has no key for the message that you replied to. Send the file again and reply to it."
}

/// For `!report` in reply to a message that is neither a file nor text.
pub fn no_file_there() -> &'static str {
    "The message that you replied to has no file and no text. Send `!report` as a reply to the file itself."
}

/// For a report while the bot may not post in the room for reports.
pub fn no_ops_room() -> &'static str {
    "The report could not be forwarded: Kestrel cannot post in the administrators' room at the moment. Send it again \
     later."
}

/// In a report's thread, for a redacted file that could not be sent. `name` is Kestrel's own.
pub fn file_not_attached(name: &str) -> String {
    format!(
        "{name} could not be attached: the upload to the homeserver failed. Kestrel's log has the error."
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_limit_says_when_the_next_report_is_read() {
        let view = View::in_zone(TimeZone::UTC);
        let free = Timestamp::from_second(14 * 3600 + 29 * 60 + 59).unwrap();
        assert_eq!(
            reports_limited(6, free, &view).plain,
            "Limit: 6 reports per hour. I did not read this one. Try again at 14:30 UTC."
        );
    }
}
