//! How many one-time keys of a device are too many.

use crate::evidence::counted;

/// So many stored keys are a flood: 50 to 160 is healthy, each reload may add 50. Synapse ≥ 1.163 holds no
/// more than this (`MAX_ONE_TIME_KEYS_PER_ALGORITHM_PER_DEVICE`), so a full device is right at it.
pub(crate) const FLOOD: u64 = 500;

/// How many one-time keys the server holds, in words.
pub(crate) fn keys_stored(total: u64) -> String {
    let verb = if total == 1 { "is" } else { "are" };
    format!("{} {verb} stored", counted(total, "one-time key"))
}
