//! Replies that are no verdict: help, a list of devices, a usage error, a late answer. And how long something was.

use jiff::{SignedDuration, Timestamp};
use ruma::{ServerName, UserId};

use super::page::{Page, Reply};
use super::view::View;
use crate::command::{Help, UsageError, in_quotes};
use crate::diagnose::device_list::{trouble, worst_first};
use crate::evidence::DeviceRow;

/// The most devices that are listed; the rest is counted.
const LISTED: usize = 15;

/// Plain lines, for one calm sentence or a few.
pub fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Page {
    let mut page = Page::default();
    lines.into_iter().for_each(|line| {
        page.line().text(line);
    });
    page
}

/// A sentence or two of Kestrel's own. Text between backticks is code.
pub(super) fn said(words: &str) -> Reply {
    lines([words]).reply()
}

/// The list of commands, or more about one.
pub fn help(help: &Help) -> Page {
    let mut page = Page::default();
    for (usage, doc) in &help.lines {
        page.line().usage(usage).text(format!(" · {doc}"));
    }
    for note in &help.notes {
        page.line().text(note);
    }
    if let Some(example) = help.example {
        page.label("Example").usage(example);
    }
    page
}

/// For a user of another homeserver: this one has copies of the public keys only, and none of the log lines.
pub fn foreign_user(user: &UserId, server_name: &ServerName) -> Page {
    let theirs = in_quotes(user.server_name().as_str());
    lines([format!(
        "{} is on {theirs}. The keys and the logs are there, not on {server_name}. Ask the admins of {theirs}.",
        in_quotes(user.as_str()),
    )
    .as_str()])
}

/// What is wrong with a command, with the usage line.
pub fn usage_error(error: &UsageError) -> Page {
    let mut page = lines([error.says.as_str()]);
    if let Some(usage) = error.usage {
        page.label("Usage").usage(usage);
    }
    page
}

/// A user's devices, the worst first and sessions without encryption keys last. `behind` says why some may be
/// missing.
pub fn devices(user: &str, rows: &[DeviceRow], behind: Option<&str>, view: &View) -> Page {
    let mut page = Page::default();
    let mut rows = rows.to_vec();
    worst_first(&mut rows);
    match rows.len() {
        0 if behind.is_some() => {
            page.line().text(format!("The database has no devices of {user}."))
        }
        0 => page.line().text(format!("{user} has no devices on this server.")),
        1 => page.line().text(format!("{user} has one device:")),
        count => page.line().text(format!("{user} has {count} devices. Which one?")),
    };
    for row in rows.iter().take(LISTED) {
        device(page.line(), row, view);
    }
    if rows.len() > LISTED {
        page.line().text(format!("and {} more", rows.len() - LISTED));
    }
    if let Some(behind) = behind {
        page.line().text(format!(
            "{behind}: newer devices may be missing. Set `url` in [database] to the primary."
        ));
    }
    page
}

/// A device as lists show it.
pub(super) fn device(page: &mut Page, row: &DeviceRow, view: &View) {
    page.code(row.device.as_str());
    if let Some(name) = &row.display_name {
        page.text(format!(" {}", super::page::clip(name, 40)));
    }
    if let Some(seen) = row.last_seen {
        page.text(format!(", seen {}", view.moment(seen)));
    }
    if let Some(trouble) = trouble(row) {
        page.text(": ").strong(trouble);
    }
}

/// Why an answer comes late, in one line without foreign text. `windowed`: it covers a log window, which ends when
/// it was asked.
pub fn late(asked: Timestamp, now: Timestamp, windowed: bool, view: &View) -> String {
    let waited = lasting(now.duration_since(asked));
    let window = if windowed { " The log window ends at the time of the question." } else { "" };
    format!("Late answer: asked {}, answered {waited} later.{window}", view.moment(asked))
}

/// What was not answered for so long that it is dropped.
pub fn dropped(asked: &[(Timestamp, String)], after: SignedDuration, view: &View) -> Page {
    let (what, it) = match asked.len() {
        1 => ("an answer".to_owned(), "it"),
        count => (format!("{count} answers"), "them"),
    };
    let mut page = Page::default();
    page.line()
        .text(format!("Kestrel could not send {what} for {} and dropped {it}: ", lasting(after)));
    for (place, (at, summary)) in asked.iter().take(LISTED).enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        page.text(comma).code(super::page::clip(summary, 60));
        page.text(format!(" ({})", view.moment(*at)));
    }
    if asked.len() > LISTED {
        page.text(format!(", and {} more", asked.len() - LISTED));
    }
    page.text(". Ask again if it still matters.");
    page
}

/// Long-lived tasks of Kestrel that failed and were restarted.
pub fn restarted(tasks: &[(&str, usize)]) -> Page {
    let mut page = Page::default();
    for (name, count) in tasks {
        let times = if *count == 1 { "1 time".to_owned() } else { format!("{count} times") };
        page.line().text(format!(
            "A part of Kestrel ({name}) failed {times} in the last hour and was restarted. Nothing else is needed now. \
             Kestrel's log has the error."
        ));
    }
    page
}

/// A length of time as people say it.
pub(super) fn lasting(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let minutes = (seconds + 30) / 60;
    let and =
        |rest: i64, unit: &str| if rest > 0 { format!(" {rest} {unit}") } else { String::new() };
    match (seconds, minutes / 60) {
        (..60, _) => format!("{seconds} s"),
        (_, 0) => format!("{minutes} min"),
        (_, hours @ ..48) => format!("{hours} h{}", and(minutes % 60, "min")),
        (_, hours) => format!("{} d{}", hours / 24, and(hours % 24, "h")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + second).unwrap()
    }

    #[test]
    fn a_late_answer_says_when_it_was_asked() {
        let view = View::in_zone(TimeZone::UTC);
        assert_eq!(
            late(at(0), at(3 * 3600 + 120), true, &view),
            "Late answer: asked 2026-11-22 11:46:40 UTC, answered 3 h 2 min later. The log window ends at the \
             time of the question."
        );
        assert!(late(at(0), at(300), false, &view).ends_with("answered 5 min later."));
    }

    #[test]
    fn what_was_dropped_is_one_line_and_no_markup() {
        let view = View::in_zone(TimeZone::UTC);
        let day = SignedDuration::from_hours(24);
        let one = [(at(0), "!ke1 @a:x <b>D</b>".to_owned())];
        let reply = dropped(&one, day, &view).reply();
        assert_eq!(
            reply.plain,
            "Kestrel could not send an answer for 24 h and dropped it: !ke1 @a:x <b>D</b> (2026-11-22 11:46:40 \
             UTC). Ask again if it still matters."
        );
        assert!(!reply.html.contains("<b>D"), "{}", reply.html);
        let many: Vec<_> = (0..20).map(|second| (at(second), "!help".to_owned())).collect();
        let reply = dropped(&many, day, &view).reply();
        assert!(
            reply.plain.starts_with("Kestrel could not send 20 answers for 24 h and dropped them")
        );
        assert!(reply.plain.contains("and 5 more") && reply.plain.lines().count() == 1);
    }

    #[test]
    fn a_foreign_user_is_named_with_their_server() {
        let user = ruma::user_id!("@bob:other.org");
        let said = foreign_user(user, ruma::server_name!("example.org")).reply().plain;
        assert!(said.starts_with("“@bob:other.org” is on “other.org”. "), "{said}");
        assert!(said.contains("not on example.org"), "{said}");
    }
}
