//! KE-1 asks whether the device holds or uploads far too many keys.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::key_count::FLOOD;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::key_log::Format;
use crate::evidence::{Known, counted};

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "too-many-keys",
    asked: "Does it hold or upload far too many keys?",
    rules: &[VerdictId::OtkFlood],
    ask: too_many_keys,
};

fn too_many_keys(walk: &mut Walk) -> Option<Ruling> {
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
