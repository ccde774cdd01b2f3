//! The answer in the thread. The first line is the verdict and what to do, in everyday words, so that it makes sense
//! alone on a lock screen; then who, how certain, and the details.

use super::glyph::{UNDECIDED, glyph};
use super::page::Page;
use super::view::View;
use crate::diagnose::remedy::{Advice, Recommendation};
use crate::diagnose::verdict::{Answer, Missing, Storm, Verdict};
use crate::diagnose::verdict_row::VerdictKind;
use crate::diagnose::{Also, Certainty};
use crate::evidence::{About, Evidence, Need, State, Symptom, counted};

/// The most lines an answer has. Each fix has its impact on its own line, which the twelve of 0.1.0 had no room
/// for.
pub const LINES: usize = 16;
/// Questions without an answer that a phone shows.
const UNKNOWN: usize = 2;

/// Formats a verdict for a phone.
pub fn answer(evidence: &Evidence, verdict: &Verdict, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence, verdict, view);
    page.gap();
    if let Some(storm) = &verdict.storm {
        observed(&mut page, storm);
        state(&mut page, storm, view);
        uploaded(&mut page, storm, view);
    }
    for figure in &verdict.figures {
        page.label(figure.label).text(&figure.text);
    }
    page.gap();
    why(&mut page, verdict);
    path(&mut page, verdict);
    page.gap();
    remedies(&mut page, verdict);
    page.gap();
    besides_verdict(&mut page, verdict, view);
    cut_short(&mut page, evidence, verdict);
    page.line().code(view.why).text(" shows every step and every query.");
    page
}

/// Who, and how certain, under the first line.
fn head(page: &mut Page, evidence: &Evidence, verdict: &Verdict, view: &View) {
    verdict_line(page, verdict);
    about(page.line(), &evidence.subject);
    page.line().text(format!("{} · {}", verdict.certainty.title(), symptom(evidence.symptom)));
    if let Some(storm) = &verdict.storm {
        page.text(format!(" · {}", rejected(storm, view)));
    } else if evidence.symptom != Symptom::Ke3 {
        let window = view.span(verdict.window.from, verdict.window.to);
        page.text(format!(" · log window {window}"));
    }
}

/// The first line: what a notification shows.
pub(super) fn verdict_line(page: &mut Page, verdict: &Verdict) {
    let kind = verdict.id.kind();
    let needs: Vec<_> = verdict.missing.iter().map(|missing| missing.need.as_str()).collect();
    let needs = needs.join(", ");
    let stopped = verdict.storm.as_ref().is_some_and(|storm| !storm.goes_on);
    let glyph = glyph(kind, verdict.certainty, stopped);
    let is_settled = needs.is_empty() || verdict.certainty == Certainty::Proven;
    let action = if is_settled { verdict.id.action() } else { "" };
    let said = format!("{} {action}", verdict.id.headline());
    page.line().text(format!("{glyph} ")).strong(said.trim_end());
    if is_settled {
        return;
    }
    if verdict.certainty == Certainty::NotEnoughEvidence {
        page.text(format!(" Needed: {needs}."));
    } else if kind == VerdictKind::Trouble {
        page.text(format!(" Not proven. Needed: {needs}."));
    }
}

/// The first line of several branches of which none is decided, or none is in trouble.
pub(super) fn undecided_line(page: &mut Page, said: &str) {
    page.line().text(format!("{UNDECIDED} ")).strong(said);
}

/// What the question is about.
pub(super) fn about(page: &mut Page, subject: &About) {
    let (user, device, event) = subject.ids();
    if let Some(user) = user {
        page.text(user.as_str());
    }
    if let Some(device) = device {
        page.text(" ").code(device.as_str());
    }
    if let Some(event) = event {
        page.text(if user.is_some() { " " } else { "" }).code(event.as_str());
    }
    if let Some(sender) = subject.sender() {
        page.text(format!(" from {sender}"));
    }
    if let About::Server(subject) = subject {
        page.text(subject.server.as_ref().map_or("this server", |server| server.as_str()));
    }
}

/// The symptom as people name it.
pub(super) fn symptom(symptom: Symptom) -> &'static str {
    match symptom {
        Symptom::Ke1 => "KE-1",
        Symptom::Ke2 => "KE-2",
        Symptom::Ke3 => "KE-3",
        Symptom::Ke4 => "KE-4",
        Symptom::All => "Triage",
        Symptom::Fleet => "Fleet",
    }
}

