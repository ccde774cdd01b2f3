//! KE-2: media keys that do not arrive or do not decrypt. What waits in the inbox and for whose identity it
//! is encrypted decides most of it; the rest hangs on KE-1 or is the client's to say.

use super::verdict::VerdictId;
use super::walk::Question;
use crate::evidence::Need;

/// What the branch reads: KE-1's evidence, and the device's to-device messages.
pub(super) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::ToDeviceLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
    Need::Inbox,
    Need::Dehydrated,
];

/// The trunk: in the order in which verdicts are tried.
pub(super) const QUESTIONS: &[Question] = &[Question {
    name: "media",
    asked: "Not asked yet",
    rules: &[
        VerdictId::UnknownDevice,
        VerdictId::KeylessDevice,
        VerdictId::MediaStaleDevice,
        VerdictId::MediaDeadIdentity,
        VerdictId::MediaLinkKe1,
        VerdictId::MediaOtkExhausted,
        VerdictId::MediaValidation,
        VerdictId::MediaNotDrained,
        VerdictId::MediaSfu,
        VerdictId::MediaSender,
    ],
    ask: |_| None,
}];
