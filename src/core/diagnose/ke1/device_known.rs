//! KE-1 asks first whether the server knows the device.

use crate::diagnose::database_lag;
use crate::diagnose::device_removal::removal_reasons;
use crate::diagnose::known_device::unknown_device;
use crate::diagnose::tree_walk::{Ruling, TreeQuestion, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;

pub(super) const QUESTION: TreeQuestion = TreeQuestion {
    name: "device-known",
    asked: "Does the server know this device?",
    rules: &[VerdictId::UnknownDevice],
    ask: device_known,
};

fn device_known(walk: &mut Walk) -> Option<Ruling> {
    let others = unknown_device(walk)?;
    let certainty = database_lag::certainty_of_no_device(walk);
    walk.decided(Answer::No, vec![others], &walk.evidence.devices());
    walk.because.extend(removal_reasons(walk));
    Some((VerdictId::UnknownDevice, certainty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::scene::answer_of;

    #[test]
    fn a_device_without_rows_is_unknown() {
        let answer = |case| answer_of(case, &QUESTION);
        assert_eq!(
            answer("ke1--unknown-device--nobody"),
            (Answer::No, Some(VerdictId::UnknownDevice))
        );
        assert_eq!(answer("ke1--otk-healthy--healthy"), (Answer::Yes, None));
        assert_eq!(answer("ke1--inconclusive--blind"), (Answer::Unknown, None));
    }
}
