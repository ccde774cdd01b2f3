//! The answer in the thread: at most twelve lines that fit a phone.

use super::page::Page;
use super::view::View;
use crate::diagnose::remedy::{Advice, Recommendation};
use crate::diagnose::verdict::{Answer, Storm, Verdict};
use crate::diagnose::{Also, Certainty, VerdictId};
use crate::evidence::{About, Evidence, Need, State, Symptom, counted};

/// The most lines an answer has.
pub const LINES: usize = 12;

/// Formats a verdict for a phone.
pub fn answer(evidence: &Evidence, verdict: &Verdict, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence, verdict);
    page.gap();
    if let Some(storm) = &verdict.storm {
        seen(&mut page, storm, view);
        born(&mut page, storm, view);
    } else if evidence.symptom != Symptom::Ke3 {
        page.label("Window").text(view.span(verdict.window.from, verdict.window.to));
    }
    for figure in &verdict.figures {
        page.label(figure.label).text(&figure.text);
    }
    page.gap();
    if !verdict.because.is_empty() {
        page.label("Why").text(sentence(&verdict.because.join("; ")));
    }
    path(&mut page, verdict);
    page.gap();
    remedies(&mut page, verdict);
    page.gap();
    beside(&mut page, verdict, view);
    cut_short(&mut page, evidence, verdict);
    page.line().code(view.why).text(" shows every step and every query.");
    page
}

fn head(page: &mut Page, evidence: &Evidence, verdict: &Verdict) {
    page.line()
        .strong(format!("{} · {}", symptom(evidence.symptom), verdict.certainty.words()))
        .text(" · ");
    about(page, &evidence.subject);
    page.text(" · ").strong(sentence(&headline(verdict)));
}

