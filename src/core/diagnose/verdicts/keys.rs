//! KE-1, and what stands before every branch: the rows of verdicts on a device and its one-time keys.

use super::reasons::{
    AFTER_LAST_CLIENT, LOGOUT_FIRST, NO_VERSION_HEALS, OLD_REFUSED, PREVENTS, WITNESS,
};
use crate::diagnose::remedy::Recommendation::{Dangerous, Possible, Recommended, WillNotHelp};
use crate::diagnose::remedy::Remedy::{
    BringOnline, CheckAuthService, CloseSecondClient, LoopPrompt, OtkSurgery, PersistStorage,
    Relogin, SdkPin, StoreReset, TabGuard,
};
use crate::diagnose::verdict_id::VerdictId;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

pub(super) const AUTH_UNREACHABLE: VerdictRow = VerdictRow {
    name: "auth-unreachable",
    kind: VerdictKind::Trouble,
    headline: "Synapse cannot check access tokens because its authentication service (MAS) gives no usable \
                 answer: requests with a token get a 503",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Synapse's TerseJsonFormatter; and the authentication service's own log of these minutes",
    })),
    remedies: &[
        (CheckAuthService, Recommended, None),
        (Relogin, WillNotHelp, Some("nobody can log in while the service is down")),
    ],
    place: OwnPlace::Independent,
    follows: Follows::SameVerdict,
    storm: StormCure::ORDINARY,
};

pub(super) const UNKNOWN_DEVICE: VerdictRow = VerdictRow {
    name: "unknown-device",
    kind: VerdictKind::Trouble,
    headline: "the server knows no such device: a typo, or it was logged out",
    certainty: CertaintyRule::UpToProven(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::UnknownDevice]),
    storm: StormCure::DeviceGone,
};

pub(super) const KEYLESS_DEVICE: VerdictRow = VerdictRow {
    name: "keyless-device",
    kind: VerdictKind::Trouble,
    headline: "the server has no encryption keys of this device: nobody can encrypt to it",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[(Relogin, Possible, Some("with a client that does encryption"))],
    place: OwnPlace::Independent,
    follows: Follows::Keys(&[VerdictId::KeylessDevice]),
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_RECREATED: VerdictRow = VerdictRow {
    name: "otk-recreated",
    kind: VerdictKind::Trouble,
    headline: "its encryption account was made anew under the same device id: the client's store was \
                 wiped or evicted, and the server still holds keys of the old account",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (PersistStorage, Possible, PREVENTS),
        (LoopPrompt, Possible, PREVENTS),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, WillNotHelp, OLD_REFUSED),
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
    headline: "two clients run on one session: both publish keys from copies of the same store",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the second client",
        how: "ask which tabs, processes or copied tokens use this session",
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
        act: Some("close the second client of that session, then log it out and in"),
    },
};

pub(super) const OTK_ROLLED_BACK: VerdictRow = VerdictRow {
    name: "otk-rolled-back",
    kind: VerdictKind::Trouble,
    headline: "the client's store was put back to an older copy: it offers ids again that it had \
                 already published with other keys",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "what was put back",
        how: "ask whether a backup, snapshot or disk image of the client was restored just before the \
             first refusal",
    })),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_SAME_ACCOUNT: VerdictRow = VerdictRow {
    name: "otk-same-account",
    kind: VerdictKind::Trouble,
    headline: "one account offers two different keys under one id: two clients on one store, or a \
                 store put back to an older copy",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: &[
        (Relogin, Recommended, None),
        (StoreReset, Possible, LOGOUT_FIRST),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_FOREIGN_IDENTITY: VerdictRow = VerdictRow {
    name: "otk-foreign-identity",
    kind: VerdictKind::Trouble,
    headline: "the uploader signs with an identity that the server does not hold for this device",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: &[
        (Relogin, Recommended, None),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_DIVERGED: VerdictRow = VerdictRow {
    name: "otk-diverged",
    kind: VerdictKind::Trouble,
    headline: "client and server disagree about a one-time key, and the signatures do not tell why",
    certainty: CertaintyRule::UpToProven(Some(WITNESS)),
    remedies: &[
        (Relogin, Recommended, None),
        (SdkPin, WillNotHelp, NO_VERSION_HEALS),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_RACE: VerdictRow = VerdictRow {
    name: "otk-race",
    kind: VerdictKind::NothingToRepair,
    headline: "two uploads of one device crossed once: no storm, nothing to do",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_FLOOD: VerdictRow = VerdictRow {
    name: "otk-flood",
    kind: VerdictKind::Trouble,
    headline: "the client uploads one-time keys without end",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "the count",
        how: "let Kestrel read e2e_one_time_keys_json",
    })),
    remedies: &[
        (
            SdkPin,
            Recommended,
            Some(
                "js-sdk with #5503: crypto-wasm 18.5.0 and later without it uploads at every sync",
            ),
        ),
        (Relogin, Recommended, Some("after the fix")),
        (OtkSurgery, Dangerous, None),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_EXHAUSTED: VerdictRow = VerdictRow {
    name: "otk-exhausted",
    kind: VerdictKind::Trouble,
    headline: "the device has run out of one-time keys and does not refill them",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[
        (BringOnline, Recommended, None),
        (Relogin, Possible, Some("if it is online and still does not refill")),
        (OtkSurgery, WillNotHelp, Some("there is no row to edit")),
    ],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_UPLOAD_LOOP: VerdictRow = VerdictRow {
    name: "otk-upload-loop",
    kind: VerdictKind::Trouble,
    headline: "the client uploads the same keys again and again",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the client's side",
        how: "its log: why it takes its uploads for unanswered",
    })),
    remedies: &[(Relogin, Possible, None), (OtkSurgery, Dangerous, None)],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const OTK_HEALTHY: VerdictRow = VerdictRow {
    name: "otk-healthy",
    kind: VerdictKind::Healthy,
    headline: "no sign of a one-time key problem",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
