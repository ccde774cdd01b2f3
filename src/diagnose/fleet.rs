//! Everybody's evidence → who is affected now, grouped by cause and by client, worst first.

use super::verdict::Certainty;
use crate::evidence::{Evidence, Need, Window};

/// What the survey reads.
pub(super) const NEEDS: &[Need] = &[Need::FleetLog, Need::FleetRows];

/// Who is affected.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub window: Window,
}

impl Fleet {
    /// Not enough where neither log nor database could be read.
    pub fn certainty(&self) -> Certainty {
        Certainty::NotEnoughEvidence
    }
}

/// Surveys everybody.
pub fn fleet(evidence: &Evidence) -> Fleet {
    Fleet { window: evidence.window }
}
