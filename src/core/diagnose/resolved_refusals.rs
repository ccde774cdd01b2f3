//! Rejected uploads of a device that came back under its ID → history: the logout deleted the keys that were
//! in the way, and the login made a new identity.
//!
//! Anyone can write a removal into a text log, so it counts only where the database shows that the present
//! identity came later. Nobody outside can forge that.

use jiff::{SignedDuration, Timestamp};

use super::key_count::FLOOD;
use super::verdict::Resolved;
use crate::evidence::key_log::{Format, Refused, Removal, Span};
use crate::evidence::otk::Check;
use crate::evidence::removal::RemovedBy;
use crate::evidence::{DeviceKeys, KeyLog, StoredKeys};

/// How far the clocks of two processes of one server may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(10);

/// The device's last removal that its present identity came after.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastRemoval<'a> {
    log: &'a KeyLog,
    keys: Option<&'a DeviceKeys>,
    /// The line names the device.
    pub named: Option<Removal>,
}

impl<'a> LastRemoval<'a> {
    pub fn find(log: &'a KeyLog, keys: Option<&'a DeviceKeys>) -> Self {
        let newest = |by| {
            let mut all = log.removed.iter().rev().filter(|removal| removal.by == by);
            all.find(|removal| believed(removal, log, keys)).copied()
        };
        // The task ends some time after the removal, maybe after the next login. It counts only where no line
        // names the removal itself.
        let named = newest(RemovedBy::Deleted).or_else(|| newest(RemovedBy::Task));
        Self { log, keys, named }
    }

    /// Why a group of refusals is history, and since when; none where it is not. `old` is when the row was
    /// stored that still holds the very key that was in the way.
    pub fn history(&self, refused: &Refused, old: Option<Timestamp>) -> Option<Resolved> {
        let span = refused.span;
        self.is_before(span, old).or_else(|| {
            // Neither key is of the present account, and that came later: a logout or a new store ended it.
            let keys = self.keys.filter(|keys| keys.added > span.last)?;
            let checks = (refused.old.check, refused.new.check);
            let ended = checks == (Check::Fails, Check::Fails) && old.is_none();
            ended.then(|| self.resolved(span, keys.added))
        })
    }

    /// Whether a span of rejected uploads ended before the removal.
    pub fn is_over(&self, span: Span) -> bool {
        self.named.is_some_and(|removal| span.last <= removal.at)
    }

    /// The same of a span of rejected uploads.
    pub fn is_before(&self, span: Span, old: Option<Timestamp>) -> Option<Resolved> {
        let removal = self.named.filter(|_| self.is_over(span))?;
        // A row that was there before the removal contradicts it: the removal takes all keys.
        let survived = old.is_some_and(|added| added <= removal.at);
        (!survived).then_some(Resolved { at: removal.at, by: Some(removal.by), span })
    }

    /// Why uploads that were rejected as too many are history. Without a line of the removal, the present identity and
    /// each stored key are newer: the stock that was too large was deleted.
    pub fn too_large(&self, span: Span, stored: Option<&StoredKeys>) -> Option<Resolved> {
        self.is_before(span, None).or_else(|| {
            let keys = self.keys.filter(|keys| keys.added > span.last)?;
            let stored = stored.filter(|stored| stored.total < FLOOD)?;
            let deleted = stored.keys.iter().all(|key| key.added > span.last);
            deleted.then(|| self.resolved(span, keys.added))
        })
    }

    fn resolved(&self, span: Span, added: Timestamp) -> Resolved {
        let between = |removal: &&Removal| span.last <= removal.at && removal.at <= added;
        let removal = self.log.removed.iter().rev().find(between);
        Resolved { at: added, by: removal.map(|removal| removal.by), span }
    }
}

/// Whether the identity that the server holds now came after the removal. Without the database a JSON log
/// will do; in a text log the device has to publish keys again.
fn believed(removal: &Removal, log: &KeyLog, keys: Option<&DeviceKeys>) -> bool {
    if let Some(keys) = keys {
        let skew = if removal.by == RemovedBy::Deleted { SKEW } else { SignedDuration::ZERO };
        return removal.at.duration_since(keys.added) <= skew;
    }
    let again = || {
        let mut batches = log.accepted.batches.iter();
        batches.any(|batch| batch.with_device_keys > 0 && batch.span.last >= removal.at)
    };
    removal.format == Format::Json || again()
}

