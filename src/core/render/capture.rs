//! A capture session → its checklist, the messages in its thread, and its marks for the bundle.

use super::page::Page;
use super::view::View;
use crate::capture::{Doer, End, Item, MOST_MARKS, Note, Reminder, Said, Session, Step};

/// The checklist: one message during the session, edited as steps are ticked.
pub fn checklist(session: &Session, number: u64, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, session, number);
    match session.ended {
        None => page.text(format!(" · until {}", view.moment(session.until))),
        Some((at, _)) => page.text(format!(" · ended {}", view.moment(at))),
    };
    let own = session.items.iter().filter(|item| item.step.doer() == Doer::Bot);
    let own: Vec<_> = own.map(|item| format!("{} {}", tick(item), item.step.words())).collect();
    page.label("Kestrel does").text(own.join(" · "));
    for note in &session.notes {
        if let Note::Clocks { source, millis, .. } = note {
            page.label("Clocks").text(format!("{source} {}", skew(*millis)));
        }
    }
    page.gap();
    for item in session.items.iter().filter(|item| item.step.doer() == Doer::Person) {
        let button = item.step.button().unwrap_or_default();
        page.line().text(format!("{button} {} {}", tick(item), item.step.words()));
    }
    if session.ended.is_none() {
        page.gap();
        page.line().text("React with a number to tick that step. ");
        page.usage("!capture mark audio cut").text(" marks a moment. ");
        page.usage("!capture stop").text(" ends the capture.");
    }
    page
}

fn head(page: &mut Page, session: &Session, number: u64) {
    page.line().strong(format!("Capture {number}")).text(" · ");
    page.code(session.asked.user.as_str());
    if let Some(device) = &session.asked.device {
        page.text(" ").code(device.as_str());
    }
}

fn tick(item: &Item) -> &'static str {
    if item.ticked.is_some() { "☑" } else { "☐" }
}

fn skew(millis: i64) -> String {
    match millis {
        0 => "agrees with Kestrel's clock".to_owned(),
        1.. => format!("is {millis} ms ahead of Kestrel's clock"),
        _ => format!("is {} ms behind Kestrel's clock", millis.unsigned_abs()),
    }
}

/// What happened, in its thread; nothing if the checklist says it.
pub fn said(said: &Said, session: &Session, number: u64, view: &View) -> Option<Page> {
    let mut page = Page::default();
    match said {
        Said::Began => return None,
        Said::Marked(which) => {
            let mark = which.checked_sub(1).and_then(|at| session.marks.get(at))?;
            page.line().strong(format!("Mark {which}")).text(format!(
                " · {} · {}",
                view.moment(mark.at),
                mark.text
            ));
        }
        Said::MarksFull => {
            page.line().text(format!(
                "This mark was not saved: the capture has reached its limit of {MOST_MARKS} marks. The earlier \
                 marks are saved."
            ));
        }
        Said::WentOn(away) => {
            let seconds = away.as_secs();
            page.line().text(format!(
                "Kestrel was offline for {seconds} s. The capture continues. The logs of that time are read at the \
                 end. To-device messages that were delivered in that time were not seen."
            ));
        }
        Said::IsOver => {
            page.line().text(format!("Capture {number} has ended."));
        }
        Said::Ended(end) => {
            let why = match end {
                End::Stopped => "stopped",
                End::Length => "ended: its time is up",
                End::Abandoned => {
                    "ended: its time is up, and nobody ticked, marked or sent anything. It looks abandoned"
                }
            };
            head(&mut page, session, number);
            page.text(format!(
                " · {why}. Kestrel now evaluates the log window and posts the bundle."
            ));
            let open = |step: Step| {
                session.items.iter().any(|item| item.step == step && item.ticked.is_none())
            };
            if open(Step::RevertLoggers) {
                let button = Step::RevertLoggers.button().unwrap_or_default();
                page.line().text(format!("{button} {}", Step::RevertLoggers.words()));
            }
        }
    }
    Some(page)
}

/// A reminder of what people forget; nothing if the checklist or the end says it.
pub fn reminder(reminder: Reminder, session: &Session, view: &View) -> Option<Page> {
    let Reminder::EndsSoon = reminder else { return None };
    let mut page = Page::default();
    let until = view.moment(session.until);
    page.line().text(format!("This capture ends at {until}. Mark each failure before then."));
    Some(page)
}

/// The marks, the clocks and the log positions, as a page for the bundle.
pub fn marks(session: &Session, number: u64, notes: &[String], view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, session, number);
    let window = session.window();
    page.text(format!(" · {}", view.span(window.from, window.to)));
    page.line().text(format!("Started by {}.", session.asked.by));
    page.gap();
    for (at, mark) in (1..).zip(&session.marks) {
        let moment = view.moment(mark.at);
        page.line().strong(format!("Mark {at}")).text(format!(" · {moment} · {} · ", mark.by));
        page.text(&mark.text);
    }
    page.gap();
    for note in &session.notes {
        match note {
            Note::Place { at, source, position } => {
                page.line().text(format!("{} · read position of {source}: ", view.moment(*at)));
                page.text(position);
            }
            Note::Clocks { at, source, millis } => {
                page.line().text(format!("{} · {source} {}", view.moment(*at), skew(*millis)));
            }
        }
    }
    for item in session.items.iter().filter(|item| item.ticked.is_some()) {
        let by = item.by.as_ref().map_or("Kestrel", |by| by.as_str());
        let at = item.ticked.map(|at| view.moment(at)).unwrap_or_default();
        page.line().text(format!("{at} · ticked by {by}: {}", item.step.words()));
    }
    page.gap();
    for note in notes {
        page.line().text(format!("• {note}"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{CaptureRequest, Input};
    use jiff::{SignedDuration, Timestamp};
    use ruma::user_id;

    #[test]
    fn a_checklist_shows_what_is_ticked_and_nothing_foreign_is_markup() {
        let now = Timestamp::from_second(1_763_820_000).unwrap();
        let user = user_id!("@a:example.org").to_owned();
        let length = SignedDuration::from_mins(30);
        let asked = CaptureRequest {
            user: user.clone(),
            device: Some("D<b>".into()),
            by: user.clone(),
            length,
        };
        let (mut session, _) = Session::begin(asked, now);
        let view = View::in_zone(jiff::tz::TimeZone::UTC);
        let page = checklist(&session, 3, &view).reply();
        assert!(page.plain.starts_with("Capture 3 · @a:example.org D<b> · until "));
        assert!(page.plain.contains("1️⃣ ☐ On the server") && !page.html.contains("<b>"));
        session.take(Input::Ticked { step: Step::RaiseLoggers, by: user.clone() }, now);
        session.take(Input::Clocks { source: "database".into(), millis: -1500 }, now);
        session.take(Input::Marked { text: "<b>audio</b>".into(), by: user.clone() }, now);
        let page = checklist(&session, 3, &view).reply();
        assert!(page.plain.contains("1️⃣ ☑ On the server"), "{}", page.plain);
        assert!(
            page.plain.contains("database is 1500 ms behind Kestrel's clock"),
            "{}",
            page.plain
        );
        let told = said(&Said::Marked(1), &session, 3, &view).unwrap().reply();
        assert!(!told.html.contains("<b>") && told.plain.ends_with("<b>audio</b>"), "{told:?}");
        session.take(Input::Stopped { by: user }, now);
        let told = said(&Said::Ended(End::Stopped), &session, 3, &view).unwrap().reply();
        assert!(told.plain.contains("9️⃣ On the server: set the logger back"), "{}", told.plain);
        assert!(marks(&session, 3, &[], &view).markdown().contains("Mark 1"));
    }
}
