//! Whether rejected uploads were two uploads of one device that crossed once.

use crate::diagnose::quiet_period::{QUIET, is_quiet, seen_after};
use crate::diagnose::tree_walk::Walk;
use crate::evidence::{KeyLog, counted, utc};

/// Single rejected uploads that never came again: an upload was accepted later, or the log shows quiet. Where
/// the log ends too soon to tell, that is said.
pub(super) fn crossed(walk: &mut Walk, log: &KeyLog) -> bool {
    let refusals = &walk.refusals;
    let Some(span) = refusals.span() else { return false };
    if refusals.repeated() || refusals.beyond.is_some() || refusals.flooded {
        return false;
    }
    let end = walk.evidence.window.to.min(walk.evidence.now);
    let refused = refusals.refused();
    let accepted_after = log.accepted.uploads.is_some_and(|uploads| uploads.last > span.last);
    if accepted_after || is_quiet(&refused, end) {
        return true;
    }
    let how = format!(
        "the log ends {} after the rejected upload of {}. Ask again in {}: if no upload is rejected until \
         then, or one is accepted, two uploads overlapped once (otk-race)",
        counted(seen_after(&refused, end), "second"),
        utc(span.last),
        counted(QUIET.as_secs().unsigned_abs(), "second")
    );
    walk.missing("the log after the rejected upload", how);
    false
}

#[cfg(test)]
mod tests {
    use crate::diagnose::certainty::Certainty;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::scene::{self, Rows, accepted, at, refused};
    use crate::diagnose::verdict::Verdict;
    use crate::diagnose::verdict_id::VerdictId;
    use crate::evidence::key_log::{Format, Span};
    use crate::evidence::otk::Check::{self, Fails, Unknown, Verifies};

    const ROWS: Rows = Rows { identity: 1, stored: Vec::new() };

    /// One refusal at second 100 in a log that ends at this second; asked at second 3000.
    fn single(signed: [Check; 2], log_ends: i64) -> Verdict {
        let mut log = scene::log(Format::Json, log_ends);
        log.refused = vec![refused("A", (100, 100, 1), signed)];
        diagnose(&scene::evidence(log, Some(ROWS), 3000))
    }

    #[test]
    fn a_race_needs_quiet_that_the_log_shows() {
        for signed in [[Verifies, Verifies], [Unknown, Unknown]] {
            assert_eq!(single(signed, 260).id, VerdictId::OtkRace);
            let verdict = single(signed, 120);
            assert_ne!(verdict.id, VerdictId::OtkRace);
            assert_ne!(verdict.certainty, Certainty::Proven, "a single one may be a race");
            let how = verdict.missing.iter().find(|missing| missing.need.contains("the log after"));
            assert!(how.unwrap().how.contains("ends 20 seconds after"), "{:?}", verdict.missing);
        }
    }

    #[test]
    fn refusals_go_on_until_the_log_shows_quiet() {
        let storm = |log_ends| {
            let mut log = scene::log(Format::Json, log_ends);
            log.refused = vec![refused("A", (100, 200, 9), [Fails, Verifies])];
            let verdict = diagnose(&scene::evidence(log, Some(ROWS), 3000));
            let open = verdict.findings.iter().any(|found| found.contains("the log ends at"));
            (verdict.storm.unwrap().goes_on, open)
        };
        assert_eq!(storm(210), (true, true));
        assert_eq!(storm(2990), (false, false));
    }

    /// matrix-nio 0.26 makes fifty new keys at each failed try: no two refusals name one ID, and no two batches
    /// share one.
    #[test]
    fn ever_new_ids_are_a_storm() {
        for (count, step, verdict) in [
            (34, 2, VerdictId::OtkDiverged),
            (3, 250, VerdictId::OtkDiverged),
            (3, 900, VerdictId::OtkRace),
        ] {
            let mut log = scene::log(Format::Json, 2990);
            log.refused = (0..count)
                .map(|n| {
                    refused(&format!("K{n}"), (100 + n * step, 100 + n * step, 1), [Unknown; 2])
                })
                .collect();
            let found = diagnose(&scene::evidence(log, Some(ROWS), 3000));
            assert_eq!(found.id, verdict, "{count} every {step} s");
        }
    }

    /// On Synapse 1.163 its stock reaches the limit while the server holds no key at all.
    #[test]
    fn uploads_rejected_as_too_many_are_not_healed() {
        let judged = |last, rows| {
            let mut log = scene::log(Format::Json, 2990);
            log.refused = vec![refused("A", (100, 500, 9), [Fails, Verifies])];
            accepted(&mut log, 10, (0, 49), true);
            log.too_large = Some(Span { first: at(520), last: at(last), count: 40 });
            diagnose(&scene::evidence(log, Some(rows), 3000))
        };
        let verdict = judged(2980, ROWS);
        assert_eq!((verdict.id, verdict.certainty), (VerdictId::OtkFlood, Certainty::Proven));
        let storm = verdict.storm.unwrap();
        assert!(storm.goes_on && storm.too_large.is_some());
        // It stopped long ago: the conflict decides.
        assert_eq!(judged(1000, ROWS).id, VerdictId::OtkRecreated);
        // Dead keys are still stored: that is the worse of the two.
        let dead = Rows { identity: 100, stored: vec![("A", 10, Fails)] };
        let verdict = judged(2980, dead);
        assert_eq!(verdict.id, VerdictId::OtkRecreated);
        assert!(verdict.storm.unwrap().goes_on);
    }
}
