//! A user's report → its first message in the ops room, and the receipt that its sender gets.
//!
//! The receipt says what the sender's own file shows, and at most one thing to do: nothing that the server stores
//! passes through here. Everything in a file is foreign.

use ruma::{DeviceId, UserId};

use super::answer::sentence;
use super::page::Page;
use super::view::View;
use crate::diagnose::advice::Safe;
use crate::diagnose::verdict::Verdict;
use crate::evidence::client::Sign;
use crate::evidence::quoted_device::quoted_device;
use crate::evidence::redaction::Removed;
use crate::evidence::{ClientFacts, counted};

/// Notes about parts that were not read, in a receipt.
const NOTES: usize = 3;

/// What the sender of a report may know. It has no field for anything that the server stores.
#[derive(Debug)]
pub struct Receipt<'a> {
    /// None if the case could not be saved.
    pub case: Option<u64>,
    /// What the sender's files say, by the client's clock.
    pub facts: &'a [&'a ClientFacts],
    /// Parts of the files that were not read, and why.
    pub notes: &'a [String],
    pub removed: &'a Removed,
    /// Whether it names nobody but its sender.
    pub believed: bool,
    pub advice: Option<Safe>,
}

/// The first message about a report in the ops room.
#[derive(Debug)]
pub struct Root<'a> {
    pub case: Option<u64>,
    /// Who sent or forwarded it.
    pub by: &'a UserId,
    pub forwarded: bool,
    /// Which user and device it is about, as far as that is accepted.
    pub user: Option<&'a UserId>,
    pub device: Option<&'a str>,
    /// The device that was evaluated: chosen if the report names none.
    pub judged: Option<&'a DeviceId>,
    pub headline: &'a str,
    pub verdict: Option<&'a Verdict>,
    pub facts: &'a [&'a ClientFacts],
    pub removed: &'a Removed,
}

/// The receipt: short, for a phone, in everyday words.
pub fn receipt(receipt: &Receipt<'_>, view: &View) -> Page {
    let mut page = Page::default();
    page.line().text("Thank you. ");
    match receipt.case {
        Some(number) => page.text("Your report is ").strong(format!("case {number}")).text("."),
        None => page.text("I forwarded your report to the administrators."),
    };
    page.label("Observed").text(sentence(&understood(receipt.facts, view)));
    for note in receipt.notes.iter().take(NOTES) {
        page.line().text(sentence(note));
    }
    if let Some(more @ 1..) = receipt.notes.len().checked_sub(NOTES) {
        let verb = if more == 1 { "was" } else { "were" };
        let parts = counted(more as u64, "more part");
        page.line().text(format!("{parts} {verb} not read."));
    }
    page.label("Removed").text(sentence(&removed(receipt.removed)));
    page.gap();
    if !receipt.believed {
        page.line().text(
            "The report names a different user, so it was not evaluated. The administrators can see it.",
        );
        return page;
    }
    match receipt.advice {
        Some(advice) => to_do(&mut page, advice, receipt.facts),
        None => {
            page.line()
                .text("The administrators can see it now. You do not have to do anything yet.");
        }
    }
    page
}

/// What the ops room sees first: at most four lines.
pub fn root(root: &Root<'_>, view: &View) -> Page {
    let mut page = Page::default();
    page.line();
    match root.user.filter(|_| root.forwarded) {
        Some(user) => page.strong("Report about").text(format!(" {user}")),
        None if root.forwarded => page.strong("Report forwarded by").text(format!(" {}", root.by)),
        None => page.strong("Report from").text(format!(" {}", root.by)),
    };
    if let Some(device) = root.device {
        page.text(" ").code(device);
    }
    if root.forwarded && root.user.is_some() {
        page.text(format!(", forwarded by {}", root.by));
    }
    if let Some(number) = root.case {
        page.text(", ").strong(format!("case {number}"));
    }
    page.text(": ").strong(sentence(root.headline));
    if let Some(verdict) = root.verdict {
        page.label("Verdict").text(format!(
            "{} · {}",
            verdict.id.name(),
            verdict.certainty.words()
        ));
        if let Some(judged) = root.judged.filter(|_| root.device.is_none()) {
            page.text(" · device ").code(judged.as_str());
        }
    }
    page.label("Observed").text(sentence(&understood(root.facts, view)));
    page.label("Removed").text(sentence(&removed(root.removed)));
    page
}

/// Why a report was not evaluated, and how an admin gets an answer all the same.
pub fn unasked(by: Option<&UserId>, names: Option<&str>, device: Option<&str>) -> Page {
    let mut page = Page::default();
    let Some(named) = names else {
        page.line()
            .text("The report names no user, so it was not evaluated. Reply to the file with: ")
            .usage("!report @user:server");
        return page;
    };
    page.line().text(format!("The report names {}", clip(named)));
    if let Some(device) = device {
        page.text(" ").code(device);
    }
    match by {
        Some(by) => page.text(format!(" and not {by}, so it was not evaluated.")),
        None => page.text(", which is not a user ID, so it was not evaluated."),
    };
    if let Ok(user) = UserId::parse(named) {
        let device = device.map(|device| format!(" {}", quoted_device(device))).unwrap_or_default();
        page.line()
            .text("To check the server without the report, send: ")
            .command(&format!("!triage {user}{device}"));
    }
    page
}

