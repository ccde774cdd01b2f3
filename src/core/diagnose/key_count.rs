//! The questions about how many keys a device has: a flood, an exhaustion, a loop.

use crate::diagnose::tree_walk::{Ruling, Walk};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::key_log::Format;
use crate::evidence::otk::Claim;
use crate::evidence::{Known, counted};

/// So many stored keys are a flood: 50 to 160 is healthy, each reload may add 50. Synapse ≥ 1.163 holds no
/// more than this (`MAX_ONE_TIME_KEYS_PER_ALGORITHM_PER_DEVICE`), so a full device stands right at it.
pub(crate) const FLOOD: u64 = 500;
/// The same batch accepted this often without a claim of it is a loop; twice is a retry.
const LOOP: u64 = 3;

pub(super) fn too_many_keys(walk: &mut Walk) -> Option<Ruling> {
    let total = match &walk.known.stored {
        Known::Is(stored, _) => Some(stored.total),
        Known::None(_) => Some(0),
        Known::Unknown(..) => None,
    };
    let log = walk.known.log.value();
    // What was rejected before the device came back under its ID is history.
    let over = walk.refusals.renewed;
    let refused = log.and_then(|log| log.too_large);
    let refused = refused.filter(|span| over.is_none_or(|at| span.last > at));
    let goes_on = walk.refusals.too_large.is_some();
    let claims = log.and_then(|log| log.claims.all).map_or(0, |all| all.count);
    let surplus = log.map_or(0, |log| log.accepted.keys.saturating_sub(claims));
    let json = log.is_some_and(|log| log.coverage.iter().all(|log| log.format == Format::Json));
    let ruling = match (total, refused) {
        (Some(total), _) if total >= FLOOD => Some((
            format!("{total} one-time keys are stored; 50 to 160 is healthy"),
            Certainty::Proven,
        )),
        (_, Some(span)) => Some((
            format!(
                "{} were rejected because the device would hold too many keys (M_TOO_LARGE){}",
                counted(span.count, "upload"),
                match goes_on {
                    true => ", and they still are at the end of the log",
                    false => "",
                }
            ),
            if json { Certainty::Proven } else { Certainty::Consistent },
        )),
        (None, None) if surplus > FLOOD && over.is_none() => Some((
            format!("{surplus} more keys were uploaded than claimed in the window"),
            Certainty::Consistent,
        )),
        _ => None,
    };
    let Some((because, certainty)) = ruling else {
        let (answer, because) = match total {
            Some(total) => (Answer::No, format!("{total} are stored")),
            None => (Answer::Unknown, "the stored keys could not be counted".into()),
        };
        walk.step(answer, because, &walk.known.stored);
        return None;
    };
    walk.decided(Answer::Yes, vec![because], &walk.known.stored);
    Some((VerdictId::OtkFlood, certainty))
}

pub(super) fn keys_exhausted(walk: &mut Walk) -> Option<Ruling> {
    let fallback = walk.evidence.fallback_keys();
    let empty = match &walk.known.stored {
        Known::Is(stored, _) => stored.total == 0,
        Known::None(_) => true,
        Known::Unknown(why, _) => {
            walk.step(Answer::Unknown, why.clone(), &walk.known.stored);
            return None;
        }
    };
    let because = match &fallback {
        _ if !empty => None,
        Known::Is(rows, _) if rows.iter().any(|row| !row.used) => None,
        Known::Is(..) => Some("no one-time key is left and the fallback key was handed out"),
        Known::None(_) => {
            Some("no one-time key is left and there is no fallback key: nobody can reach it")
        }
        Known::Unknown(..) => None,
    };
    if let (true, Known::Unknown(why, _)) = (empty, &fallback) {
        walk.step(Answer::Unknown, why.clone(), &fallback);
        walk.findings.push("no one-time key is stored; the fallback key could not be read".into());
        return None;
    }
    let Some(because) = because else {
        if empty && walk.known.keys.value().is_some() {
            walk.findings
                .push("no one-time key is stored; the fallback key is still unused".into());
        }
        walk.step(Answer::No, "keys are left to hand out", &fallback);
        return None;
    };
    walk.decided(Answer::Yes, vec![because.into()], &fallback);
    walk.known.keys.value()?;
    Some((VerdictId::OtkExhausted, Certainty::Proven))
}

pub(super) fn same_keys_again(walk: &mut Walk) -> Option<Ruling> {
    let Some(log) = walk.known.log.value() else {
        walk.step(Answer::Unknown, "no log was read", &walk.known.log);
        return None;
    };
    let looping = log.accepted.batches.iter().find(|batch| {
        // IDs that are no counters leave only a count, and equal counts are not equal keys.
        let Some((low, high)) = batch.batch.range else { return false };
        let claimed = |claim: &Claim| claim.id.counter().is_some_and(|id| low <= id && id <= high);
        // After a removal the first keys come again: that is another account.
        let span = batch.span;
        let renewed = log.removed.iter();
        let renewed = renewed.filter(|one| span.first <= one.at && one.at <= span.last).count();
        span.count >= LOOP + renewed as u64 && !log.claims.kept.iter().any(claimed)
    });
    let Some(batch) = looping else {
        walk.step(Answer::No, "no batch was accepted over and over", &walk.known.log);
        return None;
    };
    let because = format!(
        "one batch of {} keys was accepted {} times, and none of it was claimed",
        batch.batch.count, batch.span.count
    );
    walk.decided(Answer::Yes, vec![because], &walk.known.log);
    Some((VerdictId::OtkUploadLoop, Certainty::Consistent))
}
