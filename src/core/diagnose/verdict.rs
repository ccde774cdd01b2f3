//! The shape of a verdict: what it says, how sure it is, and the path that led to it.

use jiff::Timestamp;
use serde::Serialize;

use crate::evidence::Window;
use crate::evidence::key_log::Span;
use crate::evidence::removal::RemovedBy;

/// Every verdict, branch by branch, in the order they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictId {
    AuthUnreachable,
    UnknownDevice,
    KeylessDevice,
    OtkRecreated,
    OtkConcurrent,
    OtkRolledBack,
    OtkSameAccount,
    OtkForeignIdentity,
    OtkDiverged,
    OtkRace,
    OtkFlood,
    OtkExhausted,
    OtkUploadLoop,
    OtkHealthy,
    MediaStaleDevice,
    MediaDeadIdentity,
    MediaLinkKe1,
    MediaOtkExhausted,
    MediaValidation,
    MediaNotDrained,
    MediaSfu,
    MediaSender,
    EventUnknown,
    EventNotEncrypted,
    EventRedacted,
    EventMalformed,
    EventUnsupported,
    EventClient,
    EventWellFormed,
    DelayRateLimited,
    DelayHomeserverSlow,
    DelayGone,
    DelayOff,
    DelayNotArriving,
    DelayClient,
    DelayHealthy,
    Inconclusive,
}

