//! The full path of a verdict: every question, every answer, every query that was run.

use super::answer::{about, avoid, besides, fix, next, sentence, symptom, verdict_line};
use super::page::{Page, clip};
use super::view::View;
use crate::diagnose::remedy::Advice;
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

/// The verdict, about whom, and over which log window.
pub(super) fn head(page: &mut Page, of: Symptom, subject: &About, verdict: &Verdict, view: &View) {
    verdict_line(page, verdict);
    about(page.line(), subject);
    let certainty = verdict.certainty.title();
    page.line().text(format!("{certainty} · {} · {}", symptom(of), verdict.id.name()));
    if !verdict.id.explanation().is_empty() {
        page.label("Why").text(verdict.id.explanation());
    }
    page.label("Log window").text(view.span(verdict.window.from, verdict.window.to));
}

/// Every step, and what holds besides the verdict.
pub(super) fn walked(page: &mut Page, verdict: &Verdict) {
    for figure in verdict.figures.iter().chain(&verdict.more_figures) {
        page.label(figure.label).text(&figure.text);
    }
    for (number, step) in (1..).zip(&verdict.path) {
        page.gap();
        page.label(&format!("{number}. {}", step.asked)).text(format!(
            "{} {}",
            sentence(step.answer.name()),
            sentence(&step.because)
        ));
        if !step.evidence.is_empty() {
            page.text(format!(" [{}]", step.evidence.join(", ")));
        }
    }
    page.gap();
    verdict.also.iter().for_each(|also| besides(page, also));
    for finding in &verdict.findings {
        page.label("Also").text(sentence(finding));
    }
    for note in &verdict.notes {
        page.label("Log window").text(sentence(note));
    }
    for missing in &verdict.missing {
        next(page, missing);
    }
    for advice in &verdict.remedies {
        page.gap();
        page.label(advice.advice.label());
        in_full(page, advice);
    }
}

/// A remedy with everything there is to say about it, after its label.
pub(super) fn in_full(page: &mut Page, advice: &Advice) {
    let Some(warning) = advice.advice.warning() else {
        return fix(page, advice, advice.blast_radius);
    };
    page.text(sentence(advice.id.avoided()));
    avoid(page, warning, advice.why);
    page.label("Impact").text(sentence(advice.blast_radius));
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
        page.line().text(format!("Not shown: {others} answers for the other questions."));
    }
}
