//! KE-3, and the verdict where nothing is decided: their rows.

use crate::diagnose::verdict_row::{
    CertaintyRule, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

pub(super) const EVENT_UNKNOWN: VerdictRow = VerdictRow {
    name: "event-unknown",
    kind: VerdictKind::Trouble,
    headline: "this server has no such event",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_NOT_ENCRYPTED: VerdictRow = VerdictRow {
    name: "event-not-encrypted",
    kind: VerdictKind::NothingToRepair,
    headline: "the event is no encrypted message: there is nothing to decrypt",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_REDACTED: VerdictRow = VerdictRow {
    name: "event-redacted",
    kind: VerdictKind::NothingToRepair,
    headline: "the event was redacted: there is nothing left to decrypt",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_MALFORMED: VerdictRow = VerdictRow {
    name: "event-malformed",
    kind: VerdictKind::Trouble,
    headline: "the event was sent broken: its content states no algorithm, and no client can ever \
                 decrypt it",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_UNSUPPORTED: VerdictRow = VerdictRow {
    name: "event-unsupported",
    kind: VerdictKind::Trouble,
    headline: "the event states an algorithm that clients do not know",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_CLIENT: VerdictRow = VerdictRow {
    name: "event-client",
    kind: VerdictKind::Trouble,
    headline: "the event is well-formed here, and the client read something else: look at the client",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_WELL_FORMED: VerdictRow = VerdictRow {
    name: "event-well-formed",
    kind: VerdictKind::NothingToRepair,
    headline: "the event is well-formed here: what is missing is a key on the client's side",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const INCONCLUSIVE: VerdictRow = VerdictRow {
    name: "inconclusive",
    kind: VerdictKind::NotEnoughEvidence,
    headline: "not enough evidence for a verdict",
    certainty: CertaintyRule::NotEnoughEvidence,
    remedies: &[],
    place: OwnPlace::Unknown,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