#[cfg(test)]
mod tests {
    use Check::{Fails, Unknown, Verifies};

    use super::*;
    use crate::diagnose::certainty::Certainty;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::scene::{self, Rows, accepted, at, refused, removed};
    use crate::diagnose::verdict::Verdict;
    use crate::diagnose::verdict_id::VerdictId;
    use crate::evidence::Evidence;

    /// Refused from second 100 to 130, removed at 140, back at 141; asked at second 300, or later.
    fn cured(format: Format, checks: [Check; 2]) -> KeyLog {
        let mut log = scene::log(format, 300);
        log.refused = vec![Refused { format, ..refused("A", (100, 130, 6), checks) }];
        log.removed = vec![removed(140, RemovedBy::Deleted, format)];
        accepted(&mut log, 141, (0, 49), true);
        log
    }

    fn back() -> Option<Rows> {
        Some(Rows { identity: 141, stored: vec![("N", 141, Verifies)] })
    }

    fn judged(log: KeyLog, rows: Option<Rows>) -> Verdict {
        diagnose(&scene::evidence(log, rows, 300))
    }

    fn says(verdict: &Verdict, words: &str) -> bool {
        verdict.findings.iter().any(|finding| finding.contains(words))
    }

    #[test]
    fn a_cured_device_is_history() {
        for format in [Format::Json, Format::Text] {
            // Keys without a signature of the device are history as well.
            for checks in [[Fails, Fails], [Unknown, Unknown]] {
                let verdict = judged(cured(format, checks), back());
                assert_eq!(verdict.id, VerdictId::OtkHealthy, "{format:?}: {:?}", verdict.path);
                assert_eq!(verdict.certainty, Certainty::Consistent);
                assert!(verdict.storm.is_none());
                assert!(says(&verdict, "the device was removed at"), "{:?}", verdict.findings);
                assert!(says(&verdict, "6 rejected uploads before"), "{:?}", verdict.findings);
                let resolved = verdict.resolved.unwrap();
                assert_eq!((resolved.at, resolved.span.count), (at(140), 6));
            }
        }
    }

    #[test]
    fn a_refusal_after_the_cure_counts() {
        let mut log = cured(Format::Json, [Fails, Fails]);
        log.refused.push(refused("N", (200, 290, 5), [Fails, Verifies]));
        let rows = Rows { identity: 199, stored: vec![("N", 141, Fails)] };
        let verdict = judged(log, Some(rows));
        assert_eq!((verdict.id, verdict.certainty), (VerdictId::OtkRecreated, Certainty::Proven));
        assert_eq!(verdict.storm.as_ref().unwrap().span.count, 5);
        assert!(says(&verdict, "6 rejected uploads before"), "{:?}", verdict.findings);
    }

    /// Synapse empties the device's inbox in a task that may end after the next login.
    #[test]
    fn a_task_that_ends_late_hides_no_refusal() {
        let mut log = cured(Format::Json, [Fails, Fails]);
        log.refused.push(refused("N", (143, 146, 5), [Verifies, Verifies]));
        log.removed.push(removed(147, RemovedBy::Task, Format::Json));
        let verdict = judged(log.clone(), back());
        assert_eq!(verdict.resolved.unwrap().by, Some(RemovedBy::Deleted));
        assert_eq!(verdict.storm.unwrap().span.count, 5);
        // Nor where no other line reports the removal, as before Synapse 1.149.
        log.removed.retain(|removal| removal.by == RemovedBy::Task);
        assert_eq!(judged(log, back()).storm.unwrap().span.count, 5);
        let mut log = cured(Format::Text, [Unknown, Unknown]);
        log.removed = vec![removed(140, RemovedBy::Task, Format::Text)];
        assert_eq!(judged(log, back()).id, VerdictId::OtkHealthy);
    }

