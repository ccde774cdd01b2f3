//! KE-2: the rows of verdicts on media keys.

use super::reasons::{LOGOUT_FIRST, NO_VERSION_HEALS, OLD_REFUSED};
use crate::diagnose::remedy::Recommendation::{Dangerous, Possible, Recommended, WillNotHelp};
use crate::diagnose::remedy::Remedy::{BringOnline, OtkSurgery, Relogin, SdkPin, StoreReset};
use crate::diagnose::verdict_id::VerdictId;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

pub(super) const MEDIA_STALE_DEVICE: VerdictRow = VerdictRow {
    name: "media-stale-device",
    kind: VerdictKind::Trouble,
    headline: "media keys are sent to a device that the server does not know: the sender uses an old list of devices",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Terse JSON; and ask the sender to open the list of this user's devices",
    })),
    remedies: &[(Relogin, Possible, Some("of the sender's client: it fetches the devices anew"))],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::UnknownDevice]),
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_DEAD_IDENTITY: VerdictRow = VerdictRow {
    name: "media-dead-identity",
    kind: VerdictKind::Trouble,
    headline: "media keys are encrypted to a dead identity of this device: it can never read them",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a live watch",
        how: "`!ke2` with `live 60s` during a call shows for whom it is encrypted",
    })),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, WillNotHelp, OLD_REFUSED),
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
    headline: "media keys arrive and cannot be opened because of the one-time key conflict (KE-1)",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the same call afterwards",
        how: "heal KE-1 and call once more: it has to be gone",
    })),
    remedies: &[
        (Relogin, Recommended, Some("it heals KE-1, and KE-2 with it")),
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
    headline: "media keys cannot be opened because the device has the wrong number of one-time keys (KE-1)",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the same call afterwards",
        how: "heal KE-1 and call once more: it has to be gone",
    })),
    remedies: &[
        (BringOnline, Recommended, None),
        (Relogin, Possible, Some("if it is online and still does not refill")),
    ],
    place: OwnPlace::Independent,
    follows: Follows::AnyOfKeys,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_VALIDATION: VerdictRow = VerdictRow {
    name: "media-validation",
    kind: VerdictKind::Trouble,
    headline: "media keys reach the right identity, and the client refuses or cannot open them: its validation of the sender's keys is the suspect",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the client's log",
        how: "a line on sender_device_keys names the check that failed, and whose keys",
    })),
    remedies: &[(SdkPin, Possible, Some("once the client's log names the validation"))],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_NOT_DRAINED: VerdictRow = VerdictRow {
    name: "media-not-drained",
    kind: VerdictKind::Trouble,
    headline: "media keys wait for the device, and it does not fetch them",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the user's word",
        how: "whether this device was switched on and in the call",
    })),
    remedies: &[(BringOnline, Recommended, Some("it then fetches what waits"))],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_SFU: VerdictRow = VerdictRow {
    name: "media-sfu",
    kind: VerdictKind::Trouble,
    headline: "the client decrypts the media keys and is still silent: look at the SFU (LiveKit), not at encryption",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the SFU's side",
        how: "LiveKit's log of the call: whether the tracks arrived",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const MEDIA_SENDER: VerdictRow = VerdictRow {
    name: "media-sender",
    kind: VerdictKind::Trouble,
    headline: "the sender's client sends its media keys to nobody",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the sender's side",
        how: "whether its client sees this member in the call, and any device of the user's",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