/// What the files show, most first, and when by the client's clock.
fn understood(facts: &[&ClientFacts], view: &View) -> String {
    let count = |sign| facts.iter().map(|facts| facts.count(sign)).sum::<u64>();
    let mut signs: Vec<_> = Sign::ALL.into_iter().map(|sign| (count(sign), sign)).collect();
    signs.retain(|(count, _)| *count > 0);
    signs.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut said: Vec<_> = signs.iter().map(|(count, sign)| sign.counted(*count)).collect();
    let delays: u64 =
        facts.iter().filter_map(|facts| facts.delays.as_ref()).map(|delays| delays.count).sum();
    if delays > 0 {
        said.push(counted(delays, "delayed event request"));
    }
    if said.is_empty() {
        said.push("no known sign of trouble".into());
    }
    let spans = facts.iter().filter_map(|facts| facts.span);
    let span = spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let when = span
        .map(|(first, last)| format!(". Times by the client's clock: {}", view.span(first, last)));
    format!("{}{}", said.join(", "), when.unwrap_or_default())
}

fn removed(removed: &Removed) -> String {
    match removed.total() {
        0 => "nothing; no secrets were found".into(),
        _ => removed.summary(),
    }
}

/// One remedy for the sender: a user, and no administrator.
fn to_do(page: &mut Page, advice: Safe, facts: &[&ClientFacts]) {
    let device = facts.iter().find_map(|facts| facts.device.as_deref());
    let (before, after, impact) = match advice {
        Safe::Relogin => (
            "Log out of this device",
            " in its settings, then log in again. It gets a new device ID and new keys. Have your recovery key ready \
             before you log out.",
            "Only this device. Verify it again, and restore your messages from the key backup with the recovery key.",
        ),
        Safe::CloseSecondClient => (
            "Use only one client for this session",
            ": close the other tab, or stop the other program that uses the same session.",
            "None.",
        ),
    };
    page.label("Fix").text(before);
    if let Some(device) = device {
        page.text(" (").code(device).text(")");
    }
    page.text(after);
    page.label("Impact").text(impact);
}

fn clip(text: &str) -> String {
    super::page::clip(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::client::Noted;
    use jiff::tz::TimeZone;
    use ruma::user_id;

    fn view() -> View {
        View::in_zone(TimeZone::UTC)
    }

    fn facts(device: &str) -> ClientFacts {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let span = Some((at(0), at(90)));
        let noted = Noted { sign: Sign::AlreadyExists, count: 3, span, key: None };
        let device = Some(device.to_owned());
        ClientFacts { device, span, signs: vec![noted], ..ClientFacts::default() }
    }

    fn receipt_of(advice: Option<Safe>, believed: bool, device: &str) -> crate::render::Reply {
        let facts = facts(device);
        let removed = Removed::default();
        let notes = ["file 2 of the archive was not read: it is damaged".to_owned()];
        let case = Some(12);
        let facts = [&facts];
        let of =
            Receipt { case, facts: &facts, notes: &notes, removed: &removed, believed, advice };
        receipt(&of, &view()).reply()
    }

    #[test]
    fn a_receipt_says_what_was_understood_and_what_to_do() {
        let receipt = receipt_of(Some(Safe::Relogin), true, "DEV");
        assert_eq!(
            receipt.plain,
            "Thank you. Your report is case 12.\n\
             Observed: 3 rejected key uploads. Times by the client's clock: 1970-01-01 00:00:00 to 00:01:30 UTC.\n\
             File 2 of the archive was not read: it is damaged.\n\
             Removed: Nothing; no secrets were found.\n\
             Fix: Log out of this device (DEV) in its settings, then log in again. It gets a new device ID and new \
             keys. Have your recovery key ready before you log out.\n\
             Impact: Only this device. Verify it again, and restore your messages from the key backup with the \
             recovery key."
        );
        let undecided = receipt_of(None, true, "DEV").plain;
        assert!(undecided.ends_with("You do not have to do anything yet."), "{undecided}");
        let foreign = receipt_of(Some(Safe::Relogin), false, "DEV").plain;
        assert!(foreign.contains("a different user") && !foreign.contains("Log out"), "{foreign}");
    }

    #[test]
    fn what_a_file_names_is_never_markup() {
        let hostile = receipt_of(Some(Safe::Relogin), true, "<b>\u{202e}x</b>");
        assert!(
            !hostile.html.contains("<b>") && !hostile.html.contains('\u{202e}'),
            "{}",
            hostile.html
        );
        let by = user_id!("@a:x");
        let page = unasked(Some(by), Some("<img src=x>"), Some("<i>")).reply();
        assert!(!page.html.contains("<i") && !page.plain.contains("!triage"), "{}", page.html);
        let page = unasked(Some(by), Some("@b:x"), Some("MY PHONE")).reply();
        assert!(page.plain.contains("!triage @b:x \"MY PHONE\""), "{}", page.plain);
    }

    #[test]
    fn the_first_message_is_four_lines() {
        let facts = facts("DEV");
        let removed = Removed::default();
        let of = |forwarded, user| Root {
            case: Some(7),
            by: user_id!("@a:x"),
            forwarded,
            user,
            device: Some("DEV"),
            judged: None,
            headline: "the encryption store was wiped",
            verdict: None,
            facts: &[],
            removed: &removed,
        };
        let own = Root { facts: &[&facts], ..of(false, Some(user_id!("@a:x"))) };
        let page = root(&own, &view()).reply().plain;
        let first = page.lines().next().unwrap();
        assert_eq!(first, "Report from @a:x DEV, case 7: The encryption store was wiped.");
        assert!(page.lines().count() <= 4, "{page}");
        let page = root(&of(true, Some(user_id!("@b:x"))), &view()).reply().plain;
        assert!(page.starts_with("Report about @b:x DEV, forwarded by @a:x, case 7: "), "{page}");
    }
}
