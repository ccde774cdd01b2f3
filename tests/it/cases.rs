//! Saved cases: `tests/cases/<symptom>--<cause>/evidence.json` is judged again, and the answer must be
//! the `reply.md` beside it. Adding a diagnosis is adding a folder.
//!
//! With `KESTREL_RECORD=1` it writes the replies anew instead. Read the difference before you commit it.

use std::fs;

use jiff::tz::TimeZone;
use kestrel::flow;
use kestrel_core::diagnose::{VerdictId, diagnose, judge};
use kestrel_core::evidence::{Evidence, SCHEMA};
use kestrel_core::render::{self, View};

#[test]
fn every_case_gets_its_reply_again() {
    let folder = crate::tree().join("tests/cases");
    let mut seen = Vec::new();
    for entry in fs::read_dir(&folder).expect("tests/cases is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path().join("evidence.json")).expect("evidence.json");
        let evidence: Evidence =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(evidence.schema, SCHEMA, "{name}");
        let verdict = diagnose(&evidence);
        let view = View::in_zone(TimeZone::UTC);
        let judgement = judge(&evidence);
        let page = flow::page(&evidence, &judgement, &view);
        assert!(
            page.len() <= render::LINES,
            "{name}: {} lines are too many for a phone",
            page.len()
        );
        let reply =
            [page.markdown(), flow::why(&evidence, &judgement, &view).markdown()].join("\n---\n\n");
        crate::recorded_as(&entry.path().join("reply.md"), &reply);
        assert!(
            ["ke1--", "ke2--", "ke3--", "ke4--", "all--", "fleet--"]
                .iter()
                .any(|of| name.starts_with(of)),
            "{name}: a case is named by its symptom"
        );
        assert!(
            name.contains(verdict.id.name()),
            "{name}: a case carries the name of its verdict, {}",
            verdict.id.name()
        );
        seen.push(verdict.id);
    }
    let never: Vec<_> = VerdictId::ALL.into_iter().filter(|id| !seen.contains(id)).collect();
    assert!(never.is_empty(), "no case shows {never:?}");
}