/// How many uploads were rejected, and when.
fn rejected(storm: &Storm, view: &View) -> String {
    let span = storm.span;
    let count = counted(span.count, "rejected upload");
    let when = view.span(span.first, span.last);
    match (span.count, storm.goes_on) {
        (1, _) => format!("{count}, {when}"),
        (_, true) => format!("{count}, {when}, ongoing"),
        (_, false) => format!("{count}, {when}, stopped"),
    }
}

/// The key that the rejected uploads are about, and their rate.
fn observed(page: &mut Page, storm: &Storm) {
    let uploads = counted(storm.span.count, "rejected upload");
    page.label("Observed").text(format!("{uploads} of ")).code(&storm.key);
    if storm.more_keys > 0 {
        page.text(format!(" and {}", counted(storm.more_keys as u64, "more key")));
    }
    if let Some(rate) = storm.rate {
        page.text(format!(", {}", rate_words(rate)));
    }
    page.text(".");
}

/// Whether the conflict still exists.
fn state(page: &mut Page, storm: &Storm, view: &View) {
    if let Some(span) = storm.too_large {
        let uploads = counted(span.count, "upload");
        let when = view.span(span.first, span.last);
        page.label("Active").text(format!(
            "the server now rejects its uploads as too many (M_TOO_LARGE): {uploads}, {when}."
        ));
        return claimed(page, storm);
    }
    match (storm.row_stands, storm.claimed) {
        (Some(true), _) => {
            page.label("Active").text("the conflicting key is still on the server.");
        }
        (Some(false), Some(at)) => {
            let at = view.moment(at);
            page.label("Conflicting key")
                .text(format!("claimed at {at}. That alone does not fix the device."));
        }
        (Some(false), None) => {
            page.label("Conflicting key")
                .text("no longer on the server. That alone does not fix the device.");
        }
        (None, _) => {
            page.label("Unknown");
            page.text("whether the conflicting key is still on the server: the stored keys could not be read.");
        }
    }
    claimed(page, storm);
}

fn claimed(page: &mut Page, storm: &Storm) {
    if let Some(claimed) = storm.claimed_keys() {
        page.text(format!(" {claimed}."));
    }
}

/// A rate with its unit.
pub(super) fn rate_words(rate: f64) -> String {
    match rate {
        rate if rate >= 1.0 => format!("{rate:.1} per second"),
        rate if rate * 60.0 >= 1.0 => format!("{:.1} per minute", rate * 60.0),
        rate => format!("{:.1} per hour", rate * 3600.0),
    }
}

/// Where the conflicting key came from.
fn uploaded(page: &mut Page, storm: &Storm, view: &View) {
    let Some(born) = storm.born else { return };
    page.label("Conflicting key uploaded").text(view.moment(born));
    if let Some((agent, address)) = &storm.born_by {
        if let Some(agent) = agent {
            page.text(" by ").code(agent);
        }
        if let Some(address) = address {
            page.text(" from ").code(address);
        }
    }
}

/// What happened, and the reasons for the verdict.
fn why(page: &mut Page, verdict: &Verdict) {
    if verdict.id.explanation().is_empty() && verdict.because.is_empty() {
        return;
    }
    let reasons = verdict.because.iter().map(|reason| sentence(reason));
    let explanation = Some(verdict.id.explanation().to_owned()).filter(|text| !text.is_empty());
    let sentences: Vec<_> = explanation.into_iter().chain(reasons).collect();
    page.label("Why").text(sentences.join(" "));
}

/// The questions that led to the verdict. What else was answered with no is in `!why`.
fn path(page: &mut Page, verdict: &Verdict) {
    let yes = verdict.path.iter().filter(|step| step.answer == Answer::Yes);
    let mut steps: Vec<_> = yes.map(|step| step.question.to_owned()).collect();
    // A no that ended the walk decided it.
    if let Some(last) = verdict.path.last().filter(|step| step.answer == Answer::No) {
        steps.push(format!("{}: no", last.question));
    }
    if !steps.is_empty() {
        let asked = counted(verdict.path.len() as u64, "question");
        page.label("Path").text(format!("{} ({asked})", steps.join(" → ")));
    }
}

/// The fixes with their impact, and what to avoid.
pub(super) fn remedies(page: &mut Page, verdict: &Verdict) {
    act(page, verdict);
    for advice in &verdict.remedies {
        let Some(warning) = advice.advice.warning() else { continue };
        page.label(advice.advice.label()).text(sentence(advice.id.avoided()));
        avoid(page, warning, advice.why);
        page.text(format!(" Impact: {}", sentence(advice.id.reach())));
    }
}

