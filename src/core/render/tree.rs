//! The tree as the code walks it → text or a Mermaid chart, and the remedies of a verdict. Both are read
//! from the tables that the branches use, so neither can drift.

use super::answer::{sentence, symptom as name};
use super::page::Page;
use super::why::in_full;
use crate::diagnose::remedy::{Advice, Remedy};
use crate::diagnose::verdict_row::VerdictKind;
use crate::diagnose::{AlsoId, TreeQuestion, VerdictId, advise, questions};
use crate::evidence::Symptom;

/// The questions of a branch in their order, with the verdicts they give.
pub fn tree(symptom: Symptom, questions: &[TreeQuestion]) -> Page {
    let mut page = Page::default();
    page.line().strong(format!(
        "{}: the questions are asked in order. The first conclusive answer gives the verdict.",
        name(symptom)
    ));
    for (number, question) in (1..).zip(questions) {
        page.label(&format!("{number}. {}", question.asked)).text(match question.rules {
            [] => "information only".to_owned(),
            rules => rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", "),
        });
    }
    page.line().text(format!("No conclusive answer: {}", VerdictId::Inconclusive.name()));
    page
}

/// The tree of one branch, or of all.
pub fn trees(branch: Option<Symptom>) -> Page {
    let wanted = |symptom: &Symptom| branch.is_none_or(|branch| branch == *symptom);
    let mut page = Page::default();
    for symptom in Symptom::BRANCHES.into_iter().filter(wanted) {
        let tree = tree(symptom, questions(symptom));
        if page.is_empty() {
            page = tree;
        } else {
            page.append(tree);
        }
    }
    page
}

/// The same as a Mermaid flowchart.
pub fn mermaid(symptom: Symptom, questions: &[TreeQuestion]) -> String {
    let prefix = name(symptom).to_lowercase().replace('-', "");
    let quoted = |text: &str| text.replace('"', "#quot;");
    let mut lines = vec!["flowchart TD".to_owned()];
    for (number, question) in (1..).zip(questions) {
        let node = format!("{prefix}q{number}");
        lines.push(format!("  {node}{{\"{}\"}}", quoted(question.asked)));
        let end = |verdict: VerdictId| format!("{prefix}-{0}([\"{0}\"])", verdict.name());
        let decided =
            question.rules.iter().map(|rule| format!("  {node} -->|decides| {}", end(*rule)));
        lines.extend(decided);
        lines.push(if number < questions.len() {
            format!("  {node} --> {prefix}q{}", number + 1)
        } else {
            format!("  {node} --> {}", end(VerdictId::Inconclusive))
        });
    }
    lines.join("\n") + "\n"
}

/// For a verdict without a remedy.
fn without_remedy(verdict: VerdictId) -> &'static str {
    match verdict.kind() {
        VerdictKind::Healthy | VerdictKind::NothingToRepair => {
            "Nothing is broken, so there is no fix."
        }
        VerdictKind::NotEnoughEvidence => "No cause was found, so no fix is suggested.",
        VerdictKind::Trouble => "Kestrel knows no general fix. The answer says what to check.",
    }
}

/// The remedies of a verdict, each with its impact.
pub fn remedies(verdict: VerdictId, list: &[Advice]) -> Page {
    let mut page = Page::default();
    page.line().strong(format!("{}: {}", verdict.name(), verdict.headline()));
    if list.is_empty() {
        page.line().text(without_remedy(verdict));
    }
    for advice in list {
        page.label(&format!("{} ({})", advice.advice.label(), advice.id.name()));
        in_full(&mut page, advice);
    }
    page
}

/// The remedies of the verdict of this name, or every remedy where no verdict is called that.
pub fn remedies_named(verdict: Option<&str>) -> Page {
    if let Some(also) = AlsoId::ALL.into_iter().find(|id| verdict == Some(id.name())) {
        return what_to_do(also);
    }
    match VerdictId::ALL.into_iter().find(|id| verdict == Some(id.name())) {
        Some(id) => remedies(id, &advise(id)),
        None => all_remedies(&VerdictId::ALL),
    }
}

/// What to do about what is reported with a verdict.
pub fn what_to_do(also: AlsoId) -> Page {
    let mut page = Page::default();
    page.line().strong(format!("{}: {}", also.name(), also.headline()));
    page.label("Fix").text(sentence(&also.how()));
    page
}

/// Every remedy, with its impact.
pub fn all_remedies(verdicts: &[VerdictId]) -> Page {
    let mut page = Page::default();
    for remedy in Remedy::ALL {
        let impact = sentence(remedy.blast_radius());
        page.label(remedy.name()).text(format!("{} Impact: {impact}", sentence(remedy.what())));
    }
    let names: Vec<_> = verdicts.iter().map(|verdict| verdict.name()).collect();
    page.line().text("Kestrel never runs a remedy. For one verdict: ").usage("!remedies VERDICT");
    page.line().text(format!("Verdicts: {}", names.join(", ")));
    let names = AlsoId::ALL.map(AlsoId::name);
    page.line().text(format!("Reported with a verdict: {}", names.join(", ")));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_in_the_tree() {
        let shown: String =
            Symptom::BRANCHES.iter().map(|one| mermaid(*one, questions(*one))).collect();
        for verdict in VerdictId::ALL {
            assert!(shown.contains(&format!("([\"{}\"])", verdict.name())), "{}", verdict.name());
        }
        assert!(shown.contains("#quot;One time key"), "{shown}");
    }

    #[test]
    fn every_remedy_shows_its_impact() {
        let page = all_remedies(&VerdictId::ALL).reply().plain;
        for remedy in Remedy::ALL {
            let name = remedy.name();
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line.contains(remedy.blast_radius()), "{line}");
        }
    }
}
