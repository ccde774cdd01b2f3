//! KE-4: the rows of verdicts on delayed events.

use crate::diagnose::remedy::Recommendation::Recommended;
use crate::diagnose::remedy::Remedy::RaiseDelayLimit;
use crate::diagnose::verdict_row::{
    CertaintyRule, Confirmation, Follows, OwnPlace, StormCure, VerdictKind, VerdictRow,
};

/// What makes a verdict on restarts proven.
const TIED_JSON_LOG: Confirmation = Confirmation {
    need: "a JSON log",
    how: "use Synapse's TerseJsonFormatter: its log lines cannot be forged. Also needed: a pending or sent delayed event \
          that links the restarts to the user",
};

pub(super) const DELAY_RATE_LIMITED: VerdictRow = VerdictRow {
    name: "delay-rate-limited",
    kind: VerdictKind::Trouble,
    headline: "The server rate-limits restarts of delayed events.",
    action: "Raise the limit rc_delayed_event_mgmt.",
    explanation: "The homeserver rejects restarts of the user's delayed events as too many (429).",
    certainty: CertaintyRule::UpToProven(Some(TIED_JSON_LOG)),
    remedies: &[(RaiseDelayLimit, Recommended, None)],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_HOMESERVER_SLOW: VerdictRow = VerdictRow {
    name: "delay-homeserver-slow",
    kind: VerdictKind::Trouble,
    headline: "The server answers delayed-event restarts too slowly.",
    action: "Check Synapse's load and its database.",
    explanation: "The homeserver takes longer to answer restarts of delayed events than the client waits.",
    certainty: CertaintyRule::UpToProven(Some(TIED_JSON_LOG)),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_GONE: VerdictRow = VerdictRow {
    name: "delay-gone",
    kind: VerdictKind::Trouble,
    headline: "The client restarts delayed events that no longer exist.",
    action: "Check the client and its network.",
    explanation: "The delayed events were already sent, or cancelled.",
    certainty: CertaintyRule::UpToProven(Some(TIED_JSON_LOG)),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_OFF: VerdictRow = VerdictRow {
    name: "delay-off",
    kind: VerdictKind::NothingToRepair,
    headline: "Delayed events are not available on this server.",
    action: "",
    explanation: "The homeserver has delayed events switched off, or does not support them.",
    certainty: CertaintyRule::UpToProven(Some(TIED_JSON_LOG)),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_NOT_ARRIVING: VerdictRow = VerdictRow {
    name: "delay-not-arriving",
    kind: VerdictKind::Trouble,
    headline: "The user's restarts of delayed events do not arrive.",
    action: "Check the network between client and server.",
    explanation: "Other requests from the user reach the homeserver, but restarts of the user's \
                 delayed leave event do not.",
    certainty: CertaintyRule::AtMostConsistent(Some(Confirmation {
        need: "the client's HAR file and the proxy's log",
        how: "the client's HAR file shows whether it sends restarts, and the proxy's log shows where they end",
    })),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_CLIENT: VerdictRow = VerdictRow {
    name: "delay-client",
    kind: VerdictKind::Trouble,
    headline: "The client times out, although the server answers fast.",
    action: "Check the client and its network.",
    explanation: "The homeserver answers restarts of delayed events fast, and the client reports \
                 timeouts.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Independent,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};

pub(super) const DELAY_HEALTHY: VerdictRow = VerdictRow {
    name: "delay-healthy",
    kind: VerdictKind::Healthy,
    headline: "Delayed-event restarts are answered fast.",
    action: "",
    explanation: "The homeserver answers restarts of delayed events fast.",
    certainty: CertaintyRule::AtMostConsistent(None),
    remedies: &[],
    place: OwnPlace::Quiet,
    follows: Follows::Nothing,
    storm: StormCure::ORDINARY,
};
