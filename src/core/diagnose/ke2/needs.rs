//! What KE-2 reads.

use crate::evidence::Need;

/// What the branch reads: KE-1's evidence, and the device's to-device messages.
pub(in crate::diagnose) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::ToDeviceLog,
    Need::AuthLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
    Need::Inbox,
    Need::Dehydrated,
];
