//! What comes with a verdict: lines that name the device without being its own, lines that look
//! forged, gaps in the log, and the figures of a healthy device.

use jiff::{SignedDuration, Timestamp};

use super::key_count::keys_stored;
use super::refusals::Refusals;
use super::verdict::Resolved;
use crate::evidence::client::Sign;
use crate::evidence::key_log::Coverage;
use crate::evidence::otk::Check;
use crate::evidence::removal::RemovedBy;
use crate::evidence::{
    ClientFacts, DeviceRow, Evidence, Fact, KeyLog, Known, Need, State, counted, utc, utc_span,
};

/// Whether any log holds anything of the window: silence of an empty window says nothing.
pub(super) fn read_anything(log: &KeyLog) -> bool {
    log.coverage.iter().any(|coverage| coverage.span.is_some())
}

/// A log whose newest line is so much older than the end asked about is not written any more: its silence
/// says nothing of the rest.
const STOPPED: SignedDuration = SignedDuration::from_mins(10);

/// When the logs stopped, where none of them continues to the end asked about.
pub(super) fn stopped(log: &KeyLog, evidence: &Evidence) -> Option<String> {
    let end = evidence.window.to.min(evidence.now);
    let last = log.coverage.iter().filter_map(Coverage::until);
    let last = last.max().filter(|last| end.duration_since(*last) > STOPPED)?;
    Some(format!("its newest line is from {}", utc(last)))
}

/// What to look at where keys are stored and none could be put to the signature test: the identity holds no
/// key that can be used, or the keys are not signed.
pub(super) fn untested(evidence: &Evidence) -> Option<&'static str> {
    let stored = evidence.one_time_keys();
    let keys = stored.value().map(|stored| stored.keys.as_slice()).unwrap_or_default();
    let untested = !keys.is_empty() && keys.iter().all(|key| key.value.check == Check::Unknown);
    untested.then_some(
        "check the device's row in e2e_device_keys_json: no stored key can be tested with it",
    )
}

/// The log's findings, in the order of their weight.
pub(super) fn of_log(log: &KeyLog, refusals: &Refusals, findings: &mut Vec<String>) {
    for other in &log.named_by_others {
        findings.push(format!(
            "uploads of another account name this device: {} of {}'s own requests. They do not count \
             against it",
            counted(other.span.count, "refusal"),
            other.by
        ));
    }
    findings.extend(refusals.resolved.map(resolved));
    let weighed = [
        (
            log.unattributed.saturating_sub(refusals.tied),
            "names this device, but matches none of its uploads in the log",
        ),
        (
            refusals.contradicted,
            "is in the text log but contradicted by the database, so the line is forged",
        ),
        (refusals.unsupported, "is in the text log only and was not counted"),
    ];
    let seen = weighed.iter().filter(|(count, _)| *count > 0);
    findings.extend(
        seen.map(|(count, what)| format!("{}: each {what}", counted(*count, "rejected upload"))),
    );
    let left_out = log.distrusted.iter();
    findings.extend(
        left_out
            .map(|lines| format!("{} not counted: {}", counted(lines.count, "line"), lines.why)),
    );
    if log.clipped {
        findings
            .push("there was more than Kestrel lists one by one: totals are complete, lists are shortened".into());
    }
}

/// When rejected uploads became history, and by which line.
fn resolved(of: Resolved) -> String {
    let when = utc_span(of.span.first, of.span.last);
    let uploads = counted(of.span.count, "rejected upload");
    match of.by {
        Some(RemovedBy::Deleted | RemovedBy::Task) => format!(
            "resolved: the device was removed at {} and logged in again under the same ID. {uploads} before \
             that ({when}) are history",
            utc(of.at)
        ),
        by => {
            let line = match by {
                None => "the log has no line about the removal",
                Some(_) => "the authentication service removed devices of this user in between",
            };
            format!(
                "history: {uploads} ({when}), consistent with a logout and a new login: the \
                 current identity is newer ({}), and neither key belongs to it; {line}",
                utc(of.at)
            )
        }
    }
}

/// Refusals that only the client reports. A log is named as one that lacks them only where it was read over
/// their time; the database keeps nothing of a refusal.
pub(super) fn refused_by_report(evidence: &Evidence) -> Option<String> {
    let subject = evidence.device()?;
    let own = || evidence.clients().filter(|(_, client)| client.is_of(subject));
    let count: u64 = own().map(|(_, client)| client.count(Sign::AlreadyExists)).sum();
    if count == 0 {
        return None;
    }
    let count = counted(count, "rejected upload");
    let signs = own().flat_map(|(_, client)| &client.signs);
    let spans = signs.filter(|noted| noted.sign == Sign::AlreadyExists).map(|noted| noted.span);
    let span = spans.flatten().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let Some((first, last)) = span else {
        return Some(format!(
            "the client's report shows {count} without a time, so no log can be compared with it"
        ));
    };
    let when = utc_span(first, last);
    let log = match covers(evidence, first, last) {
        Some(true) => "the Synapse log covers that time and shows none, so compare the clocks",
        Some(false) => "the Synapse log that was read does not cover that time",
        None => "no Synapse log was read that could show them",
    };
    Some(format!("the client's report shows {count}, {when}; {log}"))
}

