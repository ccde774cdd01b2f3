//! How many one-time keys of a device are too many.

/// So many stored keys are a flood: 50 to 160 is healthy, each reload may add 50. Synapse ≥ 1.163 holds no
/// more than this (`MAX_ONE_TIME_KEYS_PER_ALGORITHM_PER_DEVICE`), so a full device stands right at it.
pub(crate) const FLOOD: u64 = 500;
