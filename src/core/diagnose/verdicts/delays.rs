//! KE-4: the rows of verdicts on delayed events.

use crate::diagnose::remedy::Recommendation::Recommended;
use crate::diagnose::remedy::Remedy::RaiseDelayLimit;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

pub(super) const DELAY_RATE_LIMITED: VerdictRow = VerdictRow {
    name: "delay-rate-limited",
    kind: VerdictKind::Trouble,
    headline: "the homeserver turns restarts of delayed events away as too many",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Synapse's TerseJsonFormatter; a pending row or a sent event must tie the restarts to the user",
    })),
    remedies: &[(RaiseDelayLimit, Recommended, None)],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_HOMESERVER_SLOW: VerdictRow = VerdictRow {
    name: "delay-homeserver-slow",
    kind: VerdictKind::Trouble,
    headline: "the homeserver answers restarts of delayed events too late for the client",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Synapse's TerseJsonFormatter; a pending row or a sent event must tie the restarts to the user",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_GONE: VerdictRow = VerdictRow {
    name: "delay-gone",
    kind: VerdictKind::Trouble,
    headline: "the client restarts delayed events that are gone: they fired, or were cancelled",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Synapse's TerseJsonFormatter; a pending row or a sent event must tie the restarts to the user",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_OFF: VerdictRow = VerdictRow {
    name: "delay-off",
    kind: VerdictKind::NothingToRepair,
    headline: "delayed events are off on this homeserver, or it has none",
    certainty: CertaintyRule::UpToProven(Some(Confirmation {
        need: "a log that cannot be forged",
        how: "Synapse's TerseJsonFormatter; a pending row or a sent event must tie the restarts to the user",
    })),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_NOT_ARRIVING: VerdictRow = VerdictRow {
    name: "delay-not-arriving",
    kind: VerdictKind::Trouble,
    headline: "the user is there, and no restart of their delayed leave reaches the homeserver",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the way to the server",
        how: "the client's HAR file: whether it sends restarts, and the proxy's log: where they end",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_CLIENT: VerdictRow = VerdictRow {
    name: "delay-client",
    kind: VerdictKind::Trouble,
    headline: "the homeserver answers restarts fast, and the client reports timeouts: look at the client and its network",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_HEALTHY: VerdictRow = VerdictRow {
    name: "delay-healthy",
    kind: VerdictKind::Healthy,
    headline: "restarts of delayed events are fast and answered",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
