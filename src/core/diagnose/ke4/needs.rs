//! What KE-4 reads.

use crate::evidence::Need;

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] =
    &[Need::DelayLog, Need::AuthLog, Need::DelayedEvents, Need::SentDelays, Need::Metrics];
