//! One storm → its first message, what follows in its thread, and its end.

use jiff::SignedDuration;

use super::words::{head, in_all, kind, so_far, whose, whose_now};
use crate::evidence::counted;
use crate::render::answer::sentence;
use crate::render::page::Page;
use crate::render::plain_replies::lasting;
use crate::render::view::View;
use crate::storm::{Change, Confirmation, Event, StormKind};

/// The reactions that a first message takes.
pub const AGAIN: &str = "🔁";
pub const WHY: &str = "❓";
pub const MUTE: &str = "🔕";
const SIGNED_OUT: &str = "yes; the device was signed out, and its keys are gone with it.";

/// Everything a message about a storm says beside the verdict.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    pub event: &'a Event,
    pub sure: &'a Confirmation,
    /// The verdict's name and headline, where there is one.
    pub verdict: Option<(&'a str, &'a str)>,
    /// The whole answer of the triage or the survey, for the first message.
    pub answer: Option<Page>,
    /// It was raised so long before it could be sent.
    pub late: Option<SignedDuration>,
    /// For the all-clear.
    pub cured: Cured<'a>,
}

/// Whether what caused a storm is gone, now that it is silent.
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
    head(&mut page, alert.event, unconfirmed);
    page.text(format!(" · {}", kind(alert.event)));
    whose_now(&mut page, alert.event, view);
    so_far(&mut page, alert.event);
    caveats(&mut page, alert);
    match &alert.answer {
        Some(answer) => page.append(answer.clone()),
        None => verdict(&mut page, alert),
    }
    page.gap();
    page.line().text(format!("{AGAIN} run again · {WHY} why · {MUTE} how to mute"));
    page
}

/// What is new of it, in its thread: three lines at the most.
pub fn update(alert: &Alert, view: &View) -> Page {
    let event = alert.event;
    let mut page = Page::default();
    head(&mut page, event, Some(news(event.change)));
    whose_now(&mut page, event, view);
    if event.kind != StormKind::Fleet && event.devices > 1 {
        page.text(format!(" · {}", counted(event.devices, "device")));
    }
    so_far(&mut page, event);
    verdict(&mut page, alert);
    caveats(&mut page, alert);
    page
}

/// It is over, in its thread: how long it was, how much, and whether that cured it.
pub fn clear(alert: &Alert, view: &View) -> Page {
    let mut page = over(alert.event);
    page.label("Seen").text(view.span(alert.event.first, alert.event.last));
    if alert.event.devices > 1 {
        page.text(format!(", on {}", counted(alert.event.devices, "device")));
    }
    verdict(&mut page, alert);
    match alert.cured {
        Cured::Yes => page.label("Cured").text("yes; nothing is left to do."),
        Cured::SignedOut => page.label("Cured").text(SIGNED_OUT),
        Cured::No(left) => page.label("Not cured").text(sentence(left)),
        Cured::Unknown => page.label("Cured").text(format!(
            "unknown; silence alone is no cure. {AGAIN} on the first message looks again."
        )),
    };
    caveats(&mut page, alert);
    page
}

/// The first message as it reads once the storm is over: the all-clear, and below it the newest answer.
pub fn root_cleared(alert: &Alert, view: &View) -> Page {
    let mut page = clear(alert, view);
    if let Some(answer) = &alert.answer {
        page.append(answer.clone());
    }
    page.gap();
    page.line().text(format!("{AGAIN} run again · {WHY} why"));
    page
}

/// The head of a storm that is over.
fn over(event: &Event) -> Page {
    let mut page = Page::default();
    head(&mut page, event, Some("over"));
    page.text(format!(" · {}", kind(event)));
    whose(&mut page, event);
    page.text(format!(" · {}", in_all(event)));
    page
}

fn verdict(page: &mut Page, alert: &Alert) {
    if let Some((name, headline)) = alert.verdict {
        page.label("Verdict").text(sentence(headline)).text(" (").code(name).text(")");
    }
}

/// What to know before believing it, in one line.
fn caveats(page: &mut Page, alert: &Alert) {
    match alert.sure {
        Confirmation::Confirmed if alert.late.is_none() => return,
        Confirmation::Confirmed => page.line(),
        Confirmation::Unconfirmed(why) => page.label("Unconfirmed").text(sentence(why)),
        Confirmation::Contradicted(why) => {
            page.label("The database says otherwise").text(sentence(why))
        }
    };
    if let Some(late) = alert.late {
        let space = if *alert.sure == Confirmation::Confirmed { "" } else { " " };
        page.text(format!("{space}Raised {} ago: I could not send it sooner.", lasting(late)));
    }
}

fn news(change: Change) -> &'static str {
    match change {
        Change::Started => "began",
        Change::Worse => "ten times as many",
        Change::Spread => "spread to another device",
        Change::Cause => "another cause than told",
        Change::Resumed => "back again",
        Change::Ended => "over",
    }
}
