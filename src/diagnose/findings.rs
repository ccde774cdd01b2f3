//! What stands beside a verdict: lines that name the device without being its own, lines that look
//! forged, gaps in the log, and the figures of a healthy device.

use super::refusals::Refusals;
use crate::evidence::{Evidence, KeyLog, Known};

/// Whether any log holds anything of the window: silence of an empty window says nothing.
pub(super) fn read_anything(log: &KeyLog) -> bool {
    log.coverage.iter().any(|coverage| coverage.span.is_some())
}

/// The log's findings, in the order of their weight.
pub(super) fn of_log(log: &KeyLog, refusals: &Refusals, findings: &mut Vec<String>) {
    for other in &log.named_by_others {
        findings.push(format!(
            "another account's upload names this device: {} refusals of {}'s own requests; they do not \
             count against it",
            other.span.count, other.by
        ));
    }
    let counted = [
        (
            log.unattributed,
            "refusals name this device in a key value, but belong to no upload of its own",
        ),
        (
            refusals.contradicted,
            "refusals in the text log are contradicted by the database: forged lines",
        ),
        (
            refusals.unsupported,
            "refusals stand in the text log alone, and nothing supports them: left out",
        ),
    ];
    findings.extend(
        counted.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")),
    );
    findings.extend(
        log.distrusted.iter().map(|lines| format!("{} lines left out: {}", lines.count, lines.why)),
    );
    if log.clipped {
        findings
            .push("more happened than is kept one by one; totals are right, lists are cut".into());
    }
    for coverage in &log.coverage {
        if !coverage.whole {
            let from = coverage.span.map_or("nowhere".to_owned(), |(from, _)| super::shown(from));
            findings.push(format!("log {} reaches back to {from} only", coverage.source));
        }
        findings
            .extend(coverage.notes.iter().map(|note| format!("log {}: {note}", coverage.source)));
    }
}

/// The figures of a device with nothing wrong.
pub(super) fn health(evidence: &Evidence, log: &Known<KeyLog>) -> Vec<String> {
    let stored = evidence.one_time_keys().value().map_or(0, |stored| stored.total);
    let mut seen =
        vec![format!("{stored} one-time keys are stored and none fails the signature test")];
    if let Some(log) = log.value() {
        let uploads = log.accepted.uploads.map_or(0, |span| span.count);
        let claims = log.claims.all.map_or(0, |span| span.count);
        seen.push(format!(
            "{uploads} uploads accepted, {claims} keys claimed, no refusal in the window"
        ));
    }
    seen
}
