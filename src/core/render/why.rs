//! The whole path of a verdict: every question, every answer, every query that was run.

use super::answer::{about, besides, symptom};
use super::page::{Page, clip};
use super::view::View;
use crate::diagnose::verdict::Verdict;
use crate::evidence::{About, Evidence, Symptom};

/// A query longer than this is cut in a message; `evidence.json` has it whole.
const SHOWN_QUERY: usize = 700;

/// Formats everything behind a verdict.
pub fn why(evidence: &Evidence, verdict: &Verdict, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence.symptom, &evidence.subject, verdict, view);
    walked(&mut page, verdict);
    sources(&mut page, evidence, |_| true);
    page
}

/// What was judged, about whom, over which window.
pub(super) fn head(page: &mut Page, of: Symptom, subject: &About, verdict: &Verdict, view: &View) {
    page.line()
        .strong(format!("{} · {} · {}", symptom(of), verdict.certainty.words(), verdict.id.name()))
        .text(" · ");
    about(page, subject);
    page.text(" · ").strong(verdict.id.headline());
    page.label("Window").text(view.span(verdict.window.from, verdict.window.to));
}

/// Every step, and what stands beside the verdict.
pub(super) fn walked(page: &mut Page, verdict: &Verdict) {
    for figure in verdict.figures.iter().chain(&verdict.more_figures) {
        page.label(figure.label).text(&figure.text);
    }
    for (number, step) in (1..).zip(&verdict.path) {
        page.gap();
        page.label(&format!("{number}. {}", step.asked)).text(format!(
            "{}: {}",
            step.answer.name(),
            step.because
        ));
        if !step.evidence.is_empty() {
            page.text(format!(" [{}]", step.evidence.join(", ")));
        }
    }
    page.gap();
    verdict.also.iter().for_each(|also| besides(page, also));
    for finding in &verdict.findings {
        page.label("Also").text(finding);
    }
    for note in &verdict.notes {
        page.label("Read").text(note);
    }
    for missing in &verdict.missing {
        page.label("Missing").text(format!("{}: {}", missing.need, missing.how));
    }
    for advice in &verdict.remedies {
        page.gap();
        let why = advice.why.map(|why| format!(" ({why})")).unwrap_or_default();
        page.label(advice.advice.title()).text(format!(
            "{}{why}. Cost: {}.",
            advice.id.what(),
            advice.blast_radius
        ));
    }
}

/// The sources of these ids with their queries; the others are counted.
pub(super) fn sources(page: &mut Page, evidence: &Evidence, is_shown: impl Fn(&str) -> bool) {
    let mut others = 0;
    for answer in &evidence.gathered {
        if !is_shown(&answer.id) {
            others += 1;
            continue;
        }
        let state = answer.state.name().replace('-', " ");
        page.gap();
        page.label(&answer.id).text(format!("{} · {state}: {}", answer.source, answer.what));
        if !answer.query.is_empty() {
            page.block(clip(&answer.query, SHOWN_QUERY));
        }
    }
    if others > 0 {
        page.gap();
        page.line().text(format!("{others} more answers belong to the other questions."));
    }
}
