//! KE-2: the rows of verdicts on media keys.

use super::reasons::{LOGOUT_FIRST, NO_VERSION_HEALS, OLD_REMEMBERED};
use crate::diagnose::remedy::Recommendation::{Dangerous, Possible, Recommended, WillNotHelp};
use crate::diagnose::remedy::Remedy::{BringOnline, OtkSurgery, Relogin, SdkPin, StoreReset};
use crate::diagnose::verdict_id::VerdictId;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

/// What shows that media keys fail because of KE-1.
const CALL_AGAIN: Confirmation = Confirmation {
    need: "the same call after KE-1 is fixed",
    how: "fix KE-1, then call again. If the failure is gone, KE-1 was the cause",
};

pub(super) const MEDIA_STALE_DEVICE: VerdictRow = VerdictRow {
    name: "media-stale-device",
    kind: VerdictKind::Trouble,
    headline: "Media keys go to a device the server does not know.",
    action: "Log the sender's client out and back in.",
    explanation: "The sender uses an old device list, so the server drops its messages to this \
                 device.",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a JSON log",
        how: "use Synapse's TerseJsonFormatter: its log lines cannot be forged. Also ask the sender to open this user's \
              device list",
    })),
    remedies: &[(
        Relogin,
        Possible,
        Some(
            "here, log out the sender's device, not the one in the question. The sender's client then fetches the device list again",
        ),
    )],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::UnknownDevice]),
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_DEAD_IDENTITY: VerdictRow = VerdictRow {
    name: "media-dead-identity",
    kind: VerdictKind::Trouble,
    headline: "Media keys are encrypted for an old identity.",
    action: "Log this device out and back in.",
    explanation: "The messages are encrypted for an identity that this device no longer uses, so \
                 it can never decrypt them.",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a live watch",
        how: "`!ke2` with `live 60s` during a call shows for which identity the messages are encrypted",
    })),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, WillNotHelp, OLD_REMEMBERED),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[
        // Only another account has another identity: one message for a stranger's key follows from nothing
        // else that KE-1 finds.
        VerdictId::OtkRecreated,
        VerdictId::OtkForeignIdentity,
        VerdictId::OtkDiverged,
    ]),
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_LINK_KE1: VerdictRow = VerdictRow {
    name: "media-link-ke1",
    kind: VerdictKind::Trouble,
    headline: "A one-time key conflict breaks this device's media keys.",
    action: "Log it out and back in.",
    explanation: "Media keys reach the device, but it cannot decrypt them because of the one-time \
                 key conflict (KE-1).",
    certainty: CertaintyRule::AtMostConsistent(Some(CALL_AGAIN)),
    remedies: &[
        (Relogin, Recommended, Some("it fixes KE-1, and KE-2 with it")),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::AnyOfKeys,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_OTK_EXHAUSTED: VerdictRow = VerdictRow {
    name: "media-otk-exhausted",
    kind: VerdictKind::Trouble,
    headline: "Too few or too many one-time keys break media keys.",
    action: "Open the client and let it sync.",
    explanation: "The device cannot decrypt media keys because it has run out of one-time keys or \
                 has far too many (KE-1).",
    certainty: CertaintyRule::AtMostConsistent(Some(CALL_AGAIN)),
    remedies: &[
        (BringOnline, Recommended, None),
        (Relogin, Possible, Some("do this if it is online and still uploads no keys")),
    ],
    place: OwnPlace::Independent,
    follows: Follows::AnyOfKeys,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_VALIDATION: VerdictRow = VerdictRow {
    name: "media-validation",
    kind: VerdictKind::Trouble,
    headline: "Media keys arrive, but the client does not accept them.",
    action: "Check the client's log.",
    explanation: "Media keys reach the device's current identity, but the client rejects them or \
                 cannot decrypt them. The client's validation of the sender's keys is the likely \
                 cause.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the client's log",
        how: "a line about sender_device_keys names the check that failed, and whose keys it checked",
    })),
    remedies: &[(
        SdkPin,
        Possible,
        Some("do this only after the client's log has named the check that failed"),
    )],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_NOT_DRAINED: VerdictRow = VerdictRow {
    name: "media-not-drained",
    kind: VerdictKind::Trouble,
    headline: "This device does not fetch the messages sent to it.",
    action: "Open the client and let it sync.",
    explanation: "To-device messages, which carry the media keys, are waiting for delivery to \
                 this device.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the user's answer",
        how: "ask whether this device was switched on and in the call",
    })),
    remedies: &[(BringOnline, Recommended, Some("it then fetches what is waiting"))],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_SFU: VerdictRow = VerdictRow {
    name: "media-sfu",
    kind: VerdictKind::Trouble,
    headline: "The client has the media keys, but the call is silent.",
    action: "Check LiveKit.",
    explanation: "The client decrypts the media keys, so look at the SFU (LiveKit) and not at \
                 encryption.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "LiveKit's log",
        how: "it shows whether the tracks of this call arrived",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_SENDER: VerdictRow = VerdictRow {
    name: "media-sender",
    kind: VerdictKind::Trouble,
    headline: "The sender's client sends its media keys to nobody.",
    action: "Check the sender's client.",
    explanation: "The sender's client found no device to send its media keys to.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "a check of the sender's client",
        how: "ask the sender whether their client shows the receiving user in the call, and whether it lists any of that user's devices",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
