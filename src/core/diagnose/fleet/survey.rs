//! Everybody's evidence → who is affected now, grouped by cause and by client, worst first.
//!
//! A survey and no verdict: it says where to look, and `!ke1` proves it for one device.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use ruma::{OwnedDeviceId, OwnedUserId};

use super::affected::{Affected, Standing, Trouble};
use super::cause::Cause;
use super::common_start::common_start;
use super::overview::Fleet;
use super::resolved_refusals::Removals;
use crate::diagnose::key_count::FLOOD;
use crate::diagnose::log_visibility::of_survey;
use crate::diagnose::quiet_period::QUIET;
use crate::evidence::fleet::{FleetLog, FleetRows, Holder, Uploader};
use crate::evidence::key_log::{Coverage, Span};
use crate::evidence::otk::Check;
use crate::evidence::{Evidence, Need, counted};

/// What the survey reads.
pub(in crate::diagnose) const NEEDS: &[Need] = &[Need::FleetLog, Need::FleetRows];

/// A refusal this near to the log's beginning may have begun before it: an idle client tries twice a
/// minute.
const EDGE: SignedDuration = SignedDuration::from_secs(120);
/// Distinct keys that a log tells apart; of as many nobody knows whether one came twice.
const KEYS_TOLD_APART: u64 = 64;

/// Surveys everybody.
pub fn fleet(evidence: &Evidence) -> Fleet {
    let log = evidence.fleet_log();
    let rows = evidence.fleet_rows();
    let mut survey = Survey { evidence, devices: BTreeMap::new(), crossed: 0, resolved: 0 };
    if let Some(log) = log.value() {
        survey.log(log, rows.value().copied());
    }
    if let Some(rows) = rows.value() {
        survey.rows(rows, log.value().is_some());
    }
    let mut affected: Vec<_> = survey.devices.into_values().collect();
    affected.retain(|of| !of.troubles.is_empty());
    for of in &mut affected {
        of.troubles.sort_by_key(|trouble| trouble.cause);
    }
    affected.sort_by_cached_key(Affected::order);
    let keyless = rows.value().map_or(0, |rows| rows.keyless);
    let mut fleet = Fleet {
        window: evidence.window,
        causes: causes(&affected, keyless),
        agents: agents(&affected),
        together: common_start(&affected, evidence.window),
        affected,
        findings: Vec::new(),
        read: Vec::new(),
        unread: Vec::new(),
        cut: Vec::new(),
        also: Vec::new(),
    };
    if survey.crossed > 0 {
        let said = format!("{} with a single rejected upload: two uploads crossed", survey.crossed);
        fleet.findings.push(said);
    }
    if survey.resolved > 0 {
        let devices = counted(survey.resolved, "device");
        let said = "resolved: removed and logged in again after their rejected uploads";
        fleet.findings.push(format!("{devices} {said}"));
    }
    fleet.reach(&log, &rows);
    let blind = of_survey(evidence);
    fleet.failed(evidence, blind.is_some());
    if let Some((blind, also)) = blind {
        fleet.unread.push(format!("{}; {}", blind.text(), blind.how()));
        fleet.also.push(also);
    }
    fleet
}

/// The devices so far.
struct Survey<'a> {
    evidence: &'a Evidence,
    devices: BTreeMap<(OwnedUserId, OwnedDeviceId), Affected>,
    /// Single refusals that never came again.
    crossed: u64,
    /// Devices whose refusals are history.
    resolved: u64,
}

