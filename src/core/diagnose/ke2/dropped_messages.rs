//! What 9533_debug says about messages to the device that the server dropped.

use crate::diagnose::certainty::Certainty;
use crate::evidence::to_device::ToDeviceLog;
use crate::evidence::{counted, utc_span};

/// How many were dropped, and how far that can be believed.
pub(super) fn dropped(log: &ToDeviceLog) -> Option<(String, Certainty)> {
    let span = log.dropped?;
    let many = counted(span.count, "message");
    let when = utc_span(span.first, span.last);
    let why = format!("9533_debug shows that the server dropped {many} to it, {when}");
    if log.dropped_in_text {
        let why = format!("{why}; the log is text, so the lines can be forged");
        return Some((why, Certainty::Consistent));
    }
    Some((format!("{why}; the log is JSON, so the lines cannot be forged"), Certainty::Proven))
}
