//! KE-1 asks whether the device uploads the same keys again and again.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::otk::Claim;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "same-keys-again",
    asked: "Does the device upload the same keys again and again?",
    rules: &[VerdictId::OtkUploadLoop],
    ask: same_keys_again,
};

/// The same batch accepted this often without a claim of it is a loop; twice is a retry.
const LOOP: u64 = 3;

fn same_keys_again(walk: &mut Walk) -> Option<Ruling> {
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
        walk.step(Answer::No, "no batch was accepted repeatedly", &walk.known.log);
        return None;
    };
    let because = format!(
        "the same batch of {} keys was accepted {} times, and none of its keys was claimed",
        batch.batch.count, batch.span.count
    );
    walk.decided(Answer::Yes, vec![because], &walk.known.log);
    Some((VerdictId::OtkUploadLoop, Certainty::Consistent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_batch_that_comes_again_and_again() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--otk-upload-loop--loop"),
            (Answer::Yes, Some(VerdictId::OtkUploadLoop))
        );
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
    }
}
