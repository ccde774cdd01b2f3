//! The end of a walk → the verdict: what else is true, what to do, and what would confirm it.

use super::advice::advise;
use super::certainty::Certainty;
use super::tree_walk::Walk;
use super::verdict::{Storm, Verdict};
use super::verdict_id::VerdictId;
use super::{auth_outage, database_lag, device_removal, findings, quiet_period};
use crate::evidence::utc;

/// Domain: a storm that stopped is not cured (rust-sdk #5200, `SigningKeyChanged`).
const NOT_CURED: &str = "no further rejections were seen, but that does not mean it is fixed: contacts who know the old \
                         identity keep rejecting the new one, and each claimed key of the old account causes one \
                         undecryptable message for whoever claimed it";

/// Ends a walk with its verdict.
pub(super) fn conclude(mut walk: Walk, id: VerdictId, certainty: Certainty) -> Verdict {
    debug_assert!(id.row().certainty.allows(certainty), "{} is {}", id.name(), certainty.name());
    let notes = notes(&mut walk);
    findings::of_clients(walk.evidence, &mut walk.findings);
    note_outage(&mut walk, id);
    let mut remedies = advise(id);
    device_removal::sign_out(&mut walk, &mut remedies);
    note_newer_identity(&mut walk);
    let storm = storm(&walk);
    let end = walk.evidence.window.to.min(walk.evidence.now);
    let unread = quiet_period::unread_after(&walk.refusals.refused(), end);
    walk.findings.extend(unread);
    if id == VerdictId::OtkRecreated && storm.as_ref().is_none_or(|storm| !storm.goes_on) {
        walk.findings.push(NOT_CURED.into());
    }
    if certainty == Certainty::Consistent {
        want_confirmation(&mut walk, id);
    }
    database_lag::note_lag(walk.evidence, &mut walk.missing, &mut walk.findings);
    Verdict {
        id,
        certainty,
        path: walk.path,
        because: walk.because,
        storm,
        resolved: walk.refusals.resolved,
        figures: walk.figures,
        more_figures: walk.more_figures,
        findings: walk.findings,
        also: walk.known.unseen.also(),
        notes,
        remedies,
        missing: walk.missing,
        window: walk.evidence.window,
    }
}

/// How far the logs reach, and what else they show.
fn notes(walk: &mut Walk) -> Vec<String> {
    if let Some(log) = walk.known.log.value() {
        findings::of_log(log, &walk.refusals, &mut walk.findings);
        return findings::reach(&log.coverage);
    }
    let delays = walk.known.delays.value();
    delays.map_or_else(Vec::new, |log| findings::reach(&log.coverage))
}

/// Tokens that could not be checked, and requests that never reached Synapse.
fn note_outage(walk: &mut Walk, id: VerdictId) {
    if id != VerdictId::AuthUnreachable {
        let outage = auth_outage::outage_finding(walk);
        walk.findings.extend(outage);
    }
    let (proxied, _) = auth_outage::proxied(walk);
    if proxied > 0 {
        walk.findings.push(auth_outage::proxied_sentence(proxied));
    }
}

/// Rows have no history: a window in the past is evaluated by what is stored today.
fn note_newer_identity(walk: &mut Walk) {
    let keys = walk.known.keys.value();
    if let Some(keys) = keys.filter(|keys| keys.added > walk.evidence.window.to) {
        walk.findings.push(format!(
            "the database shows the current state: this identity was stored after the log window, at {}",
            utc(keys.added)
        ));
    }
}

/// The figures of the rejected uploads that count.
fn storm(walk: &Walk) -> Option<Storm> {
    let log = walk.known.log.value()?;
    let keys = walk.known.keys.value().copied();
    let mut storm = walk.refusals.storm(log, keys, walk.evidence.window, walk.evidence.now)?;
    if walk.evidence.database_behind().is_some() {
        // What a replica still shows may be gone by now.
        storm.row_stands = None;
    }
    Some(storm)
}

/// Names what would make a consistent verdict a proven one.
fn want_confirmation(walk: &mut Walk, id: VerdictId) {
    // Where only a client reports it, the log is the second source, and is listed as missing already.
    let by_client = id == VerdictId::OtkSameAccount && walk.refusals.only_reported();
    if by_client && walk.known.log.value().is_none() {
        return;
    }
    if let Some(confirmation) = id.row().certainty.confirmation() {
        walk.missing(confirmation.need, confirmation.how.into());
    }
}
