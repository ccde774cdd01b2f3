//! What KE-1 reads.

use crate::evidence::Need;

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::AuthLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
];