impl VerdictId {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 37] = [
        Self::AuthUnreachable,
        Self::UnknownDevice,
        Self::KeylessDevice,
        Self::OtkRecreated,
        Self::OtkConcurrent,
        Self::OtkRolledBack,
        Self::OtkSameAccount,
        Self::OtkForeignIdentity,
        Self::OtkDiverged,
        Self::OtkRace,
        Self::OtkFlood,
        Self::OtkExhausted,
        Self::OtkUploadLoop,
        Self::OtkHealthy,
        Self::MediaStaleDevice,
        Self::MediaDeadIdentity,
        Self::MediaLinkKe1,
        Self::MediaOtkExhausted,
        Self::MediaValidation,
        Self::MediaNotDrained,
        Self::MediaSfu,
        Self::MediaSender,
        Self::EventUnknown,
        Self::EventNotEncrypted,
        Self::EventRedacted,
        Self::EventMalformed,
        Self::EventUnsupported,
        Self::EventClient,
        Self::EventWellFormed,
        Self::DelayRateLimited,
        Self::DelayHomeserverSlow,
        Self::DelayGone,
        Self::DelayOff,
        Self::DelayNotArriving,
        Self::DelayClient,
        Self::DelayHealthy,
        Self::Inconclusive,
    ];

    /// The id as answers, cases and scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthUnreachable => "auth-unreachable",
            Self::UnknownDevice => "unknown-device",
            Self::KeylessDevice => "keyless-device",
            Self::OtkRecreated => "otk-recreated",
            Self::OtkConcurrent => "otk-concurrent",
            Self::OtkRolledBack => "otk-rolled-back",
            Self::OtkSameAccount => "otk-same-account",
            Self::OtkForeignIdentity => "otk-foreign-identity",
            Self::OtkDiverged => "otk-diverged",
            Self::OtkRace => "otk-race",
            Self::OtkFlood => "otk-flood",
            Self::OtkExhausted => "otk-exhausted",
            Self::OtkUploadLoop => "otk-upload-loop",
            Self::OtkHealthy => "otk-healthy",
            Self::MediaStaleDevice => "media-stale-device",
            Self::MediaDeadIdentity => "media-dead-identity",
            Self::MediaLinkKe1 => "media-link-ke1",
            Self::MediaOtkExhausted => "media-otk-exhausted",
            Self::MediaValidation => "media-validation",
            Self::MediaNotDrained => "media-not-drained",
            Self::MediaSfu => "media-sfu",
            Self::MediaSender => "media-sender",
            Self::EventUnknown => "event-unknown",
            Self::EventNotEncrypted => "event-not-encrypted",
            Self::EventRedacted => "event-redacted",
            Self::EventMalformed => "event-malformed",
            Self::EventUnsupported => "event-unsupported",
            Self::EventClient => "event-client",
            Self::EventWellFormed => "event-well-formed",
            Self::DelayRateLimited => "delay-rate-limited",
            Self::DelayHomeserverSlow => "delay-homeserver-slow",
            Self::DelayGone => "delay-gone",
            Self::DelayOff => "delay-off",
            Self::DelayNotArriving => "delay-not-arriving",
            Self::DelayClient => "delay-client",
            Self::DelayHealthy => "delay-healthy",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// One sentence for a phone.
    pub fn headline(self) -> &'static str {
        match self {
            Self::AuthUnreachable => {
                "Synapse cannot check access tokens because its authentication service (MAS) gives no usable \
                 answer: requests with a token get a 503"
            }
            Self::UnknownDevice => "the server knows no such device: a typo, or it was logged out",
            Self::KeylessDevice => {
                "the server has no encryption keys of this device: nobody can encrypt to it"
            }
            Self::OtkRecreated => {
                "its encryption account was made anew under the same device id: the client's store was \
                 wiped or evicted, and the server still holds keys of the old account"
            }
            Self::OtkConcurrent => {
                "two clients run on one session: both publish keys from copies of the same store"
            }
            Self::OtkRolledBack => {
                "the client's store was put back to an older copy: it offers ids again that it had \
                 already published with other keys"
            }
            Self::OtkSameAccount => {
                "one account offers two different keys under one id: two clients on one store, or a \
                 store put back to an older copy"
            }
            Self::OtkForeignIdentity => {
                "the uploader signs with an identity that the server does not hold for this device"
            }
            Self::OtkDiverged => {
                "client and server disagree about a one-time key, and the signatures do not tell why"
            }
            Self::OtkRace => "two uploads of one device crossed once: no storm, nothing to do",
            Self::OtkFlood => "the client uploads one-time keys without end",
            Self::OtkExhausted => {
                "the device has run out of one-time keys and does not refill them"
            }
            Self::OtkUploadLoop => "the client uploads the same keys again and again",
            Self::OtkHealthy => "no sign of a one-time key problem",
            Self::MediaStaleDevice => {
                "media keys are sent to a device that the server does not know: the sender uses an old list of devices"
            }
            Self::MediaDeadIdentity => {
                "media keys are encrypted to a dead identity of this device: it can never read them"
            }
            Self::MediaLinkKe1 => {
                "media keys arrive and cannot be opened because of the one-time key conflict (KE-1)"
            }
            Self::MediaOtkExhausted => {
                "media keys cannot be opened because the device has the wrong number of one-time keys (KE-1)"
            }
            Self::MediaValidation => {
                "media keys reach the right identity, and the client refuses or cannot open them: its validation of the sender's keys is the suspect"
            }
            Self::MediaNotDrained => "media keys wait for the device, and it does not fetch them",
            Self::MediaSfu => {
                "the client decrypts the media keys and is still silent: look at the SFU (LiveKit), not at encryption"
            }
            Self::MediaSender => "the sender's client sends its media keys to nobody",
            Self::EventUnknown => "this server has no such event",
            Self::EventNotEncrypted => {
                "the event is no encrypted message: there is nothing to decrypt"
            }
            Self::EventRedacted => "the event was redacted: there is nothing left to decrypt",
            Self::EventMalformed => {
                "the event was sent broken: its content states no algorithm, and no client can ever \
                 decrypt it"
            }
            Self::EventUnsupported => "the event states an algorithm that clients do not know",
            Self::EventClient => {
                "the event is well-formed here, and the client read something else: look at the client"
            }
            Self::EventWellFormed => {
                "the event is well-formed here: what is missing is a key on the client's side"
            }
            Self::DelayRateLimited => {
                "the homeserver turns restarts of delayed events away as too many"
            }
            Self::DelayHomeserverSlow => {
                "the homeserver answers restarts of delayed events too late for the client"
            }
            Self::DelayGone => {
                "the client restarts delayed events that are gone: they fired, or were cancelled"
            }
            Self::DelayOff => "delayed events are off on this homeserver, or it has none",
            Self::DelayNotArriving => {
                "the user is there, and no restart of their delayed leave reaches the homeserver"
            }
            Self::DelayClient => {
                "the homeserver answers restarts fast, and the client reports timeouts: look at the client and its network"
            }
            Self::DelayHealthy => "restarts of delayed events are fast and answered",
            Self::Inconclusive => "not enough evidence for a verdict",
        }
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    NotEnoughEvidence,
    /// Everything seen fits, but what was seen could have been forged or have another cause.
    Consistent,
    /// The database, or a log that cannot be forged, shows it.
    Proven,
}

