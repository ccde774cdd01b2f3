//! What can be known about a device: typed facts, each with where it came from and the query that
//! shows it again.
//!
//! Evidence serialises: a saved `evidence.json` replays to the same verdict. It holds no secret: of a
//! one-time key it keeps the first characters and a digest, never the whole value, because the value of
//! an unclaimed key is known to the server and the device only, and that is what tells a true log line
//! from a forged one.
//!
//! Nothing here reads a file, a socket or a clock.

mod about;
pub mod access;
pub mod artefact;
pub mod aside;
pub mod attribute;
pub mod auth;
pub mod client;
mod client_delay;
pub mod client_line;
pub mod delay;
pub mod event;
pub mod fleet;
mod fold;
mod forgery;
pub mod har;
pub mod key_log;
mod known;
pub mod log_line;
pub mod log_message;
pub mod log_time;
mod needles;
pub mod otk;
pub mod poll;
mod process;
mod python;
pub mod quoted_device;
mod redact;
pub mod removal;
pub mod replica;
pub mod report;
mod request;
pub mod sight;
mod tally;
pub mod to_device;
mod told;
pub mod visibility;

use jiff::Timestamp;
use ruma::OwnedDeviceId;
use serde::{Deserialize, Serialize};

pub use about::{
    About, EventSubject, SenderSubject, ServerSubject, Subject, UserSubject, WholeSubject,
};
pub use client::ClientFacts;
pub use event::{Algorithm, EventRow, EventShape, Redaction};
pub use key_log::KeyLog;
pub use known::Known;
pub use otk::{KeyId, KeyView};
pub use redact::shortened;
pub use replica::{Replay, Replica};
pub use told::{counted, utc};

/// The version of the serialised form; a saved file of another version is refused with a clear line.
pub const SCHEMA: u32 = 1;

/// The span of time the question is about; `from` ≤ `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// Whether the moment lies in the window, both ends included.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }
}

/// What a branch of the tree needs to know. Plans are made of these, and answers carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// One-time key uploads, refusals and claims of one device, from Synapse's log.
    KeyLog,
    /// The user's devices, from `devices`.
    Devices,
    /// The device's identity keys, from `e2e_device_keys_json`.
    DeviceKeys,
    /// The device's stored one-time keys, from `e2e_one_time_keys_json`.
    OneTimeKeys,
    /// The device's fallback keys, from `e2e_fallback_keys_json`.
    FallbackKeys,
    /// The event's row, from `events`.
    Event,
    /// The shape of the event's content, from `event_json`.
    EventShape,
    /// Redactions that name the event, from `redactions`.
    Redactions,
    /// To-device messages that wait for the device, from `device_inbox`.
    Inbox,
    /// Whether the device is a dehydrated one, from `dehydrated_devices`.
    Dehydrated,
    /// To-device messages to the device and the user's syncs, from Synapse's log.
    ToDeviceLog,
    /// Requests on delayed events and the latency of all, from Synapse's log.
    DelayLog,
    /// The user's pending delayed events, from `delayed_events`.
    DelayedEvents,
    /// Delayed events that were sent in the user's rooms, from `events` and `event_json`.
    SentDelays,
    /// Latency as Prometheus measured it.
    Metrics,
    /// What a client's own report or HAR file says.
    Client,
    /// Whether access tokens could be checked, and who removed the device, from Synapse's log.
    AuthLog,
    /// Key traffic of every device, from Synapse's log.
    FleetLog,
    /// Devices in trouble by their stored keys, from the key tables.
    FleetRows,
    /// Whether the database is a replica, and how new its data is. No plan asks for it: each session does.
    Replica,
    /// All devices of the user with what is worth a look at each, where one of them had to be chosen.
    DeviceList,
}

impl Need {
    /// The needs that a log answers.
    pub const OF_LOGS: [Self; 5] =
        [Self::KeyLog, Self::ToDeviceLog, Self::DelayLog, Self::AuthLog, Self::FleetLog];

    /// Whether the database answers it.
    pub fn is_of_database(self) -> bool {
        !Self::OF_LOGS.contains(&self) && !matches!(self, Self::Metrics | Self::Client)
    }
}

/// How a source answered one need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum State {
    Found,
    /// The source was read whole and holds nothing of this kind.
    Empty,
    /// The source could not be read, or not to the end; the text says why, for a person.
    Failed(String),
    /// The source is not configured, or the question did not need it.
    NotAsked(String),
}

impl State {
    /// As answers write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Empty => "empty",
            Self::Failed(_) => "failed",
            Self::NotAsked(_) => "not-asked",
        }
    }
}

