//! All branches' verdicts → one answer: what is root, what follows, what stands alone, in the order to act.

use super::View;
use super::answer::{about, remedies, sentence, symptom};
use super::page::Page;
use super::why::{head, walked};
use crate::diagnose::Chain;
use crate::diagnose::chain::{Branch, Place};
use crate::evidence::{Evidence, Symptom};

/// Formats the chain for a phone.
pub fn chain(evidence: &Evidence, chain: &Chain, view: &View) -> Page {
    let mut page = Page::default();
    let first = chain.first();
    page.line().strong(format!("{} · ", symptom(Symptom::All)));
    about(&mut page, &evidence.subject);
    page.text(" · ").strong(sentence(summary(chain)));
    page.gap();
    for (number, branch) in (1..).zip(&chain.branches) {
        line(&mut page, number, branch);
    }
    if evidence.subject.event().is_none() {
        page.label(symptom(Symptom::Ke3)).text("not asked: name an event, as in ");
        page.usage("!ke3 $event").text(".");
    }
    page.gap();
    page.label("Window").text(view.span(evidence.window.from, evidence.window.to));
    if matches!(chain.branches[0].place, Place::Root | Place::Independent) {
        remedies(&mut page, first);
    }
    page.gap();
    page.line().code("!why").text(" shows every step and every query.");
    page
}

/// What the chain comes to, in one sentence.
fn summary(chain: &Chain) -> &'static str {
    let of = |place: fn(Place) -> bool| {
        chain.branches.iter().filter(|branch| place(branch.place)).count()
    };
    let troubles = of(|place| matches!(place, Place::Root | Place::Independent));
    let open = of(|place| place == Place::Unknown);
    match (troubles, open, of(|place| matches!(place, Place::Follows(_)))) {
        (0, open, 0) if open == chain.branches.len() => "not enough evidence to judge anything",
        (0, 0, _) => "nothing is wrong that the server can see",
        (0, _, _) => "no trouble found, and not everything could be judged",
        (1, _, 0) => "one trouble",
        (1, ..) => "one root, and what follows from it",
        (_, _, 0) => "several troubles, independent of each other",
        _ => "several troubles: one root with what follows, and others beside it",
    }
}

fn line(page: &mut Page, number: usize, branch: &Branch) {
    let Branch { symptom: of, verdict, place } = branch;
    page.line().strong(format!(
        "{number}. {} · {} · {}",
        symptom(*of),
        verdict.certainty.words(),
        self::place(*place)
    ));
    match (place, verdict.missing.first()) {
        (Place::Unknown, Some(missing)) => {
            page.text(format!(" · Missing: {}: {}.", missing.need, missing.how))
        }
        (Place::Unknown, None) => page,
        _ => page.text(format!(" · {}", sentence(verdict.id.headline()))),
    };
}

/// A place as people say it.
fn place(place: Place) -> String {
    match place {
        Place::Root => "the root: act here first".into(),
        Place::Follows(of) => format!("follows from {}, heals with it", symptom(of)),
        Place::Independent => "independent".into(),
        Place::Quiet => "quiet".into(),
        Place::Unknown => "open".into(),
    }
}

/// Every step of every branch, and every query once.
pub fn chain_why(evidence: &Evidence, chain: &Chain, view: &View) -> Page {
    let mut page = Page::default();
    for branch in &chain.branches {
        page.gap();
        head(&mut page, branch.symptom, &evidence.subject, &branch.verdict, view);
        walked(&mut page, &branch.verdict);
    }
    super::why::sources(&mut page, evidence);
    page
}
