//! A verdict → the stable JSON of `kestrel triage --format json`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::diagnose::verdict::{Storm, Verdict};
use crate::evidence::{Evidence, SCHEMA};

/// One object; see the crate doc for its fields. Keys are added over time, never renamed.
pub fn json(evidence: &Evidence, verdict: &Verdict) -> Value {
    json!({
        "schema": SCHEMA,
        "symptom": evidence.symptom,
        "subject": evidence.subject,
        "window": verdict.window,
        "verdict": {
            "id": verdict.id.name(),
            "certainty": verdict.certainty.name(),
            "headline": verdict.id.headline(),
        },
        "because": verdict.because,
        "storm": verdict.storm.as_ref().map(storm),
        "path": verdict.path,
        "findings": verdict.findings,
        "notes": verdict.notes,
        "evidence": evidence.gathered.iter().map(Row::of).collect::<Vec<_>>(),
        "remedies": verdict.remedies,
        "missing": verdict.missing,
    })
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    source: &'a str,
    state: &'static str,
    what: &'a str,
    query: &'a str,
}

impl<'a> Row<'a> {
    fn of(answer: &'a crate::evidence::Gathered) -> Self {
        let state = answer.state.name();
        Self {
            id: &answer.id,
            source: &answer.source,
            state,
            what: &answer.what,
            query: &answer.query,
        }
    }
}

fn storm(storm: &Storm) -> Value {
    json!({
        "refusals": storm.span.count,
        "first": storm.span.first,
        "last": storm.span.last,
        "rate_per_second": storm.rate,
        "goes_on": storm.goes_on,
        "key": storm.key,
        "row_stands": storm.row_stands,
        "claimed": storm.claimed,
        "dead_keys_handed_out": storm.dead_keys_handed_out,
        "born": storm.born,
    })
}
