//! KE-1 asks whether the device holds or uploads far too many keys.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::key_count::{FLOOD, keys_stored};
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::counted;
use crate::evidence::key_log::Format;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "too-many-keys",
    asked: "Does the device have, or upload, far too many keys?",
    rules: &[VerdictId::OtkFlood],
    ask: too_many_keys,
};

fn too_many_keys(walk: &mut Walk) -> Option<Ruling> {
    let total = walk.known.stored_keys().map(|stored| stored.total);
    let Some((because, certainty)) = flood(walk, total) else {
        let (answer, because) = match total {
            Some(total) => (Answer::No, keys_stored(total)),
            None => (Answer::Unknown, "the stored keys could not be counted".into()),
        };
        walk.step(answer, because, &walk.known.stored);
        return None;
    };
    walk.decided(Answer::Yes, vec![because], &walk.known.stored);
    Some((VerdictId::OtkFlood, certainty))
}

/// What shows too many keys: the stored ones, uploads that Synapse rejected for it, or without the database more
/// uploads than claims.
fn flood(walk: &Walk, total: Option<u64>) -> Option<(String, Certainty)> {
    if let Some(total) = total.filter(|total| *total >= FLOOD) {
        let because = format!("{} (50 to 160 is normal)", keys_stored(total));
        return Some((because, Certainty::Proven));
    }
    let log = walk.known.log.value()?;
    // What was rejected before the device came back under its ID is history.
    let over = walk.refusals.renewed;
    if let Some(span) = log.too_large.filter(|span| over.is_none_or(|at| span.last > at)) {
        let goes_on = walk.refusals.too_large.is_some();
        let still = if goes_on { ", and this was still ongoing at the end of the log" } else { "" };
        let because = format!(
            "{} were rejected because the device would hold too many keys (M_TOO_LARGE){still}",
            counted(span.count, "upload")
        );
        let json = log.coverage.iter().all(|log| log.format == Format::Json);
        return Some((because, if json { Certainty::Proven } else { Certainty::Consistent }));
    }
    let claims = log.claims.all.map_or(0, |all| all.count);
    let surplus = log.accepted.keys.saturating_sub(claims);
    let unread = total.is_none() && over.is_none();
    (unread && surplus > FLOOD).then(|| {
        let because = format!("{surplus} more keys were uploaded than claimed in the log window");
        (because, Certainty::Consistent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_flood_is_seen_in_the_rows() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(answer("ke1--otk-flood--flood"), (Answer::Yes, Some(VerdictId::OtkFlood)));
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::No, None));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::Unknown, None));
    }
}
