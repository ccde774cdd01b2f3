//! Who is affected → an answer for a phone.

use super::View;
use super::answer::{about, symptom};
use super::page::Page;
use crate::diagnose::Fleet;
use crate::evidence::{Evidence, Symptom};

/// Formats the survey for a phone.
pub fn fleet(evidence: &Evidence, fleet: &Fleet, view: &View) -> Page {
    let mut page = Page::default();
    page.line().strong(format!("{} · ", symptom(Symptom::Fleet)));
    about(&mut page, &evidence.subject);
    page.label("Window").text(view.span(fleet.window.from, fleet.window.to));
    page
}

/// Everybody affected, and every query.
pub fn fleet_why(evidence: &Evidence, fleet: &Fleet, view: &View) -> Page {
    let mut page = self::fleet(evidence, fleet, view);
    super::why::sources(&mut page, evidence);
    page
}
