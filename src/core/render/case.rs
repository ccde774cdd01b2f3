//! Saved cases → the list of them, one by its number, and what changed since.

use super::answer::{LINES, about, symptom};
use super::glyph::glyph;
use super::page::{Page, clip};
use super::view::View;
use crate::diagnose::{Certainty, VerdictId};
use crate::evidence::{About, Symptom};

/// A verdict's name as it is shown; ours are short.
const SHOWN_VERDICT: usize = 60;

/// A case as lists and heads name it.
#[derive(Debug, Clone, Copy)]
pub struct CaseLine<'a> {
    pub number: u64,
    pub at: jiff::Timestamp,
    pub symptom: Symptom,
    pub about: &'a About,
    pub verdict: &'a str,
    pub certainty: &'a str,
    pub asker: Option<&'a str>,
    /// Where its thread is.
    pub link: Option<&'a str>,
}

/// The list, one line each; of one user or of all.
pub fn cases(cases: &[CaseLine<'_>], user: Option<&str>, view: &View) -> Page {
    let mut page = Page::default();
    match (cases.is_empty(), user) {
        (true, Some(user)) => page.line().text(format!("There is no case about {user}.")),
        (true, None) => page.line().text("There are no cases."),
        (false, _) => &mut page,
    };
    for case in cases {
        state(&mut page, case);
        match case.link {
            Some(link) => page.link(format!("Case {}", case.number), link),
            None => page.strong(format!("Case {}", case.number)),
        };
        page.text(format!(" · {} · {} · ", view.moment(case.at), symptom(case.symptom)));
        about(&mut page, case.about);
        let sure = case.certainty.replace('-', " ");
        let sure = clip(&sure, SHOWN_VERDICT);
        page.text(format!(" · {}, {sure}", clip(case.verdict, SHOWN_VERDICT)));
    }
    page
}

/// Begins a line with the glyph of a case; what an unknown verdict means is not known.
fn state(page: &mut Page, case: &CaseLine<'_>) {
    page.line();
    let is_proven = case.certainty == Certainty::Proven.name();
    let certainty = if is_proven { Certainty::Proven } else { Certainty::Consistent };
    if let Some(id) = VerdictId::named(case.verdict) {
        page.text(format!("{} ", glyph(id.kind(), certainty, false)));
    }
}

/// The answer of a case as it was given then, under a line that says when.
pub fn kept(case: &CaseLine<'_>, answer: Page, view: &View) -> Page {
    let mut page = Page::default();
    let number = case.number;
    state(&mut page, case);
    page.strong(format!("Case {number} · answered {}", view.moment(case.at)));
    if let Some(asker) = case.asker {
        page.text(format!(", asked by {asker}"));
    }
    page.text(" · ").usage(&format!("!case {number} why")).text(" · ");
    page.usage(&format!("!case {number} again"));
    // The answer's own last line says how to see more of it; the head says so for a case.
    let most = answer.len().saturating_sub(1).min(LINES - 1);
    page.append(answer.shorter(most));
    page
}

/// What changed since a case.
pub fn changes(case: &CaseLine<'_>, changed: &[String], view: &View) -> Page {
    let mut page = Page::default();
    let since = format!("Since case {} ({})", case.number, view.moment(case.at));
    if changed.is_empty() {
        page.line().strong(since).text(": nothing changed.");
        return page;
    }
    page.line().strong(format!("{since}:"));
    for line in changed.iter().take(LINES - 1) {
        page.line().text(format!("• {line}"));
    }
    page
}

/// Names the case in the last line of its answer.
pub fn numbered(mut page: Page, number: u64) -> Page {
    page.text(format!(" Case {number} · ")).usage(&format!("!case {number} again"));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Subject, UserSubject};
    use jiff::tz::TimeZone;
    use ruma::user_id;

    fn line<'a>(about: &'a About, link: Option<&'a str>) -> CaseLine<'a> {
        CaseLine {
            number: 17,
            at: "2026-11-22T13:00:00Z".parse().unwrap(),
            symptom: Symptom::Ke1,
            about,
            verdict: "otk-recreated",
            certainty: "not-enough-evidence",
            asker: Some("@admin:example.org"),
            link,
        }
    }

    fn view() -> View {
        View::in_zone(TimeZone::UTC)
    }

    #[test]
    fn a_case_is_one_line_and_nothing_foreign_is_markup() {
        let user = user_id!("@a:example.org").to_owned();
        let about = About::Device(Subject { user, device: "<b>\u{202e}".into() });
        let room = "https://matrix.to/#/!ops:example.org/$event";
        let reply = cases(&[line(&about, Some(room)), line(&about, None)], None, &view()).reply();
        assert_eq!(reply.plain.lines().count(), 2);
        assert!(reply.plain.contains("2026-11-22 13:00:00 UTC · KE-1 · @a:example.org "));
        assert!(reply.plain.ends_with("otk-recreated, not enough evidence"), "{}", reply.plain);
        assert!(reply.html.contains("&lt;b&gt;") && !reply.html.contains('\u{202e}'));
        let none = cases(&[], Some("@a:example.org"), &view()).reply();
        assert_eq!(none.plain, "There is no case about @a:example.org.");
    }

    #[test]
    fn a_saved_answer_is_no_longer_than_a_new_one() {
        let about = About::User(UserSubject { user: user_id!("@a:example.org").to_owned() });
        let mut answer = Page::default();
        for number in 0..LINES + 3 {
            answer.line().text(format!("line {number}"));
        }
        let reply = kept(&line(&about, None), answer, &view()).reply();
        assert_eq!(reply.plain.lines().count(), LINES);
        let head = "🟠 Case 17 · answered 2026-11-22 13:00:00 UTC, asked by @admin:example.org · !case 17 why";
        assert!(reply.plain.starts_with(head), "{}", reply.plain);
        assert!(reply.plain.ends_with(&format!("line {}", LINES - 2)), "{}", reply.plain);
    }

    #[test]
    fn what_changed_is_listed_or_said_to_be_nothing() {
        let about = About::User(UserSubject { user: user_id!("@a:example.org").to_owned() });
        let none = changes(&line(&about, None), &[], &view()).reply().plain;
        assert_eq!(none, "Since case 17 (2026-11-22 13:00:00 UTC): nothing changed.");
        let many: Vec<_> = (0..50).map(|number| format!("<i>{number}</i>")).collect();
        let reply = changes(&line(&about, None), &many, &view()).reply();
        assert_eq!(reply.plain.lines().count(), LINES);
        assert!(reply.html.contains("&lt;i&gt;0"));
    }

    #[test]
    fn the_number_adds_no_line() {
        let mut page = Page::default();
        page.line().text("one.");
        let reply = numbered(page, 17).reply();
        assert_eq!(reply.plain, "one. Case 17 · !case 17 again");
        assert!(reply.html.ends_with("<code>!case 17 again</code>"));
    }
}