/// Whether a log was read over a span of time; `None` where none was read.
fn covers(evidence: &Evidence, first: Timestamp, last: Timestamp) -> Option<bool> {
    let read = evidence.answers(Need::KeyLog).filter(|answer| answer.state == State::Found);
    let spans = read.filter_map(|answer| match &answer.fact {
        Some(Fact::KeyLog(log)) => Some(log.coverage.iter().filter_map(|coverage| coverage.span)),
        _ => None,
    });
    let covers = |(from, to): (Timestamp, Timestamp)| from <= first && last <= to;
    spans.flatten().map(covers).reduce(|one, other| one || other)
}

/// What of the reports was not read, and those that are not of the device asked about, which decide nothing.
pub(super) fn of_clients(evidence: &Evidence, findings: &mut Vec<String>) {
    for (id, client) in evidence.clients().filter(|(_, client)| !client.unread.is_empty()) {
        let unread = client.unread.join("; ");
        findings.push(format!("the client's report {id} was read in part: {unread}"));
    }
    let Some(subject) = evidence.device() else { return };
    // A sender that aims at nobody says so in its own report.
    let stray = |client: &ClientFacts| !client.is_of(subject) && client.count(Sign::NoTargets) == 0;
    for (id, _) in evidence.clients().filter(|(_, client)| stray(client)) {
        findings.push(format!("the client's report {id} is from another device and was not used"));
    }
}

/// How far the logs reach.
pub(super) fn reach(coverage: &[Coverage]) -> Vec<String> {
    let mut notes = Vec::new();
    for coverage in coverage {
        let span =
            coverage.span.map_or("has no line in the log window".to_owned(), |(from, to)| {
                format!("covers {}", utc_span(from, to))
            });
        notes.push(format!("log {} {span}; the log's times: {}", coverage.source, coverage.zone));
        notes.extend(coverage.notes.iter().map(|note| format!("log {}: {note}", coverage.source)));
    }
    notes
}

/// The figures of a device with nothing wrong.
pub(super) fn health(evidence: &Evidence, log: &Known<KeyLog>, past: u64) -> Vec<String> {
    let stored = evidence.one_time_keys().value().map_or(0, |stored| stored.total);
    let mut seen = vec![format!("{}, and none fails the signature test", keys_stored(stored))];
    if let Some(log) = log.value() {
        let uploads = log.accepted.uploads.map_or(0, |span| span.count);
        let claims = log.claims.all.map_or(0, |span| span.count);
        let whose = if past > 0 { " of the current account" } else { "" };
        seen.push(format!(
            "{uploads} uploads were accepted and {claims} keys claimed in the log window, with no rejected upload{whose}"
        ));
    }
    seen
}

/// A device that is gone may still be in the log.
pub(super) fn last_upload(log: &KeyLog) -> Option<String> {
    let refused = log.refused.iter().map(|group| group.span.last);
    let last = refused.chain(log.accepted.uploads.map(|uploads| uploads.last)).max()?;
    Some(format!("the log has its uploads until {}, so it was logged out after that", utc(last)))
}

/// The user's real devices, a few by name: a typo is seen at a glance.
pub(super) fn others(rows: &[DeviceRow]) -> String {
    const NAMED: usize = 5;
    let real: Vec<_> =
        rows.iter().filter(|row| !row.hidden).map(|row| row.device.as_str()).collect();
    let more = real.len().saturating_sub(NAMED);
    let named = real.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    match (named.as_str(), more) {
        ("", _) => "the user has no device on this server".to_owned(),
        (_, 0) => format!("the user's devices here: {named}"),
        (_, more) => format!("the user's devices here: {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::{self, at, failed, found};
    use crate::evidence::Gathered;
    use crate::evidence::client::Noted;
    use crate::evidence::key_log::Format;

    /// A log that was read over these seconds, or that holds nothing of the window.
    fn log(seconds: Option<(i64, i64)>) -> Gathered {
        let mut log = scene::log(Format::Text, 900);
        log.coverage[0].span = seconds.map(|(from, to)| (at(from), at(to)));
        found(Need::KeyLog, Fact::KeyLog(Box::new(log)))
    }

    fn said(seen: Option<(i64, i64)>, mut gathered: Vec<Gathered>) -> String {
        let span = seen.map(|(first, last)| (at(first), at(last)));
        let noted = Noted { sign: Sign::AlreadyExists, count: 5, span, key: None };
        let facts = ClientFacts { signs: vec![noted], ..ClientFacts::default() };
        gathered.push(Gathered::client("report", facts));
        let evidence = Evidence { gathered, ..scene::evidence(KeyLog::default(), None, 900) };
        refused_by_report(&evidence).unwrap()
    }

    #[test]
    fn only_a_log_that_covers_a_refusal_is_said_to_lack_it() {
        for (seen, gathered, words) in [
            (Some((100, 200)), vec![log(Some((0, 900)))], "covers that time and shows none"),
            (Some((100, 200)), vec![log(Some((150, 900)))], "does not cover that time"),
            (Some((100, 200)), vec![log(None)], "no Synapse log was read that could show them"),
            (
                Some((100, 200)),
                vec![failed(Need::KeyLog)],
                "no Synapse log was read that could show them",
            ),
            (Some((100, 200)), vec![], "no Synapse log was read that could show them"),
            (None, vec![log(Some((0, 900)))], "without a time"),
        ] {
            let said = said(seen, gathered);
            assert!(said.starts_with("the client's report shows 5 rejected uploads"), "{said}");
            assert!(said.contains(words) && !said.contains("database"), "{said}");
        }
    }
}