/// What a notification shows. Where nothing is decided, that is what to get first.
fn headline(verdict: &Verdict) -> String {
    let needs: Vec<_> = verdict.missing.iter().map(|missing| missing.need.as_str()).collect();
    match (verdict.id, needs.is_empty()) {
        (VerdictId::Inconclusive, false) => format!("to decide it: {}", needs.join(", ")),
        _ => verdict.id.headline().to_owned(),
    }
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

fn seen(page: &mut Page, storm: &Storm, view: &View) {
    let count = storm.span.count;
    page.label("Seen").text(format!("{} of ", counted(count, "refusal"))).code(&storm.key);
    if storm.more_keys > 0 {
        page.text(format!(" and {} more", storm.more_keys));
    }
    page.text(match count {
        1 => format!(", {}", view.moment(storm.span.first)),
        _ => format!(", {}", view.span(storm.span.first, storm.span.last)),
    });
    if let Some(rate) = storm.rate {
        page.text(format!(", {}", rate_words(rate)));
    }
    page.text(match (count, storm.goes_on) {
        (1, _) => "; once so far",
        (_, true) => "; going on",
        (_, false) => "; quiet since then",
    });
    if let Some(span) = storm.too_large {
        page.label("State").text(format!(
            "active; the server now rejects its uploads as too many (M_TOO_LARGE): {}, {}",
            counted(span.count, "upload"),
            view.span(span.first, span.last)
        ));
        return handed_out(page, storm);
    }
    page.label("State").text(match (storm.row_stands, storm.claimed) {
        (Some(true), _) => "live; the key in the way is still stored".to_owned(),
        (Some(false), Some(at)) => {
            format!("healed; the key in the way was claimed {}", view.moment(at))
        }
        (Some(false), None) => "healed; the key in the way is gone".to_owned(),
        (None, _) => "unknown; the stored keys could not be read".to_owned(),
    });
    handed_out(page, storm);
}

fn handed_out(page: &mut Page, storm: &Storm) {
    if storm.dead_keys_handed_out > 0 {
        page.text(format!("; {} dead keys were handed out", storm.dead_keys_handed_out));
    }
}

pub(super) fn rate_words(rate: f64) -> String {
    match rate {
        rate if rate >= 1.0 => format!("{rate:.1} a second"),
        rate if rate * 60.0 >= 1.0 => format!("{:.1} a minute", rate * 60.0),
        rate => format!("{:.1} an hour", rate * 3600.0),
    }
}

fn born(page: &mut Page, storm: &Storm, view: &View) {
    let Some(born) = storm.born else { return };
    page.label("Born").text(format!("the key in the way was stored {}", view.moment(born)));
    if let Some((agent, address)) = &storm.born_by {
        if let Some(agent) = agent {
            page.text(" by ").code(agent);
        }
        if let Some(address) = address {
            page.text(" from ").code(address);
        }
    }
}

fn path(page: &mut Page, verdict: &Verdict) {
    // What was answered with no is a `!why` away.
    let of = |answer| {
        let steps = verdict.path.iter().filter(move |step| step.answer == answer);
        steps.map(|step| step.question).collect::<Vec<_>>()
    };
    let yes = of(Answer::Yes);
    let unknown = of(Answer::Unknown);
    let mut told = Vec::new();
    if !yes.is_empty() {
        told.push(format!("yes to {}", yes.join(" → ")));
    }
    // A no that ended the walk decided it.
    if let Some(last) = verdict.path.last().filter(|step| step.answer == Answer::No) {
        told.push(format!("no to {}", last.question));
    }
    if !unknown.is_empty() {
        told.push(format!("unknown: {}", unknown.join(", ")));
    }
    let asked = counted(verdict.path.len() as u64, "question");
    page.label("Path").text(format!("{}, of {asked}", told.join("; ")));
}

pub(super) fn remedies(page: &mut Page, verdict: &Verdict) {
    act(page, verdict);
    let never = |advice: &&Advice| {
        matches!(advice.advice, Recommendation::WillNotHelp | Recommendation::Dangerous)
    };
    for advice in verdict.remedies.iter().filter(never) {
        page.label("Don't");
        page.text(format!("{}: {}", advice.id.what(), advice.advice.words()));
        if let Some(why) = advice.why {
            page.text(format!(", {why}"));
        }
        page.text(format!("; would cost: {}.", advice.id.reach()));
    }
}

/// The one or two things to do, each with its cost.
pub(super) fn act(page: &mut Page, verdict: &Verdict) {
    let of = |judgement| move |advice: &&Advice| advice.advice == judgement;
    let do_this = verdict.remedies.iter().find(of(Recommendation::Recommended));
    let maybe = verdict.remedies.iter().find(of(Recommendation::Possible));
    if let Some(advice) = do_this.or(maybe) {
        page.label("Do");
        if verdict.certainty != Certainty::Proven {
            page.text("(not proven: first what is missing) ");
        }
        page.text(advice.id.what());
        if let Some(why) = advice.why {
            page.text(format!(" ({why})"));
        }
        page.text(format!(". Cost: {}.", advice.id.reach()));
        let then = verdict.remedies.iter().filter(of(Recommendation::Recommended)).nth(1);
        if let Some(then) = then.filter(|_| do_this.is_some()) {
            let after = then.why.map(|why| format!(" ({why})")).unwrap_or_default();
            page.label("Then").text(format!(
                "{}{after}. Cost: {}.",
                then.id.what(),
                then.id.reach()
            ));
        }
    }
}

/// What stands beside the verdict, as far as there is room: one finding, what is missing, how far the
/// sources were read.
fn beside(page: &mut Page, verdict: &Verdict, view: &View) {
    const ROOM: usize = LINES - 1;
    also(page, &verdict.also);
    if let Some((first, rest)) = verdict.findings.split_first() {
        page.label("Also").text(sentence(first));
        more(page, rest.len(), view);
    }
    for missing in &verdict.missing {
        if page.len() < ROOM {
            page.label("Missing").text(format!("{}: {}.", missing.need, missing.how));
        }
    }
    if let Some((first, rest)) = verdict.notes.split_first()
        && verdict.certainty != Certainty::Proven
        && page.len() < ROOM
    {
        page.label("Read").text(sentence(first));
        more(page, rest.len(), view);
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
        // How far a replica is behind is told as a finding, or as what is missing.
        State::Failed(why) if answer.fact.is_some() && answer.need != Need::Replica => {
            Some((answer, why))
        }
        _ => None,
    });
    let proven = verdict.certainty == Certainty::Proven;
    let said = !verdict.also.is_empty();
    if let Some((answer, why)) = part.filter(|_| proven && !said && page.len() < LINES - 1) {
        page.label("Cut").text(format!("{}: {}", answer.source, sentence(why)));
    }
}

fn more(page: &mut Page, count: usize, view: &View) {
    if count > 0 {
        page.text(format!(" (+{count} in {})", view.why));
    }
}

/// A first capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}