impl Certainty {
    /// As written in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "not-enough-evidence",
            Self::Consistent => "consistent",
            Self::Proven => "proven",
        }
    }

    /// As read by a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "not enough evidence",
            Self::Consistent => "consistent",
            Self::Proven => "proven",
        }
    }
}

/// The answer to one question of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    /// As written in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One step of the path: a question, its answer, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub question: &'static str,
    pub asked: &'static str,
    pub answer: Answer,
    pub because: String,
    /// Ids of the evidence behind the answer.
    pub evidence: Vec<String>,
}

/// What should be captured next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub need: String,
    pub how: String,
}

/// What every verdict with refusals states.
#[derive(Debug, Clone)]
pub struct Storm {
    pub span: Span,
    /// The conflicting key id of the largest group, and how many further ids conflict.
    pub key: String,
    pub more_keys: usize,
    /// Refusals a second between the first and the last; `None` where two or one say nothing of a rate.
    pub rate: Option<f64>,
    /// Whether refusals were still arriving at the end of what was seen.
    pub goes_on: bool,
    /// Uploads that are rejected as too many, up to the end of what was seen: whatever became of the
    /// conflict, the device cannot publish keys.
    pub too_large: Option<Span>,
    /// `true` where the conflicting row is still there; `None` where the database did not say.
    pub row_stands: Option<bool>,
    /// When the conflicting key was claimed, if the log has it.
    pub claimed: Option<jiff::Timestamp>,
    /// Claims that handed a dead key out since the divergence began.
    pub dead_keys_handed_out: u64,
    /// When the key that stands in the way was stored, by the server's clock.
    pub born: Option<jiff::Timestamp>,
    /// The user agent and address of that minute's upload.
    pub born_by: Option<(Option<String>, Option<String>)>,
}

/// Rejected uploads that are history: the device came back under its ID.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    /// When the device was removed; where no line names it, when its present identity was stored.
    pub at: Timestamp,
    /// The line that tells of it; none where the identity alone does.
    pub by: Option<RemovedBy>,
    /// The rejected uploads before.
    pub span: Span,
}

impl Resolved {
    /// Counts another group in.
    pub(super) fn add(&mut self, other: Self) {
        self.span.add(other.span);
        if other.at > self.at || self.by.is_none() {
            (self.at, self.by) = (other.at, other.by.or(self.by));
        }
    }
}

/// A line of measured figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// One word or two.
    pub label: &'static str,
    pub text: String,
}

/// A verdict and everything a person needs to trust it.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub id: VerdictId,
    pub certainty: Certainty,
    pub path: Vec<Step>,
    /// Why it is believed, in short sentences.
    pub because: Vec<String>,
    pub storm: Option<Storm>,
    /// Rejected uploads from before the device came back under its ID; not part of `storm`.
    pub resolved: Option<Resolved>,
    /// Measured figures that an answer always shows.
    pub figures: Vec<Figure>,
    /// Those beside them that `!why` and the JSON show.
    pub more_figures: Vec<Figure>,
    /// True beside the verdict, and worth a line.
    pub findings: Vec<String>,
    /// What holds besides, by its id.
    pub also: Vec<super::Also>,
    /// How far the sources reached: what a verdict below proven should be read with.
    pub notes: Vec<String>,
    pub remedies: Vec<super::remedy::Advice>,
    pub missing: Vec<Missing>,
    pub window: Window,
}
