//! A user's report → its first message in the ops room, and the receipt that its sender gets.
//!
//! The receipt is made from what the sender's own file says, and from one word on what to do: nothing that
//! the server holds passes through here. Everything in a file is foreign.

use ruma::{DeviceId, UserId};

use super::View;
use super::answer::sentence;
use super::page::Page;
use crate::diagnose::advice::Safe;
use crate::diagnose::remedy::Remedy;
use crate::diagnose::verdict::Verdict;
use crate::evidence::client::Sign;
use crate::evidence::redaction::Removed;
use crate::evidence::{ClientFacts, counted};

/// Parts that were not read, told in a receipt.
const NOTES: usize = 3;

/// What its sender is told of a report. It has no room for anything that the server says.
#[derive(Debug)]
pub struct Receipt<'a> {
    /// None where the case could not be kept.
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
    /// Who sent it, or handed it on.
    pub by: &'a UserId,
    pub forwarded: bool,
    /// Whom and what it is about, as far as that is believed.
    pub user: Option<&'a UserId>,
    pub device: Option<&'a str>,
    /// The device that was judged: chosen where the report names none.
    pub judged: Option<&'a DeviceId>,
    pub headline: &'a str,
    pub verdict: Option<&'a Verdict>,
    pub facts: &'a [&'a ClientFacts],
    pub removed: &'a Removed,
}

/// What the sender is told: short, for a phone.
pub fn receipt(receipt: &Receipt<'_>, view: &View) -> Page {
    let mut page = Page::default();
    page.line().text("Thank you. ");
    match receipt.case {
        Some(number) => page.text("Your report is ").strong(format!("case {number}")).text("."),
        None => page.text("Your report was handed on."),
    };
    page.label("Understood").text(sentence(&understood(receipt.facts, view)));
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
            "It names another user than you, so it was not judged. An administrator sees it.",
        );
        return page;
    }
    match receipt.advice {
        Some(advice) => to_do(&mut page, advice, receipt.facts),
        None => {
            page.line()
                .text("An administrator sees it now. There is nothing that you should do yet.");
        }
    }
    page
}

/// What the ops room sees first: four lines at the most.
pub fn root(root: &Root<'_>, view: &View) -> Page {
    let mut page = Page::default();
    let what = if root.forwarded { "Report forwarded by" } else { "Report from" };
    page.line().strong(what).text(format!(" {}", root.by));
    match (root.user.filter(|_| root.forwarded), root.device) {
        (Some(user), Some(device)) => page.text(format!(" ({user} ")).code(device).text(")"),
        (Some(user), None) => page.text(format!(" ({user})")),
        (None, Some(device)) => page.text(" (").code(device).text(")"),
        (None, None) => &mut page,
    };
    if let Some(number) = root.case {
        page.text(", ").strong(format!("case {number}"));
    }
    page.text(": ").strong(sentence(root.headline));
    if let Some(verdict) = root.verdict {
        page.label("Verdict").text(format!("{}, {}", verdict.id.name(), verdict.certainty.words()));
        if let Some(judged) = root.judged.filter(|_| root.device.is_none()) {
            page.text(", of device ").code(judged.as_str());
        }
    }
    page.label("It shows").text(sentence(&understood(root.facts, view)));
    page.label("Removed").text(sentence(&removed(root.removed)));
    page
}

/// Why nothing was asked for a report, and how an admin asks all the same.
pub fn unasked(by: Option<&UserId>, names: Option<&str>, device: Option<&str>) -> Page {
    let mut page = Page::default();
    let Some(named) = names else {
        page.line()
            .text("The report names no user. Say whose it is: ")
            .usage("!report @user:server");
        return page;
    };
    page.line().text(format!("The report names {} ", clip(named)));
    if let Some(device) = device {
        page.code(device).text(" ");
    }
    match by {
        Some(by) => page.text(format!("and is {by}'s: not believed. Nothing was asked for it.")),
        None => page.text("which is no user id: not believed. Nothing was asked for it."),
    };
    if let Ok(user) = UserId::parse(named) {
        let device = device.map(|device| format!(" {}", quoted(device))).unwrap_or_default();
        page.line().text("The server alone says more: ").code(format!("!triage {user}{device}"));
    }
    page
}