/// Why a remedy is to be avoided.
pub(super) fn avoid(page: &mut Page, warning: &str, why: Option<&str>) {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    page.text(format!(" {}", sentence(&format!("{warning}{why}"))));
}

/// The one or two fixes, each with its impact.
pub(super) fn act(page: &mut Page, verdict: &Verdict) {
    let advised = |advised| {
        let of = move |advice: &&Advice| advice.advice == advised;
        verdict.remedies.iter().filter(of)
    };
    let recommended: Vec<_> = advised(Recommendation::Recommended).take(2).collect();
    let possible = advised(Recommendation::Possible).take(1).collect();
    let fixes = if recommended.is_empty() { possible } else { recommended };
    for advice in fixes {
        page.label("Fix");
        fix(page, advice, advice.id.reach());
    }
}

/// What to do, and its impact on its own line.
pub(super) fn fix(page: &mut Page, advice: &Advice, impact: &str) {
    page.text(sentence(advice.id.what()));
    if let Some(why) = advice.why {
        page.text(format!(" {}", sentence(why)));
    }
    page.label("Impact").text(sentence(impact));
}

/// What holds besides the verdict, as far as there is room: one finding, what would decide it, what is unknown, how
/// far the sources were read.
fn besides_verdict(page: &mut Page, verdict: &Verdict, view: &View) {
    const ROOM: usize = LINES - 1;
    also(page, &verdict.also);
    for missing in &verdict.missing {
        if page.len() < ROOM {
            next(page, missing);
        }
    }
    if let Some((first, rest)) = verdict.findings.split_first()
        && page.len() < ROOM
    {
        page.label("Also").text(sentence(first));
        more(page, rest.len(), view);
    }
    if page.len() < ROOM {
        unknown(page, verdict, view);
    }
    if let Some((first, rest)) = verdict.notes.split_first()
        && verdict.certainty != Certainty::Proven
        && page.len() < ROOM
    {
        page.label("Log window").text(sentence(first));
        more(page, rest.len(), view);
    }
}

/// What would decide it, and how to get it.
pub(super) fn next(page: &mut Page, missing: &Missing) {
    page.label("Next").text(format!("{} {}", sentence(&missing.need), sentence(&missing.how)));
}

/// The questions that nothing could answer.
fn unknown(page: &mut Page, verdict: &Verdict, view: &View) {
    let open = verdict.path.iter().filter(|step| step.answer == Answer::Unknown);
    let open: Vec<_> = open.map(|step| step.asked).collect();
    if !open.is_empty() {
        let shown = open.len().min(UNKNOWN);
        page.label("Unknown").text(open[..shown].join(" "));
        more(page, open.len() - shown, view);
    }
}

/// What holds besides, a line each: a log that cannot show trouble bounds everything above.
pub(super) fn also(page: &mut Page, also: &[Also]) {
    for also in also.iter().take((LINES - 1).saturating_sub(page.len())) {
        besides(page, also);
    }
}

pub(super) fn besides(page: &mut Page, also: &Also) {
    let name = also.id.name();
    let sure = also.certainty.words();
    page.label("Also").text(format!("{name} ({sure}): {}", sentence(&also.text)));
}

/// A log that was read in part bounds every count above. Below proven the notes say so already.
fn cut_short(page: &mut Page, evidence: &Evidence, verdict: &Verdict) {
    let part = evidence.gathered.iter().find_map(|answer| match &answer.state {
        // How far a replica is behind is a finding, or what is missing.
        State::Failed(why) if answer.fact.is_some() && answer.need != Need::Replica => {
            Some((answer, why))
        }
        _ => None,
    });
    let proven = verdict.certainty == Certainty::Proven;
    let said = !verdict.also.is_empty();
    if let Some((answer, why)) = part.filter(|_| proven && !said && page.len() < LINES - 1) {
        page.label("Log window").text(format!("{}: {}", answer.source, sentence(why)));
    }
}

fn more(page: &mut Page, count: usize, view: &View) {
    if count > 0 {
        page.text(format!(" (+{count} in {})", view.why));
    }
}

/// A first capital and a full stop. A name of code at its head stays as it is: `m.room.encrypted`, `log_config`.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.ends_with(['.', '?']) { "" } else { "." };
    let word = text.split([' ', ':', ';', ',']).next().unwrap_or_default();
    if word.trim_end_matches('.').contains(['.', '_', '@', '/']) {
        return format!("{text}{end}");
    }
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
