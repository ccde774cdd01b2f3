//! KE-1 asks first whether the server knows the device.

use crate::diagnose::database_lag;
use crate::diagnose::device_removal::gone;
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
    let certainty = database_lag::no_device(walk);
    walk.decided(Answer::No, vec![others], &walk.evidence.devices());
    walk.because.extend(gone(walk));
    Some((VerdictId::UnknownDevice, certainty))
}
