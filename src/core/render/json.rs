//! A verdict → the stable JSON of `kestrel triage --format json`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::diagnose::Fleet;
use crate::diagnose::chain::{Branch, Chain, ChainPlace};
use crate::diagnose::device_list::{has_keys, trouble};
use crate::diagnose::fleet::{Affected, Standing, Trouble};
use crate::diagnose::verdict::{Storm, Verdict};
use crate::evidence::{DeviceRow, Evidence, SCHEMA};

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
            "explanation": verdict.id.explanation(),
        },
        "because": verdict.because,
        "storm": verdict.storm.as_ref().map(storm),
        "path": verdict.path,
        "figures": verdict.figures.iter().chain(&verdict.more_figures).collect::<Vec<_>>(),
        "findings": verdict.findings,
        "also": verdict.also,
        "notes": verdict.notes,
        "evidence": evidence.gathered.iter().map(Row::from_answer).collect::<Vec<_>>(),
        "remedies": verdict.remedies,
        "missing": verdict.missing,
    })
}

/// The object of the verdict to act on first, with those of all branches, in the order to act.
pub fn chain(evidence: &Evidence, chain: &Chain) -> Value {
    let branch = |branch: &Branch| {
        let (place, of) = match branch.place {
            ChainPlace::Root => ("root", None),
            ChainPlace::Follows(of) => ("follows", Some(of)),
            ChainPlace::Independent => ("independent", None),
            ChainPlace::Quiet => ("quiet", None),
            ChainPlace::Unknown => ("unknown", None),
        };
        let mut object = json(evidence, &branch.verdict);
        object["symptom"] = json!(branch.symptom);
        object["place"] = json!(place);
        object["follows"] = json!(of);
        // The whole object has them once.
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|name, _| !matches!(name.as_str(), "schema" | "evidence" | "subject"));
        }
        object
    };
    let mut object = json(evidence, chain.first());
    object["branches"] = chain.branches.iter().map(branch).collect();
    if let Some(rows) = evidence.device_list().value() {
        let judged = evidence.device().map(|subject| &subject.device);
        object["devices"] =
            rows.iter().map(|row| device(row, judged == Some(&row.device))).collect();
    }
    object
}

/// One of the devices that the subject was chosen from.
fn device(row: &DeviceRow, judged: bool) -> Value {
    json!({
        "device": row.device,
        "last_seen": row.last_seen,
        "keys": has_keys(row),
        "trouble": trouble(row),
        "judged": judged,
    })
}

/// Who is affected, worst first; a survey has no verdict.
pub fn fleet(evidence: &Evidence, fleet: &Fleet) -> Value {
    let together = fleet.together.as_ref().map(|together| {
        json!({
            "devices": together.devices,
            "from": together.from,
            "to": together.to,
            "suggests": together.suggests.name(),
            "because": together.suggests.words(),
        })
    });
    let count = |name: &str, count: u64| json!({"name": name, "devices": count});
    json!({
        "schema": SCHEMA,
        "symptom": evidence.symptom,
        "subject": evidence.subject,
        "window": fleet.window,
        "certainty": fleet.certainty().name(),
        "affected": fleet.affected.iter().map(affected).collect::<Vec<_>>(),
        "groups": {
            "cause": fleet.causes.iter().map(|(of, n)| count(of.name(), *n)).collect::<Vec<_>>(),
            "agent": fleet.agents.iter().map(|(of, n)| count(of, *n)).collect::<Vec<_>>(),
        },
        "began_together": together,
        "cut": fleet.cut,
        "read": fleet.read,
        "unread": fleet.unread,
        "findings": fleet.findings,
        "also": fleet.also,
        "evidence": evidence.gathered.iter().map(Row::from_answer).collect::<Vec<_>>(),
    })
}

fn affected(of: &Affected) -> Value {
    let figure = |trouble: &Trouble| {
        json!({
            "cause": trouble.cause.name(),
            "count": trouble.count,
            "rate_per_second": trouble.rate,
            "goes_on": trouble.goes_on,
        })
    };
    json!({
        "user": of.user,
        "device": of.device,
        "causes": of.troubles.iter().map(|trouble| trouble.cause.name()).collect::<Vec<_>>(),
        "figures": of.troubles.iter().map(figure).collect::<Vec<_>>(),
        "since": of.since,
        "or_before": of.or_before,
        "last_seen": of.last_seen,
        "agent": of.agent,
        "goes_on": of.goes_on(),
        "confirmed": matches!(of.standing, Standing::Proven | Standing::Exists),
        "proven": of.standing == Standing::Proven,
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
    fn from_answer(answer: &'a crate::evidence::Gathered) -> Self {
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
        "too_large": storm.too_large.map(|span| span.count),
        "row_stands": storm.row_stands,
        "claimed": storm.claimed,
        "dead_keys_handed_out": storm.dead_keys_handed_out,
        "born": storm.born,
    })
}
