//! What a verdict says, how sure it is and whether it still happens → the glyph at the head of a message. The words
//! after it say the same: colour is never the only sign.

use crate::diagnose::Certainty;
use crate::diagnose::verdict_row::VerdictKind;

/// Trouble that is proven and ongoing.
pub const ACTIVE: &str = "🔴";
/// Trouble that is only consistent with what was seen, or that stopped without being cured.
pub const UNSETTLED: &str = "🟠";
/// A storm that ended, with nothing left to do.
pub const RESOLVED: &str = "✅";
/// Nothing is wrong.
pub const HEALTHY: &str = "🟢";
/// Something happened, and nothing on the server has to be repaired.
pub const NOTHING_TO_REPAIR: &str = "ℹ️";
/// Not enough evidence.
pub const UNDECIDED: &str = "⚪";

/// The glyph of a verdict. `stopped` is whether what it is about was seen to stop.
pub fn glyph(kind: VerdictKind, certainty: Certainty, stopped: bool) -> &'static str {
    match kind {
        VerdictKind::Trouble if certainty == Certainty::Proven && !stopped => ACTIVE,
        VerdictKind::Trouble => UNSETTLED,
        VerdictKind::Healthy => HEALTHY,
        VerdictKind::NothingToRepair => NOTHING_TO_REPAIR,
        VerdictKind::NotEnoughEvidence => UNDECIDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proven_trouble_that_still_happens_is_red() {
        let trouble = VerdictKind::Trouble;
        assert_eq!(glyph(trouble, Certainty::Proven, false), ACTIVE);
        assert_eq!(glyph(trouble, Certainty::Proven, true), UNSETTLED);
        assert_eq!(glyph(trouble, Certainty::Consistent, false), UNSETTLED);
        assert_eq!(glyph(VerdictKind::Healthy, Certainty::Consistent, false), HEALTHY);
    }
}