    #[test]
    fn uploads_rejected_as_too_many_before_the_cure_are_no_flood() {
        let mut log = cured(Format::Json, [Fails, Fails]);
        log.too_large = Some(Span { first: at(110), last: at(135), count: 9 });
        let verdict = judged(log.clone(), back());
        assert_eq!(verdict.id, VerdictId::OtkHealthy);
        assert!(says(&verdict, "15 rejected uploads before"), "{:?}", verdict.findings);
        // No line names the removal. The present identity is newer, and so is each stored key.
        log.removed.clear();
        let verdict = judged(log.clone(), back());
        assert_eq!(verdict.id, VerdictId::OtkHealthy);
        assert!(says(&verdict, "15 rejected uploads ("), "{:?}", verdict.findings);
        // A key from before: the stock was not deleted, so the limit may still be reached.
        let rows = Rows { identity: 141, stored: vec![("N", 120, Verifies)] };
        assert_eq!(judged(log, Some(rows)).id, VerdictId::OtkFlood);
    }

    #[test]
    fn a_forged_removal_hides_nothing() {
        // The identity that the server holds is older than the removal that the line reports.
        for format in [Format::Text, Format::Json] {
            let rows = Rows { identity: 100, stored: vec![("A", 20, Fails)] };
            let verdict = judged(cured(format, [Fails, Verifies]), Some(rows));
            assert_eq!(verdict.id, VerdictId::OtkRecreated, "{format:?}");
            assert_eq!(verdict.storm.unwrap().span.count, 6);
        }
        // A row from before the removal is still there.
        let rows = Rows { identity: 141, stored: vec![("A", 20, Fails)] };
        let verdict = judged(cured(Format::Text, [Fails, Fails]), Some(rows));
        assert_ne!(verdict.id, VerdictId::OtkHealthy);
        assert!(verdict.resolved.is_none());
    }

    #[test]
    fn without_the_line_a_newer_identity_tells_it() {
        for (by, words) in
            [(None, "no line about the removal"), (Some(RemovedBy::Sync), "authentication service")]
        {
            let mut log = cured(Format::Json, [Fails, Fails]);
            log.removed = by.map(|by| removed(140, by, Format::Json)).into_iter().collect();
            let verdict = judged(log, back());
            assert_eq!(verdict.id, VerdictId::OtkHealthy);
            assert!(says(&verdict, "consistent with a logout"), "{:?}", verdict.findings);
            assert!(says(&verdict, words), "{:?}", verdict.findings);
        }
        // A device whose store was wiped replaces its identity before its upload is rejected.
        let mut log = cured(Format::Json, [Fails, Verifies]);
        log.removed.clear();
        let verdict = judged(log, Some(Rows { identity: 100, ..back().unwrap() }));
        assert_eq!(verdict.id, VerdictId::OtkRecreated);
        // Nor does the authentication service's line alone, which names no device, end a storm.
        let mut log = cured(Format::Json, [Verifies, Verifies]);
        log.removed = vec![removed(140, RemovedBy::Sync, Format::Json)];
        assert!(judged(log, back()).resolved.is_none());
    }

    #[test]
    fn without_the_database_nobody_is_declared_well() {
        for format in [Format::Json, Format::Text] {
            let verdict = judged(cured(format, [Unknown, Unknown]), None);
            assert_eq!(verdict.id, VerdictId::Inconclusive, "{format:?}");
            assert!(verdict.resolved.is_some());
        }
        // A text log in which the device never comes back proves no removal.
        let mut log = cured(Format::Text, [Unknown, Unknown]);
        log.accepted = Default::default();
        assert_eq!(judged(log, None).id, VerdictId::OtkDiverged);
    }

    #[test]
    fn a_device_that_comes_back_often_is_no_upload_loop() {
        let mut log = scene::log(Format::Json, 300);
        for second in [10, 110, 210] {
            log.removed.push(removed(second, RemovedBy::Deleted, Format::Json));
            accepted(&mut log, second + 1, (0, 49), true);
        }
        let mut sum = KeyLog::default();
        sum.add(&log);
        let rows = Rows { identity: 211, stored: vec![("N", 211, Verifies)] };
        assert_eq!(judged(sum, Some(rows)).id, VerdictId::OtkHealthy);
    }

    #[test]
    fn a_saved_case_without_removals_still_loads() {
        let evidence = scene::evidence(cured(Format::Json, [Fails, Fails]), back(), 300);
        let mut saved = serde_json::to_value(&evidence).unwrap();
        let log = saved["gathered"][0]["fact"]["key-log"].as_object_mut().unwrap();
        assert!(log.remove("removed").is_some());
        assert!(serde_json::from_value::<Evidence>(saved).is_ok());
    }
}
