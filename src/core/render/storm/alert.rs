//! One storm → its first message, the updates in its thread, and its end.

use jiff::SignedDuration;

use super::words::{head, in_all, kind, so_far, whose, whose_now};
use crate::evidence::counted;
use crate::render::answer::sentence;
use crate::render::glyph::{ACTIVE, RESOLVED, UNSETTLED};
use crate::render::page::Page;
use crate::render::plain_replies::lasting;
use crate::render::view::View;
use crate::storm::{Change, Confirmation, Event, StormKind};

/// The reactions that a first message takes.
pub const AGAIN: &str = "🔁";
pub const WHY: &str = "❓";
pub const MUTE: &str = "🔕";
const SIGNED_OUT: &str = "the device was signed out, and its keys were removed with it.";

/// Everything that a message about a storm says.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    pub event: &'a Event,
    pub sure: &'a Confirmation,
    /// The verdict's name and headline, where there is one.
    pub verdict: Option<(&'a str, &'a str)>,
    /// The whole answer of the triage or the survey, for the first message.
    pub answer: Option<Page>,
    /// How long the message waited before it could be sent.
    pub late: Option<SignedDuration>,
    /// For the message at the end.
    pub cured: Cured<'a>,
}

/// Whether the cause of a storm is gone, now that the storm stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cured<'a> {
    Yes,
    /// The device is gone, and its keys with it.
    SignedOut,
    /// What is left, and who should act.
    No(&'a str),
    Unknown,
}

/// The first message about a storm.
pub fn root(alert: &Alert, view: &View) -> Page {
    let mut page = Page::default();
    let unconfirmed = matches!(alert.sure, Confirmation::Unconfirmed(_)).then_some("unconfirmed");
    head(&mut page, active(alert), alert.event, unconfirmed);
    page.text(format!(" · {}", kind(alert.event)));
    whose_now(&mut page, alert.event, view);
    so_far(&mut page, alert.event);
    caveats(&mut page, alert);
    match &alert.answer {
        Some(answer) => page.append(answer.clone()),
        None => verdict(&mut page, alert),
    }
    page.gap();
    page.line().text(format!("{AGAIN} check again · {WHY} why · {MUTE} how to mute"));
    page
}

/// What a storm of several is counted in: of delayed events only the address is known.
fn seen_at(event: &Event) -> String {
    match (event.kind, event.devices) {
        (StormKind::Delay, 1) => "1 address".to_owned(),
        (StormKind::Delay, many) => format!("{many} addresses"),
        (_, many) => counted(many, "device"),
    }
}

/// What is new, in the storm's thread: three lines at the most.
pub fn update(alert: &Alert, view: &View) -> Page {
    let event = alert.event;
    let mut page = Page::default();
    head(&mut page, active(alert), event, Some(news(event.change)));
    whose_now(&mut page, event, view);
    if event.kind != StormKind::Fleet && event.devices > 1 {
        page.text(format!(" · {}", seen_at(event)));
    }
    so_far(&mut page, event);
    verdict(&mut page, alert);
    caveats(&mut page, alert);
    page
}

/// The end, in the storm's thread: how long it took, how much, and whether the cause is gone.
pub fn clear(alert: &Alert, view: &View) -> Page {
    let mut page = end(alert);
    page.label("Observed").text(view.span(alert.event.first, alert.event.last));
    if alert.event.devices > 1 {
        page.text(format!(", on {}", seen_at(alert.event)));
    }
    verdict(&mut page, alert);
    match alert.cured {
        Cured::Yes => page.label("Resolved").text("nothing is left to do."),
        Cured::SignedOut => page.label("Resolved").text(SIGNED_OUT),
        Cured::No(left) => page.label("Not fixed").text(sentence(left)),
        Cured::Unknown => page.label("Unknown").text(format!(
            "it stopped, but that does not mean it is fixed. {AGAIN} on the first message checks again."
        )),
    };
    caveats(&mut page, alert);
    page
}

/// The first message after the end of the storm: how it ended, and below it the newest answer.
pub fn root_cleared(alert: &Alert, view: &View) -> Page {
    let mut page = clear(alert, view);
    if let Some(answer) = &alert.answer {
        page.append(answer.clone());
    }
    page.gap();
    page.line().text(format!("{AGAIN} check again · {WHY} why"));
    page
}

/// The first line of a storm that ended.
fn end(alert: &Alert) -> Page {
    let event = alert.event;
    let (glyph, state) = match alert.cured {
        Cured::Yes | Cured::SignedOut => (RESOLVED, "resolved"),
        Cured::No(_) => (UNSETTLED, "stopped, not fixed"),
        Cured::Unknown => (UNSETTLED, "stopped"),
    };
    let mut page = Page::default();
    head(&mut page, glyph, event, Some(state));
    page.text(format!(" · {}", kind(event)));
    whose(&mut page, event);
    page.text(format!(" · {}", in_all(event)));
    page
}

/// The glyph of a storm that is ongoing: red if the database or a log that cannot be forged confirms it.
fn active(alert: &Alert) -> &'static str {
    if *alert.sure == Confirmation::Confirmed { ACTIVE } else { UNSETTLED }
}

fn verdict(page: &mut Page, alert: &Alert) {
    if let Some((name, headline)) = alert.verdict {
        page.label("Verdict").text(sentence(headline)).text(" (").code(name).text(")");
    }
}

/// Doubts and delays, in one line.
fn caveats(page: &mut Page, alert: &Alert) {
    match alert.sure {
        Confirmation::Confirmed if alert.late.is_none() => return,
        Confirmation::Confirmed => page.line(),
        Confirmation::Unconfirmed(why) => page.label("Unconfirmed").text(sentence(why)),
        Confirmation::Contradicted(why) => {
            page.label("Contradicted by the database").text(sentence(why))
        }
    };
    if let Some(late) = alert.late {
        let space = if *alert.sure == Confirmation::Confirmed { "" } else { " " };
        page.text(format!(
            "{space}Detected {} ago; the alert could not be sent sooner.",
            lasting(late)
        ));
    }
}

fn news(change: Change) -> &'static str {
    match change {
        Change::Started => "started",
        Change::Worse => "10 times as many as in the last alert",
        Change::Spread => "spread to another device",
        Change::Cause => "cause revised",
        Change::Resumed => "ongoing again",
        Change::Ended => "stopped",
    }
}
