//! What a refusal rests on besides the line that tells of it: the row that still stands, a log that cannot be
//! forged, and the client that saw the same upload refused. Where a client alone tells of one, its user may
//! have made it up, all but the key in the way, which nobody outside the device and the server knows.

use super::refusals::{Group, Row};
use super::verdict::Answer;
use super::walk::Walk;
use crate::evidence::client::ClientRefusal;
use crate::evidence::key_log::Format;
use crate::evidence::{Known, utc};

/// A single refusal that no log has: whether it came again nobody can tell.
pub(super) fn once_by_report(walk: &mut Walk) -> bool {
    if walk.known.log.value().is_some() || walk.refusals.repeated() {
        return false;
    }
    let why = "a single one, by the client's report: two uploads may have crossed";
    walk.step(Answer::Unknown, why, &walk.known.log);
    true
}

/// Without a log: which part of it would tell the cause.
pub(super) fn order_wanted(walk: &mut Walk) {
    let Some(span) = walk.refusals.span() else { return };
    let how = format!(
        "of {} to {} and the minutes before: the order of the uploads tells two clients from a store that \
         was put back",
        utc(span.first),
        utc(span.last)
    );
    walk.missing("the Synapse log", how);
}

/// Where the refusals stand.
pub(super) fn source(walk: &Walk, group: &Group) -> Known<()> {
    if !group.refused.reported {
        return Known::Is((), walk.known.log.ids().to_vec());
    }
    Known::Is((), walk.own_clients().map(|(id, _)| id.to_owned()).collect())
}

/// What makes the line of the log, or the client's word, believable beyond the text.
pub(super) fn confirmation(walk: &Walk, group: &Group) -> Vec<String> {
    let refused = group.refused;
    if refused.reported {
        // Of a client's word nothing else counts.
        let why =
            "the key in the way of the client's refused upload is the very key the database holds";
        return vec![why.into()];
    }
    let why = match (group.row, refused.format) {
        (Row::Old(_), _) => "the database still holds that very key: the log line is no forgery",
        (_, Format::Json) => "the log is JSON: its lines cannot be forged",
        (Row::Other(_) | Row::Gone, Format::Text) => {
            "the row is gone since: only a text log speaks for it, and that can be forged"
        }
        (Row::NotRead, Format::Text) => "only a text log speaks for it, and that can be forged",
    };
    let alike = |seen: &ClientRefusal| seen.same_conflict(&refused.key, &refused.old, &refused.new);
    let met = walk.own_clients().any(|(_, client)| client.refused.iter().any(alike));
    let met = met.then(|| {
        "the client's refused upload is the log's: the same id, the same key in the way, the same offered"
            .to_owned()
    });
    [why.to_owned()].into_iter().chain(met).collect()
}
