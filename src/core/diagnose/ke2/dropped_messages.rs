//! What 9533_debug says about messages to the device that the server dropped.

use crate::diagnose::certainty::Certainty;
use crate::evidence::to_device::ToDeviceLog;
use crate::evidence::{counted, utc};

/// How many were dropped, and how far that can be believed.
pub(super) fn dropped(log: &ToDeviceLog) -> Option<(String, Certainty)> {
    let span = log.dropped?;
    let many = counted(span.count, "message");
    let first = utc(span.first);
    let last = utc(span.last);
    let why = format!("9533_debug shows {many} to it as dropped, {first} to {last}");
    if log.dropped_in_text {
        let why = format!("{why}; the log is text, so the lines can be forged");
        return Some((why, Certainty::Consistent));
    }
    Some((format!("{why}; the log is JSON, so the lines cannot be forged"), Certainty::Proven))
}