impl Survey<'_> {
    fn device(&mut self, user: &OwnedUserId, device: &OwnedDeviceId) -> &mut Affected {
        self.devices.entry((user.clone(), device.clone())).or_insert_with(|| Affected {
            user: user.clone(),
            device: device.clone(),
            troubles: Vec::new(),
            since: None,
            or_before: false,
            last_seen: None,
            agent: None,
            standing: Standing::Unasked,
        })
    }

    fn log(&mut self, log: &FleetLog, rows: Option<&FleetRows>) {
        let spans = || log.coverage.iter().filter_map(|coverage| coverage.span);
        let begin = spans().map(|(from, _)| from).min();
        // Behind the newest record nobody knows whether it continued.
        let read_to = log.coverage.iter().filter_map(Coverage::until).max();
        let end = self.evidence.window.to.min(self.evidence.now);
        let end = read_to.map_or(end, |read_to| end.min(read_to));
        let renewed = Removals { log, rows };
        for of in &log.devices {
            let identity = renewed.identity(of);
            let (of, past) = renewed.present(of);
            self.resolved += u64::from(past > 0);
            // Quiet is what the log shows: one that was not read further shows none.
            let end = of.read_to.map_or(end, |read_to| read_to.min(end));
            let quiet = |span: Span| end.duration_since(span.last) > QUIET;
            // An identity that came later was never refused.
            let over = |span: Span| identity.is_some_and(|added| added > span.last);
            let conflict = of.refused.filter(|span| !crossed(&of, *span, quiet(*span)));
            self.crossed += u64::from(conflict.is_none() && of.refused.is_some());
            let troubles = [(Cause::Conflict, conflict), (Cause::Flood, of.too_large)];
            for (cause, span) in troubles {
                let Some(span) = span else { continue };
                let affected = self.device(&of.user, &of.device);
                affected.agent = affected.agent.take().or_else(|| of.agent.clone());
                affected.began(span.first);
                affected.or_before |= begin.is_some_and(|begin| {
                    span.first.duration_since(begin) < EDGE.max(interval(span) * 2)
                });
                affected.troubles.push(Trouble {
                    cause,
                    count: span.count,
                    rate: rate(span),
                    goes_on: !quiet(span) && !over(span),
                });
            }
        }
    }

    fn rows(&mut self, rows: &FleetRows, logged: bool) {
        for (of, trouble) in rows.devices.iter().flat_map(|of| stored(of).map(move |it| (of, it))) {
            let affected = self.device(&of.user, &of.device);
            affected.last_seen = of.last_seen;
            affected.standing = Standing::Proven;
            if trouble.cause == Cause::DeadIdentity
                && let Some(identity) = of.identity
            {
                affected.began(identity);
            }
            match affected.troubles.iter_mut().find(|known| known.cause == trouble.cause) {
                Some(known) => known.count = known.count.max(trouble.count),
                None => affected.troubles.push(trouble),
            }
        }
        let Some(confirmed) = rows.confirmed.as_ref().filter(|_| logged) else { return };
        let behind = self.evidence.database_behind().is_some();
        for of in self.devices.values_mut().filter(|of| of.standing == Standing::Unasked) {
            let found = confirmed.iter().find(|row| row.user == of.user && row.device == of.device);
            of.standing = match found {
                Some(row) if row.holds_old_key => Standing::Proven,
                Some(_) => Standing::Exists,
                // The primary may have what a replica does not have yet.
                None if behind => Standing::Unasked,
                None => Standing::Absent,
            };
        }
    }
}

/// No key id was refused twice, and uploads were taken after or the log shows quiet: two uploads crossed.
fn crossed(of: &Uploader, span: Span, quiet: bool) -> bool {
    let single = !of.repeated && of.keys < KEYS_TOLD_APART && span.count <= of.keys;
    // Evidence of older versions says that uploads were taken, and not when.
    let taken = of.accepted_last.map_or(of.accepted > 0, |last| last > span.last);
    single && (taken || quiet)
}

/// The time between two refusals: one that comes every ten minutes may have begun long before its first.
fn interval(span: Span) -> SignedDuration {
    let gaps = i32::try_from(span.count.saturating_sub(1)).unwrap_or(i32::MAX);
    span.last.duration_since(span.first) / gaps.max(1)
}

/// Refusals a second between the first and the last; two say nothing of a rate.
fn rate(span: Span) -> Option<f64> {
    let seconds = span.last.duration_since(span.first).as_secs_f64();
    (seconds > 0.0 && span.count > 2).then(|| span.count.saturating_sub(1) as f64 / seconds)
}

/// What is wrong with a device's stored keys. A key that is older than the identity and still verifies is
/// of the same account: published anew, and well.
fn stored(of: &Holder) -> impl Iterator<Item = Trouble> + use<> {
    let published = of.identity.is_some();
    let empty = published && of.one_time_keys == 0 && of.dehydrated != Some(true);
    let found = [
        (!published, Cause::Keyless, 0),
        (of.next_key == Some(Check::Fails), Cause::DeadIdentity, of.older),
        (of.one_time_keys >= FLOOD, Cause::Flood, of.one_time_keys),
        (empty, Cause::Exhausted, 0),
    ];
    let trouble = |(_, cause, count)| Trouble { cause, count, rate: None, goes_on: false };
    found.into_iter().filter(|(is_so, ..)| *is_so).map(trouble)
}

fn causes(affected: &[Affected], keyless: u64) -> Vec<(Cause, u64)> {
    let mut counts = BTreeMap::new();
    for trouble in affected.iter().flat_map(|of| &of.troubles) {
        *counts.entry(trouble.cause).or_insert(0) += 1;
    }
    // Of these the database lists a few and counts all.
    if keyless > 0 {
        counts.insert(Cause::Keyless, keyless);
    }
    counts.into_iter().collect()
}

fn agents(affected: &[Affected]) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for agent in affected.iter().filter_map(|of| of.agent.as_deref()) {
        *counts.entry(agent).or_default() += 1;
    }
    let mut counts: Vec<_> =
        counts.into_iter().map(|(agent, count)| (agent.to_owned(), count)).collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

#[cfg(test)]
mod tests;
