//! Saved cases: `tests/cases/<symptom>--<cause>/evidence.json` is judged again, and the answer must be
//! the `reply.md` beside it. Adding a diagnosis is adding a folder.
//!
//! `KESTREL_RECORD=1 cargo test` writes the replies anew; read the difference before committing it.

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
        let file = entry.path().join("reply.md");
        if std::env::var_os("KESTREL_RECORD").is_some() {
            fs::write(&file, &reply).expect("the reply is kept");
        }
        let kept = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{name}/reply.md: {e}"));
        assert_eq!(reply, kept, "{name}: the reply has changed");
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
