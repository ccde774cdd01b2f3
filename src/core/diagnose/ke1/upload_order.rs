//! How refused and accepted uploads lie in time: what parts two clients on one store from a store that
//! was put back. It reads the order of things, never a key.

use jiff::{SignedDuration, Timestamp};

use crate::diagnose::refusals::Refusals;
use crate::evidence::key_log::{AcceptedBatch, Refused};
use crate::evidence::{KeyLog, counted};

/// Two syncs of one device that overlap leave tens of these lines; one client leaves 0 to 2.
const SHARED_SYNC: u64 = 10;
/// A client offers its keys within its first syncs.
const START: SignedDuration = SignedDuration::from_secs(60);

/// How the refusals and the accepted uploads lie in time, to part the two "same account" causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadOrder {
    /// With uploads accepted in between, or by overlapping syncs alone.
    TwoClients {
        interleaved: bool,
    },
    Rollback,
    Unclear,
}

impl UploadOrder {
    /// Why, for a person.
    pub(super) fn words(self, refusals: &Refusals, log: &KeyLog) -> String {
        match self {
            Self::TwoClients { interleaved } => {
                let overlaps = counted(log.shared_sync, "overlapping sync");
                let seen = match (interleaved, log.shared_sync) {
                    (true, 0) => "uploads with other key IDs were accepted in between".to_owned(),
                    (true, _) => {
                        format!(
                            "uploads with other key IDs were accepted in between, with {overlaps}"
                        )
                    }
                    (false, _) => format!("the device had {overlaps}"),
                };
                format!("{seen}, so two clients take turns")
            }
            Self::Rollback => {
                let started = started_before(refusals, log);
                let start = if started { "a client of the user had just started, " } else { "" };
                format!(
                    "{start}the rejected key IDs had been accepted before, and nothing else was accepted \
                     in between, so one client runs on an older copy of its store"
                )
            }
            Self::Unclear => {
                "the order of the uploads in the log does not show which of the two causes it is"
                    .into()
            }
        }
    }
}

/// Whether a client of the user began shortly before the first refusal.
fn started_before(refusals: &Refusals, log: &KeyLog) -> bool {
    let Some(span) = refusals.span() else { return false };
    let ago = |start: &Timestamp| span.first.duration_since(*start);
    log.client_starts.iter().map(ago).any(|ago| SignedDuration::ZERO <= ago && ago <= START)
}

/// Reads the order off the refusals that count.
pub(super) fn upload_order(refusals: &Refusals, log: &KeyLog) -> UploadOrder {
    let Some(span) = refusals.span() else {
        return UploadOrder::Unclear;
    };
    let ranges = refusals.groups.iter().filter_map(|group| group.refused.batch.range);
    let Some(refused) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return UploadOrder::Unclear;
    };
    let accepted = |pick: &dyn Fn(&AcceptedBatch, (u64, u64)) -> bool| {
        log.accepted
            .batches
            .iter()
            .any(|batch| batch.batch.range.is_some_and(|range| pick(batch, range)))
    };
    let meanwhile = accepted(&|batch, range| {
        span.first < batch.span.last && batch.span.first < span.last && range.1 > refused.1
    });
    // A client offers all keys that it has not published, so that one which is refused is part of each try. An
    // upload without it that was taken in between is another client's.
    let without = |of: &Refused, batch: &AcceptedBatch, range: (u64, u64)| {
        let between = of.span.first < batch.span.first && batch.span.first < of.span.last;
        between && of.key.counter().is_some_and(|key| range.0 > key)
    };
    let groups = refusals.refused();
    let meanwhile =
        meanwhile || accepted(&|batch, range| groups.iter().any(|of| without(of, batch, range)));
    let before = accepted(&|batch, range| {
        batch.span.first < span.first && range.0 <= refused.1 && refused.0 <= range.1
    });
    let device_keys = refusals.groups.iter().any(|group| group.refused.with_device_keys > 0);
    match (meanwhile, before) {
        _ if device_keys => UploadOrder::Unclear,
        (true, _) => UploadOrder::TwoClients { interleaved: true },
        (false, _) if log.shared_sync >= SHARED_SYNC => {
            UploadOrder::TwoClients { interleaved: false }
        }
        (false, true) if span.count > 1 => UploadOrder::Rollback,
        _ => UploadOrder::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::certainty::Certainty;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::scene::{self, Rows, accepted, refused};
    use crate::diagnose::verdict_id::VerdictId;
    use crate::evidence::KeyId;
    use crate::evidence::key_log::{Batch, Format, Refused};
    use crate::evidence::otk::Check::Verifies;

    /// mautrix-python on libolm: key IDs of six characters.
    fn range(low: &str, high: &str) -> (u64, u64) {
        let counter = |id: &str| KeyId(format!("signed_curve25519:{id}")).counter().unwrap();
        (counter(low), counter(high))
    }

    fn of_libolm(first: i64, last: i64, count: u64) -> Refused {
        let range = Some(range("AAAAMw", "AAAAPA"));
        let batch = Batch { range, count: 10 };
        Refused { batch, ..refused("AAAAMw", (first, last, count), [Verifies, Verifies]) }
    }

    #[test]
    fn two_processes_and_a_rollback_on_libolm_are_told_apart() {
        // mautrix-python makes more keys at each failed try: the refused batch grows beyond what the other
        // process publishes one by one.
        let rest = range("AAAAPQ", "AAAAQQ");
        let one = range("AAAANQ", "AAAANQ");
        for (meanwhile, verdict) in [
            (Some(rest), VerdictId::OtkConcurrent),
            (Some(one), VerdictId::OtkConcurrent),
            (None, VerdictId::OtkRolledBack),
        ] {
            let mut log = scene::log(Format::Json, 900);
            accepted(&mut log, 10, range("AAAAAQ", "AAAAMg"), true);
            accepted(&mut log, 60, range("AAAAMw", "AAAAPA"), false);
            if let Some(range) = meanwhile {
                accepted(&mut log, 150, range, false);
            }
            log.refused = vec![of_libolm(100, 200, 8)];
            let rows = Rows { identity: 10, stored: vec![("AAAAMw", 60, Verifies)] };
            let found = diagnose(&scene::evidence(log, Some(rows), 1000));
            assert_eq!((found.id, found.certainty), (verdict, Certainty::Consistent));
        }
    }
}
