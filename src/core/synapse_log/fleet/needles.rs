//! The words of the lines that a survey of all devices reads.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// Words of the lines that matter.
pub(super) static NEEDLES: LazyLock<Regex> = LazyLock::new(|| {
    let words = "Adding one_time_keys|already exists|would leave the device|/keys/upload|\
                 /upload_keys_for_user|Deleting devices \\[|task-delete_device_messages";
    Regex::new(words).expect("a constant")
});
