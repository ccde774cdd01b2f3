//! What KE-3 reads.

use crate::evidence::Need;

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] = &[Need::Event, Need::Redactions, Need::EventShape];
