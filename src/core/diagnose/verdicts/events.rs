//! KE-3, and the verdict where nothing is decided: their rows.

use crate::diagnose::verdict_row::{
    CertaintyRule, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

pub(super) const EVENT_UNKNOWN: VerdictRow = VerdictRow {
    name: "event-unknown",
    kind: VerdictKind::Trouble,
    headline: "This server does not have this event.",
    action: "Check the event ID.",
    explanation: "Either the event ID is wrong, or this server never received the event or has \
                 deleted it.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_NOT_ENCRYPTED: VerdictRow = VerdictRow {
    name: "event-not-encrypted",
    kind: VerdictKind::NothingToRepair,
    headline: "This event is not an encrypted message.",
    action: "",
    explanation: "There is nothing to decrypt.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_REDACTED: VerdictRow = VerdictRow {
    name: "event-redacted",
    kind: VerdictKind::NothingToRepair,
    headline: "This event was redacted (deleted).",
    action: "",
    explanation: "There is nothing left to decrypt.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_MALFORMED: VerdictRow = VerdictRow {
    name: "event-malformed",
    kind: VerdictKind::Trouble,
    headline: "This message was sent malformed. Nobody can decrypt it.",
    action: "Ask the sender to send it again.",
    explanation: "Its content names no encryption algorithm, so no client can ever decrypt it.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_UNSUPPORTED: VerdictRow = VerdictRow {
    name: "event-unsupported",
    kind: VerdictKind::Trouble,
    headline: "This message uses an unknown encryption algorithm.",
    action: "Check the client that sent it.",
    explanation: "Clients do not know the algorithm that the event names.",
    certainty: CertaintyRule::AlwaysProven,
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_CLIENT: VerdictRow = VerdictRow {
    name: "event-client",
    kind: VerdictKind::Trouble,
    headline: "The event is fine here; the client read different content.",
    action: "Check the client.",
    explanation: "The server's copy of the event is well-formed, and the client reports different \
                 content.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const EVENT_WELL_FORMED: VerdictRow = VerdictRow {
    name: "event-well-formed",
    kind: VerdictKind::NothingToRepair,
    headline: "The event is fine on this server.",
    action: "Check the client.",
    explanation: "The server's copy of the event is well-formed and shows no fault.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const INCONCLUSIVE: VerdictRow = VerdictRow {
    name: "inconclusive",
    kind: VerdictKind::NotEnoughEvidence,
    headline: "Not enough evidence.",
    action: "",
    explanation: "",
    certainty: CertaintyRule::NotEnoughEvidence,
    remedies: &[],
    place: OwnPlace::Unknown,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
