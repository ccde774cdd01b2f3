//! KE-4: delayed events whose restarts fail, so that a call's membership ends. The log tells what the
//! homeserver answered and how fast; the client is asked last.

use super::verdict::VerdictId;
use super::walk::Question;
use crate::evidence::Need;

/// What the branch reads.
pub(super) const NEEDS: &[Need] =
    &[Need::DelayLog, Need::DelayedEvents, Need::SentDelays, Need::Metrics];

/// The trunk: in the order in which verdicts are tried.
pub(super) const QUESTIONS: &[Question] = &[Question {
    name: "delays",
    asked: "Not asked yet",
    rules: &[
        VerdictId::DelayRateLimited,
        VerdictId::DelayHomeserverSlow,
        VerdictId::DelayGone,
        VerdictId::DelayOff,
        VerdictId::DelayNotArriving,
        VerdictId::DelayClient,
        VerdictId::DelayHealthy,
    ],
    ask: |_| None,
}];
