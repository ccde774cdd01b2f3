//! What stands beside a verdict: lines that name the device without being its own, lines that look
//! forged, gaps in the log, and the figures of a healthy device.

use jiff::SignedDuration;

use super::refusals::Refusals;
use crate::evidence::client::Sign;
use crate::evidence::key_log::Coverage;
use crate::evidence::otk::Check;
use crate::evidence::{ClientFacts, DeviceRow, Evidence, KeyLog, Known, counted, utc};

/// Whether any log holds anything of the window: silence of an empty window says nothing.
pub(super) fn read_anything(log: &KeyLog) -> bool {
    log.coverage.iter().any(|coverage| coverage.span.is_some())
}

/// A log whose newest line is so much older than the end asked about is not written any more: its silence
/// says nothing of the rest.
const STOPPED: SignedDuration = SignedDuration::from_mins(10);

/// When the logs stopped, where none of them goes on to the end asked about.
pub(super) fn stopped(log: &KeyLog, evidence: &Evidence) -> Option<String> {
    let end = evidence.window.to.min(evidence.now);
    let last = log.coverage.iter().filter_map(|coverage| coverage.span).map(|(_, last)| last);
    let last = last.max().filter(|last| end.duration_since(*last) > STOPPED)?;
    Some(format!("its newest line is of {}", utc(last)))
}

/// What to look at where keys are stored and none could be put to the signature test: the identity holds no
/// key that can be used, or the keys are not signed.
pub(super) fn untested(evidence: &Evidence) -> Option<&'static str> {
    let stored = evidence.one_time_keys();
    let keys = stored.value().map(|stored| stored.keys.as_slice()).unwrap_or_default();
    let untested = !keys.is_empty() && keys.iter().all(|key| key.value.check == Check::Unknown);
    untested.then_some(
        "look at the device's row in e2e_device_keys_json: no stored key can be tested under it",
    )
}

/// The log's findings, in the order of their weight.
pub(super) fn of_log(log: &KeyLog, refusals: &Refusals, findings: &mut Vec<String>) {
    for other in &log.named_by_others {
        findings.push(format!(
            "another account's upload names this device: {} of {}'s own requests; they do not count \
             against it",
            counted(other.span.count, "refusal"),
            other.by
        ));
    }
    let weighed = [
        (
            log.unattributed.saturating_sub(refusals.tied),
            "names this device, but belongs to no upload of its own that the log shows",
        ),
        (refusals.contradicted, "in the text log is contradicted by the database: a forged line"),
        (refusals.past, "is between accounts that this device had before its present one: past"),
        (refusals.unsupported, "in the text log is supported by nothing else: left out"),
    ];
    let seen = weighed.iter().filter(|(count, _)| *count > 0);
    findings
        .extend(seen.map(|(count, what)| format!("{}: each {what}", counted(*count, "refusal"))));
    let left_out = log.distrusted.iter();
    findings.extend(
        left_out.map(|lines| format!("{} left out: {}", counted(lines.count, "line"), lines.why)),
    );
    if log.clipped {
        findings
            .push("more happened than is kept one by one; totals are right, lists are cut".into());
    }
}

/// Refusals that only the client tells of: neither the log nor the stored keys show them.
pub(super) fn refused_by_report(evidence: &Evidence) -> Option<String> {
    let subject = evidence.device()?;
    let own = evidence.clients().filter(|(_, client)| client.is_of(subject));
    let count: u64 = own.map(|(_, client)| client.count(Sign::AlreadyExists)).sum();
    (count > 0).then(|| {
        format!(
            "the client's report shows {}, and neither log nor database does: look at its times",
            counted(count, "refused upload")
        )
    })
}

/// What of the reports was not read, and those that are not of the device asked about, which decide nothing.
pub(super) fn of_clients(evidence: &Evidence, findings: &mut Vec<String>) {
    for (id, client) in evidence.clients().filter(|(_, client)| !client.unread.is_empty()) {
        let unread = client.unread.join("; ");
        findings.push(format!("not all of the client's report {id} was read: {unread}"));
    }
    let Some(subject) = evidence.device() else { return };
    // A sender that aims at nobody says so in its own report.
    let stray = |client: &ClientFacts| !client.is_of(subject) && client.count(Sign::NoTargets) == 0;
    for (id, _) in evidence.clients().filter(|(_, client)| stray(client)) {
        findings.push(format!("the client's report {id} is of another device: left out"));
    }
}

/// How far the logs reach.
pub(super) fn reach(coverage: &[Coverage]) -> Vec<String> {
    let mut notes = Vec::new();
    for coverage in coverage {
        let span = coverage.span.map_or("holds nothing of the window".to_owned(), |(from, to)| {
            format!("holds {} to {}", utc(from), utc(to))
        });
        notes.push(format!("log {} {span}; {}", coverage.source, coverage.zone));
        notes.extend(coverage.notes.iter().map(|note| format!("log {}: {note}", coverage.source)));
    }
    notes
}

/// The figures of a device with nothing wrong.
pub(super) fn health(evidence: &Evidence, log: &Known<KeyLog>, past: u64) -> Vec<String> {
    let stored = evidence.one_time_keys().value().map_or(0, |stored| stored.total);
    let mut seen =
        vec![format!("{stored} one-time keys are stored and none fails the signature test")];
    if let Some(log) = log.value() {
        let uploads = log.accepted.uploads.map_or(0, |span| span.count);
        let claims = log.claims.all.map_or(0, |span| span.count);
        let whose = if past > 0 { " of the present account" } else { "" };
        seen.push(format!(
            "{uploads} uploads accepted, {claims} keys claimed, no refusal{whose} in the window"
        ));
    }
    seen
}

/// A device that is gone may still stand in the log.
pub(super) fn last_upload(log: &KeyLog) -> Option<String> {
    let refused = log.refused.iter().map(|group| group.span.last);
    let last = refused.chain(log.accepted.uploads.map(|uploads| uploads.last)).max()?;
    Some(format!("the log has its uploads until {}: it was logged out since", utc(last)))
}

/// The user's real devices, a few by name: a typo is seen at a glance.
pub(super) fn others(rows: &[DeviceRow]) -> String {
    const NAMED: usize = 5;
    let real: Vec<_> =
        rows.iter().filter(|row| !row.hidden).map(|row| row.device.as_str()).collect();
    let more = real.len().saturating_sub(NAMED);
    let named = real.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    match (named.as_str(), more) {
        ("", _) => "the user has no device on this server at all".to_owned(),
        (_, 0) => format!("the user's devices here: {named}"),
        (_, more) => format!("the user's devices here: {named} and {more} more"),
    }
}
