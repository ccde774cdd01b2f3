//! The answers of the sources: what each was asked, how it answered, and what it said.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::auth::AuthLog;
use crate::evidence::client::ClientFacts;
use crate::evidence::delay::{DelayLog, Delayed, Metrics, Sent};
use crate::evidence::device_rows::{DeviceKeys, DeviceRow, FallbackKey, StoredKeys};
use crate::evidence::event::{EventRow, EventShape, Redaction};
use crate::evidence::fleet::{FleetLog, FleetRows};
use crate::evidence::key_log::KeyLog;
use crate::evidence::need::Need;
use crate::evidence::replica::Replica;
use crate::evidence::subject::About;
use crate::evidence::symptom::Symptom;
use crate::evidence::to_device::{Inbox, ToDeviceLog};
use crate::evidence::window::Window;

/// The version of the serialised form; a saved file of another version is refused with a clear line.
pub const SCHEMA: u32 = 1;

/// Everything gathered for one question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    pub schema: u32,
    pub symptom: Symptom,
    pub subject: About,
    pub window: Window,
    /// The reference time: "ongoing" and "resolved" are judged against it.
    pub now: Timestamp,
    pub gathered: Vec<Gathered>,
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

/// What a person sees of an answer.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// One line: what was seen.
    pub what: String,
    /// A command or an SQL statement that shows it again.
    pub query: String,
}

impl Gathered {
    /// The answer of a source that was read; its ID comes with the others.
    pub fn answered(
        need: Need,
        source: &str,
        state: State,
        shown: Shown,
        fact: Option<Fact>,
    ) -> Self {
        let Shown { what, query } = shown;
        Self { id: String::new(), need, source: source.into(), state, what, query, fact }
    }

    /// What a client's file says.
    pub fn client(file: &str, facts: ClientFacts) -> Self {
        let source = format!("client:{file}");
        let what = facts.summary();
        let fact = Some(Fact::Client(Box::new(facts)));
        Self::answered(
            Need::Client,
            &source,
            State::Found,
            Shown { what, query: String::new() },
            fact,
        )
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
    Inbox(Inbox),
    Dehydrated(bool),
    ToDeviceLog(Box<ToDeviceLog>),
    DelayLog(Box<DelayLog>),
    DelayedEvents(Delayed),
    SentDelays(Vec<Sent>),
    Metrics(Metrics),
    Client(Box<ClientFacts>),
    AuthLog(Box<AuthLog>),
    FleetLog(Box<FleetLog>),
    FleetRows(FleetRows),
    Replica(Replica),
}
