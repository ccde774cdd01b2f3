//! KE-1, and what is before every branch: the rows of verdicts on a device and its one-time keys.

use super::reasons::{
    AFTER_LAST_CLIENT, LOGOUT_FIRST, NO_VERSION_HEALS, OLD_REMEMBERED, PREVENTS, WITNESS,
};
use crate::diagnose::remedy::Recommendation::{Dangerous, Possible, Recommended, WillNotHelp};
use crate::diagnose::remedy::Remedy::{
    BringOnline, CheckAuthService, CloseSecondClient, LoopPrompt, OtkSurgery, PersistStorage,
    Relogin, SdkPin, StoreReset, TabGuard,
};
use crate::diagnose::verdict_id::VerdictId;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, RemedyRow, StormCure, VerdictKind, VerdictRow,
};

/// For a device whose keys contradict the server's.
const RELOGIN: &[RemedyRow] = &[
    (Relogin, Recommended, None),
    (SdkPin, WillNotHelp, NO_VERSION_HEALS),
    (OtkSurgery, Dangerous, None),
];

/// The same, where the client's store itself is at fault.
const RELOGIN_OR_RESET: &[RemedyRow] = &[
    (Relogin, Recommended, None),
    (StoreReset, Possible, LOGOUT_FIRST),
    (SdkPin, WillNotHelp, NO_VERSION_HEALS),
    (OtkSurgery, Dangerous, None),
];

pub(super) const AUTH_UNREACHABLE: VerdictRow = VerdictRow {
    name: "auth-unreachable",
    kind: VerdictKind::Trouble,
    headline: "Synapse got no usable answer from MAS.",
    action: "Check that MAS runs and that Synapse reaches it.",
    explanation: "Synapse asks the authentication service (MAS) about each access token. MAS gave \
                 no usable answer.",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a JSON log",
        how: "use Synapse's TerseJsonFormatter: its log lines cannot be forged. Also read MAS's own log of these minutes",
    })),
    remedies: &[
        (CheckAuthService, Recommended, None),
        (
            Relogin,
            WillNotHelp,
            Some("nobody can log in while the service is down, so the user would be locked out"),
        ),
    ],
    place: OwnPlace::Independent,
    follows: Follows::SameVerdict,
    storm: StormCure::ORDINARY,
};

pub(super) const UNKNOWN_DEVICE: VerdictRow = VerdictRow {
    name: "unknown-device",
    kind: VerdictKind::Trouble,
    headline: "The server does not know this device.",
    action: "Check the device ID.",
    explanation: "Either the device ID is wrong, or the device was logged out or removed.",
    certainty: CertaintyRule::UpToProven(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::UnknownDevice]),
    storm: StormCure::DeviceGone,
};

pub(super) const KEYLESS_DEVICE: VerdictRow = VerdictRow {
    name: "keyless-device",
    kind: VerdictKind::Trouble,
    headline: "This device has no encryption keys on the server.",
    action: "Log it out and back in with a client that encrypts.",
    explanation: "Without device keys on the server, nobody can encrypt to this device.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[(Relogin, Possible, Some("use a client that supports encryption"))],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::KeylessDevice]),
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_RECREATED: VerdictRow = VerdictRow {
    name: "otk-recreated",
    kind: VerdictKind::Trouble,
    headline: "This device lost its keys.",
    action: "Log it out and back in.",
    explanation: "The client created a new encryption account under the same device ID (its local \
                 store was wiped or evicted). The server still holds keys from the old account.",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (PersistStorage, Possible, PREVENTS),
        (LoopPrompt, Possible, PREVENTS),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, WillNotHelp, OLD_REMEMBERED),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::NothingLeft {
        also_left: Some(
            "its identity was replaced, and contacts who know the old identity keep rejecting the new one",
        ),
        act: None,
    },
};

pub(super) const OTK_CONCURRENT: VerdictRow = VerdictRow {
    name: "otk-concurrent",
    kind: VerdictKind::Trouble,
    headline: "Two clients share one session.",
    action: "Close one of them, then log the device out and back in.",
    explanation: "Both clients publish keys from copies of the same store.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "proof of a second client",
        how: "ask the user which tabs, processes or copied tokens use this session",
    })),
    remedies: &[
        (CloseSecondClient, Recommended, None),
        (Relogin, Recommended, AFTER_LAST_CLIENT),
        (TabGuard, Possible, PREVENTS),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::NothingLeft {
        also_left: None,
        act: Some("close the second client of that session, then log the device out and back in"),
    },
};