/// What the files show, most first, and when by the client's clock.
fn understood(facts: &[&ClientFacts], view: &View) -> String {
    let count = |sign| facts.iter().map(|facts| facts.count(sign)).sum::<u64>();
    let mut signs: Vec<_> = Sign::ALL.into_iter().map(|sign| (count(sign), sign)).collect();
    signs.retain(|(count, _)| *count > 0);
    signs.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut said: Vec<_> =
        signs.iter().map(|(count, sign)| format!("{count} × {}", sign.words())).collect();
    let delays: u64 =
        facts.iter().filter_map(|facts| facts.delays.as_ref()).map(|delays| delays.count).sum();
    if delays > 0 {
        said.push(format!("{delays} requests on delayed events"));
    }
    if said.is_empty() {
        said.push("it was read, and shows no sign of trouble that I know".into());
    }
    let spans = facts.iter().filter_map(|facts| facts.span);
    let span = spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let when = span.map(|(first, last)| format!("; {}", view.span(first, last)));
    format!("{}{}", said.join(", "), when.unwrap_or_default())
}

fn removed(removed: &Removed) -> String {
    match removed.total() {
        0 => "nothing secret was found in it".into(),
        _ => removed.told(),
    }
}

fn to_do(page: &mut Page, advice: Safe, facts: &[&ClientFacts]) {
    let device = facts.iter().find_map(|facts| facts.device.as_deref());
    let remedy = match advice {
        Safe::Relogin => Remedy::Relogin,
        Safe::CloseSecondClient => Remedy::CloseSecondClient,
    };
    page.label("What to do now").text(sentence(remedy.what()));
    if let Some(device) = device {
        page.text(" That device is ").code(device).text(".");
    }
    if advice == Safe::Relogin {
        page.label("Before that").text("have your recovery key at hand.");
    }
    page.label("Cost").text(sentence(remedy.blast_radius()));
}

fn quoted(device: &str) -> String {
    match device.contains(char::is_whitespace) {
        true => format!("\"{device}\""),
        false => device.to_owned(),
    }
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
        View::of(TimeZone::UTC)
    }

    fn facts(device: &str) -> ClientFacts {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let span = Some((at(0), at(90)));
        let noted = Noted { sign: Sign::AlreadyExists, count: 3, span, key: None };
        let device = Some(device.to_owned());
        ClientFacts { device, span, signs: vec![noted], ..ClientFacts::default() }
    }

    fn told(advice: Option<Safe>, believed: bool, device: &str) -> super::super::Reply {
        let (facts, removed) = (facts(device), Removed::default());
        let notes = ["file 2 of the archive was not read: it is torn".to_owned()];
        let (case, facts) = (Some(12), [&facts]);
        let of =
            Receipt { case, facts: &facts, notes: &notes, removed: &removed, believed, advice };
        receipt(&of, &view()).reply()
    }

    #[test]
    fn a_receipt_says_what_was_understood_and_what_to_do() {
        let receipt = told(Some(Safe::Relogin), true, "DEV");
        assert_eq!(
            receipt.plain,
            "Thank you. Your report is case 12.\n\
             Understood: 3 × an upload refused; 1970-01-01 00:00:00 to 00:01:30 UTC.\n\
             File 2 of the archive was not read: it is torn.\n\
             Removed: Nothing secret was found in it.\n\
             What to do now: Log this one device out (a real logout), then in again: it gets a new device id \
             and new keys. That device is DEV.\n\
             Before that: have your recovery key at hand.\n\
             Cost: That device only; verify it again; restore room keys from backup to read old history."
        );
        let undecided = told(None, true, "DEV").plain;
        assert!(undecided.ends_with("There is nothing that you should do yet."), "{undecided}");
        let foreign = told(Some(Safe::Relogin), false, "DEV").plain;
        assert!(
            foreign.contains("another user than you") && !foreign.contains("Log this"),
            "{foreign}"
        );
    }

    #[test]
    fn what_a_file_names_is_never_markup() {
        let hostile = told(Some(Safe::Relogin), true, "<b>\u{202e}x</b>");
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
        let (facts, removed) = (facts("DEV"), Removed::default());
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
        assert_eq!(first, "Report from @a:x (DEV), case 7: The encryption store was wiped.");
        assert!(page.lines().count() <= 4, "{page}");
        let page = root(&of(true, Some(user_id!("@b:x"))), &view()).reply().plain;
        assert!(page.starts_with("Report forwarded by @a:x (@b:x DEV), case 7: "), "{page}");
    }
}
