//! Replies about captures that are not running, or that answer elsewhere.

use crate::render::page::Reply;
use crate::render::plain_replies::said;

/// For `!capture` when none is running.
pub fn no_capture() -> Reply {
    said(
        "No capture is running in this room. Start one before the call: `!capture start @user:server DEVICE for 30m`",
    )
}

/// For `!capture start` when one is running.
pub fn one_capture(number: u64) -> Reply {
    said(&format!(
        "Capture {number} is already running in this room. To end it, send: `!capture stop`"
    ))
}

/// For a capture command outside the capture's thread.
pub fn capture_answers_elsewhere(number: u64) -> Reply {
    said(&format!("Done. Capture {number} answers in its own thread."))
}

/// For a capture that ends without a device to evaluate.
pub fn no_device_in_capture() -> Reply {
    said("No verdict: no device of this user was identified. The bundle has everything else.")
}