pub(super) const OTK_ROLLED_BACK: VerdictRow = VerdictRow {
    name: "otk-rolled-back",
    kind: VerdictKind::Trouble,
    headline: "The client's data was restored from an older copy.",
    action: "Log the device out and back in.",
    explanation: "The client's store was restored from an older copy. It again offers key IDs \
                 that it had already published with different keys.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "proof of a restore",
        how: "ask the user whether a backup, snapshot or disk image of the client was restored just before the \
              first rejected upload",
    })),
    remedies: RELOGIN_OR_RESET,
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_SAME_ACCOUNT: VerdictRow = VerdictRow {
    name: "otk-same-account",
    kind: VerdictKind::Trouble,
    headline: "This device offers two different keys under one key ID.",
    action: "Log it out and back in.",
    explanation: "One Olm account made both keys. Either two clients use one store, or the store \
                 was restored from an older copy.",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: RELOGIN_OR_RESET,
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_FOREIGN_IDENTITY: VerdictRow = VerdictRow {
    name: "otk-foreign-identity",
    kind: VerdictKind::Trouble,
    headline: "This device's identity is not the one the server holds.",
    action: "Log it out and back in.",
    explanation: "The client signs its keys with an identity that the server does not hold for \
                 this device.",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: RELOGIN,
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_DIVERGED: VerdictRow = VerdictRow {
    name: "otk-diverged",
    kind: VerdictKind::Trouble,
    headline: "This device and the server disagree about a key.",
    action: "Log it out and back in.",
    explanation: "The client and the server have different values for the same one-time key. The \
                 cause is unknown.",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: RELOGIN,
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_RACE: VerdictRow = VerdictRow {
    name: "otk-race",
    kind: VerdictKind::NothingToRepair,
    headline: "Two key uploads overlapped once. Nothing to do.",
    action: "",
    explanation: "Two uploads of the same device reached the server at the same time, and it \
                 rejected one of them.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_FLOOD: VerdictRow = VerdictRow {
    name: "otk-flood",
    kind: VerdictKind::Trouble,
    headline: "This device uploads far too many keys.",
    action: "Update the client, then log it out and back in.",
    explanation: "The client uploads one-time keys without a limit.",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "the number of stored keys",
        how: "let Kestrel read e2e_one_time_keys_json",
    })),
    remedies: &[
        (
            SdkPin,
            Recommended,
            Some(
                "use a js-sdk with #5503: without it, crypto-wasm 18.5.0 and later uploads keys at every sync",
            ),
        ),
        (Relogin, Recommended, Some("do this after the client is fixed")),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_EXHAUSTED: VerdictRow = VerdictRow {
    name: "otk-exhausted",
    kind: VerdictKind::Trouble,
    headline: "This device ran out of one-time keys.",
    action: "Open the client and let it sync.",
    explanation: "The server has no unused one-time key of this device, and the device has not \
                 uploaded new ones.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[
        (BringOnline, Recommended, None),
        (Relogin, Possible, Some("do this if it is online and still uploads no keys")),
        (OtkSurgery, WillNotHelp, Some("no one-time key of the device is left on the server")),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_UPLOAD_LOOP: VerdictRow = VerdictRow {
    name: "otk-upload-loop",
    kind: VerdictKind::Trouble,
    headline: "This device keeps uploading the same keys.",
    action: "Log it out and back in.",
    explanation: "The server accepted the same one-time keys again and again.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the client's log",
        how: "it shows why the client treats its uploads as unanswered",
    })),
    remedies: &[(Relogin, Possible, None), (OtkSurgery, Dangerous, None)],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_HEALTHY: VerdictRow = VerdictRow {
    name: "otk-healthy",
    kind: VerdictKind::Healthy,
    headline: "No sign of a one-time key problem.",
    action: "",
    explanation: "The log and the database show no problem with this device's keys.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