/// One source's answer to one need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gathered {
    /// `E1`, `E2` …: how a step of the verdict's path refers to it.
    pub id: String,
    pub need: Need,
    /// `log:<name>` or `database`.
    pub source: String,
    #[serde(flatten)]
    pub state: State,
    /// One line for a person: what was seen.
    pub what: String,
    /// A command or an SQL statement that shows it again.
    pub query: String,
    /// What was learnt; `None` unless the state is `Found`, or `Failed` part of the way.
    pub fact: Option<Fact>,
}

impl Gathered {
    /// The answer of a source that was read; its id comes with the others.
    pub fn told(
        need: Need,
        source: &str,
        state: State,
        what: String,
        query: String,
        fact: Option<Fact>,
    ) -> Self {
        Self { id: String::new(), need, source: source.into(), state, what, query, fact }
    }

    /// The answer of a source that was not read: the state says why.
    pub fn unread(need: Need, source: &str, query: String, state: State) -> Self {
        let what = match &state {
            State::Failed(why) | State::NotAsked(why) => why.clone(),
            State::Found | State::Empty => String::new(),
        };
        Self { id: String::new(), need, source: source.into(), state, what, query, fact: None }
    }
}

/// What a source can say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    KeyLog(Box<KeyLog>),
    Devices(Vec<DeviceRow>),
    DeviceKeys(DeviceKeys),
    OneTimeKeys(StoredKeys),
    FallbackKeys(Vec<FallbackKey>),
    Event(EventRow),
    EventShape(EventShape),
    Redactions(Vec<Redaction>),
    Inbox(to_device::Inbox),
    Dehydrated(bool),
    ToDeviceLog(Box<to_device::ToDeviceLog>),
    DelayLog(Box<delay::DelayLog>),
    DelayedEvents(delay::Delayed),
    SentDelays(Vec<delay::Sent>),
    Metrics(delay::Metrics),
    Client(Box<ClientFacts>),
    AuthLog(Box<auth::AuthLog>),
    FleetLog(Box<fleet::FleetLog>),
    FleetRows(fleet::FleetRows),
    Replica(Replica),
}

/// A row of `devices` that stands for a real device (hidden rows are cross-signing keys).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    pub device: OwnedDeviceId,
    pub display_name: Option<String>,
    /// Synapse notes this at most every few minutes.
    pub last_seen: Option<Timestamp>,
    pub hidden: bool,
    /// Whether the device has published identity keys; `None` where that was not asked.
    pub has_keys: Option<bool>,
    /// How many one-time keys are stored, capped; `None` where that was not asked.
    pub one_time_keys: Option<u64>,
    /// The signature test of the oldest stored key, which is handed out next; `None` where that was not
    /// asked or there is none.
    pub next_key: Option<otk::Check>,
}

/// A row of `e2e_device_keys_json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// `ts_added_ms`: when this identity replaced the one before, by the server's clock.
    pub added: Timestamp,
    /// The identity's ed25519 key, unpadded base64; `None` where the row holds none for this device.
    pub ed25519: Option<String>,
    /// The identity's curve25519 key, unpadded base64.
    pub curve25519: Option<String>,
}

/// The device's rows of `e2e_one_time_keys_json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoredKeys {
    /// How many rows there are; exact up to `COUNT_LIMIT` of the probe, then `capped` is set.
    pub total: u64,
    pub capped: bool,
    /// The oldest rows, then the newest, at most as many as the probe's limit.
    pub keys: Vec<StoredKey>,
}

/// One row of `e2e_one_time_keys_json`. A row is inserted once and deleted by its claim, never changed:
/// `added` is the birth of this value (Synapse, `end_to_end_keys.py`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    pub id: KeyId,
    pub added: Timestamp,
    pub value: KeyView,
}

/// One row of `e2e_fallback_keys_json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackKey {
    pub id: KeyId,
    /// Handed out since it was uploaded. Stays true after the one-time keys are back.
    pub used: bool,
}

/// Everything gathered for one question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    pub schema: u32,
    pub symptom: Symptom,
    pub subject: About,
    pub window: Window,
    /// The reference time: "goes on" and "healed" are judged against it.
    pub now: Timestamp,
    pub gathered: Vec<Gathered>,
}

/// The symptom an admin asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symptom {
    Ke1,
    Ke2,
    Ke3,
    Ke4,
    /// All four and the chain between them.
    All,
    /// Who is affected now.
    Fleet,
}

impl Symptom {
    /// The branches of the tree, in the order of the runbook.
    pub const BRANCHES: [Self; 4] = [Self::Ke1, Self::Ke2, Self::Ke3, Self::Ke4];

    /// As commands write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ke1 => "ke1",
            Self::Ke2 => "ke2",
            Self::Ke3 => "ke3",
            Self::Ke4 => "ke4",
            Self::All => "all",
            Self::Fleet => "fleet",
        }
    }
}
