//! What the logs show after rejected uploads: quiet, more of them, or too little to tell. The clock on the wall
//! tells nothing of it: a log that was not read further shows no quiet.

use jiff::{SignedDuration, Timestamp};

use crate::evidence::key_log::{Refused, Span};
use crate::evidence::{KeyLog, counted, utc};

/// A refusal younger than this, at the end of the log, continues: an idle client retries twice a minute (with
/// the sync's 30 s timeout), so five missed tries are silence.
pub(super) const QUIET: SignedDuration = SignedDuration::from_secs(150);
/// So many rejected uploads of one device within this time are no crossing of two uploads, whichever key
/// IDs they name: the storm watch's measure.
const MANY: usize = 3;
const WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Whether each log that has one of them shows quiet after it.
pub(super) fn is_quiet(refused: &[&Refused], end: Timestamp) -> bool {
    let quiet = |one: &&Refused| read_to(one, end).duration_since(one.span.last) > QUIET;
    refused.iter().all(quiet)
}

/// Whether refusals were still arriving at the end of what was seen.
pub(super) fn goes_on(refused: &[&Refused], last: Timestamp, end: Timestamp) -> bool {
    newest(refused, end).duration_since(last) <= QUIET
}

/// How much later than the newest refusal its log ends, in seconds.
pub(super) fn seen_after(refused: &[&Refused], end: Timestamp) -> u64 {
    let last = refused.iter().map(|one| one.span.last).max();
    let seen = last.map(|last| newest(refused, end).duration_since(last).as_secs());
    u64::try_from(seen.unwrap_or(0)).unwrap_or(0)
}

/// A log that ends soon after a refusal, and long before the end of the window: whether more came is not
/// known.
pub(super) fn unread_after(refused: &[&Refused], end: Timestamp) -> Option<String> {
    let last = refused.iter().map(|one| one.span.last).max()?;
    let read_to = newest(refused, end);
    let too_soon = read_to.duration_since(last) <= QUIET && end.duration_since(read_to) > QUIET;
    too_soon.then(|| {
        format!(
            "the log ends at {}, {} after the last rejected upload, so it is not known whether more followed",
            utc(read_to),
            counted(seen_after(refused, end), "second")
        )
    })
}

/// Uploads rejected as too many that still arrive at the end of the log.
pub(super) fn too_large_at_end(log: &KeyLog, end: Timestamp) -> Option<Span> {
    let read_to = log.coverage.iter().filter_map(|part| Some(part.span?.1)).max().unwrap_or(end);
    log.too_large.filter(|span| read_to.min(end).duration_since(span.last) <= QUIET)
}

/// So many within ten minutes, each of another key ID: matrix-nio makes new keys at each try.
pub(super) fn many_at_once(refused: &[&Refused]) -> bool {
    let mut moments: Vec<_> = refused.iter().map(|one| one.span.first).collect();
    moments.sort_unstable();
    moments.windows(MANY).any(|some| some[MANY - 1].duration_since(some[0]) <= WITHIN)
}

/// How far the log was read that has the newest refusal.
fn newest(refused: &[&Refused], end: Timestamp) -> Timestamp {
    let newest = refused.iter().max_by_key(|one| one.span.last);
    newest.map_or(end, |one| read_to(one, end))
}

/// A client's report covers its own time only, up to the question.
fn read_to(refused: &Refused, end: Timestamp) -> Timestamp {
    refused.read_to.map_or(end, |read_to| read_to.min(end))
}
