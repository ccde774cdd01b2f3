//! Storms and mutes → lists: which storms are ongoing, which ended, which started and ended while Kestrel was offline,
//! and which alerts were not sent.

use jiff::Timestamp;

use super::words::{in_all, kind, minute, name, so_far, whose, whose_now};
use crate::render::answer::sentence;
use crate::render::page::Page;
use crate::render::view::View;
use crate::storm::{Confirmation, Event, Mute, Muted};

/// Storms that a summary names; the rest is counted, so that it has eight lines at the most.
const NAMED: usize = 6;
/// Storms and mutes that a list shows of each kind.
const LISTED: usize = 8;

/// A storm as the list shows it.
#[derive(Debug, Clone, Copy)]
pub struct ListedStorm<'a> {
    pub event: &'a Event,
    pub verdict: Option<&'a str>,
    pub sure: Option<&'a Confirmation>,
    /// Where its thread is.
    pub root: Option<&'a str>,
}

/// Storms that started and ended while Kestrel was offline, worst first.
pub fn summary(ended: &[Event], from: Timestamp, to: Timestamp, view: &View) -> Page {
    let mut page = Page::default();
    let many = match ended.len() {
        0 => "no storm both started and ended.".to_owned(),
        1 => "1 storm started and ended:".to_owned(),
        count => format!("{count} storms started and ended:"),
    };
    page.line().text(format!("While Kestrel was offline ({}), {many}", view.span(from, to)));
    let mut worst: Vec<_> = ended.iter().collect();
    worst.sort_by_key(|event| std::cmp::Reverse((event.devices, event.count)));
    for event in worst.iter().take(NAMED) {
        past(&mut page, event, None, view);
    }
    more(&mut page, ended.len(), NAMED);
    page
}

/// Which storms are ongoing, which ended recently, and what is muted.
pub fn list(going_on: &[ListedStorm], ended: &[ListedStorm], mutes: &[Mute], view: &View) -> Page {
    list_at_most(LISTED, going_on, ended, mutes, view)
}

/// The same list, with at most so many of each kind.
pub fn list_at_most(
    most: usize,
    going_on: &[ListedStorm],
    ended: &[ListedStorm],
    mutes: &[Mute],
    view: &View,
) -> Page {
    let mut page = Page::default();
    page.line().text(match going_on.len() {
        0 => "No ongoing storms.".to_owned(),
        1 => "1 ongoing storm:".to_owned(),
        count => format!("{count} ongoing storms:"),
    });
    for storm in going_on.iter().take(most) {
        name(page.line(), storm.event, storm.root);
        page.text(format!(" · {}", kind(storm.event)));
        whose_now(&mut page, storm.event, view);
        so_far(&mut page, storm.event);
        page.text(format!(" · since {}", minute(storm.event.first, view)));
        known(&mut page, storm);
    }
    more(&mut page, going_on.len(), most);
    if !ended.is_empty() {
        page.gap();
        page.line().text("Ended recently:");
    }
    for storm in ended.iter().take(most) {
        past(&mut page, storm.event, storm.root, view);
        known(&mut page, storm);
    }
    more(&mut page, ended.len(), most);
    if !mutes.is_empty() {
        page.gap();
    }
    for mute in mutes.iter().take(most) {
        page.label("Muted");
        what(&mut page, &mute.what);
        page.text(format!(" until {}, by ", minute(mute.until, view))).code(&mute.by);
    }
    more(&mut page, mutes.len(), most);
    page
}

/// Alerts were muted.
pub fn muted(mute: &Mute, view: &View) -> Page {
    let mut page = Page::default();
    page.line().text(format!("Muted until {}: ", minute(mute.until, view)));
    what(&mut page, &mute.what);
    page.text(", by ").code(&mute.by);
    page.text(". Counting continues; ").usage("!storms").text(" lists ongoing storms.");
    page
}

/// A mute was removed.
pub fn unmuted(muted: &Muted) -> Page {
    let mut page = Page::default();
    page.line().text("No longer muted: ");
    what(&mut page, muted);
    page.text(".");
    page
}

/// A storm that ended, in one line.
fn past(page: &mut Page, event: &Event, root: Option<&str>, view: &View) {
    name(page.line(), event, root);
    page.text(format!(" · {}", kind(event)));
    whose(page, event);
    page.text(format!(" · {}, ended {}", in_all(event), minute(event.last, view)));
}

/// The verdict on a storm, and whether it is confirmed.
fn known(page: &mut Page, storm: &ListedStorm) {
    if let Some(verdict) = storm.verdict {
        page.text(" · ").code(verdict);
    }
    match storm.sure {
        Some(Confirmation::Unconfirmed(_)) => page.text(" · unconfirmed"),
        Some(Confirmation::Contradicted(_)) => page.text(" · contradicted by the database"),
        Some(Confirmation::Confirmed) | None => page,
    };
}

fn what(page: &mut Page, muted: &Muted) {
    match muted {
        Muted::Storm(number) => page.text(format!("storm {number}")),
        Muted::User(user) => page.code(user.as_str()),
        Muted::All => page.text("all storms"),
    };
}

fn more(page: &mut Page, count: usize, shown: usize) {
    if count > shown {
        page.line().text(format!("and {} more", count - shown));
    }
}

/// Alerts that were not sent, because the database has no such device, or another server has the user.
pub fn dropped(storms: &[ListedStorm], view: &View) -> Page {
    let mut page = Page::default();
    if storms.is_empty() {
        return page;
    }
    page.gap();
    page.line().text("Alerts not sent:");
    for storm in storms.iter().take(LISTED) {
        name(page.line(), storm.event, storm.root);
        page.text(format!(" · {}", kind(storm.event)));
        whose(&mut page, storm.event);
        page.text(format!(" · {}", view.span(storm.event.first, storm.event.last)));
        if let Some(Confirmation::Contradicted(why)) = storm.sure {
            page.text(format!(" · {}", sentence(why)));
        }
    }
    more(&mut page, storms.len(), LISTED);
    page
}
