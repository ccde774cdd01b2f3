//! Delayed events (MSC4140) of one user: what is pending, what was sent, what the log says about their
//! restarts, and how fast the homeserver answered. A `delay_id` lets anyone who has it act, so only its
//! digest is here.
//!
//! Requests on delayed events carry no user in Synapse 1.143 to 1.155: whose they are is judged later, by
//! the digest of a row or by the address. So all of them are kept, a group each delayed event, bounded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::delay::latency::Latency;
use crate::evidence::figures::counted;
use crate::evidence::key_log::{Coverage, Format, Span};

/// SHA-256 of a delay id, in hex: enough to see that two are the same.
pub type Digest = String;

/// Delayed events that are kept one by one; of what is beyond only totals are.
pub const KEPT: usize = 256;
/// A client that gets no answer within it gives up and asks again (matrix-js-sdk, `MembershipManager`).
pub const PATIENCE: f64 = 2.0;
/// Minutes that are kept of a log: a day of calls.
pub const MINUTES: usize = 1440;
/// Statuses of refused restarts that are distinguished.
pub const STATUSES: usize = 8;
/// A silence of the whole process that is worth a look, seconds.
pub const GAP: f64 = 2.0;

/// What `delayed_events` holds of the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delayed {
    /// This Synapse has no such table: it is older than delayed events.
    pub absent: bool,
    pub rows: Vec<Pending>,
}

/// A row of `delayed_events`; there is one only while the event is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub id: Digest,
    pub device: Option<String>,
    pub room: String,
    pub kind: String,
    /// Milliseconds.
    pub delay: u64,
    /// When it will be sent, unless it is restarted.
    pub due: Option<Timestamp>,
    /// It is being sent.
    pub processed: bool,
}

impl Pending {
    /// When it was made or last restarted: so long before it is due as it waits.
    pub fn begun(&self) -> Option<Timestamp> {
        let delay = jiff::SignedDuration::from_millis(i64::try_from(self.delay).ok()?);
        self.due?.checked_sub(delay).ok()
    }
}

/// Whether an event of this type says who is in a call: its delayed form is the leave that a client
/// restarts while it is there.
pub fn is_membership(kind: &str) -> bool {
    MEMBERSHIPS.contains(&kind)
}

/// The types of MatrixRTC memberships, of all drafts.
pub const MEMBERSHIPS: [&str; 4] = [
    "org.matrix.msc3401.call.member",
    "m.call.member",
    "org.matrix.msc4143.rtc.member",
    "m.rtc.member",
];

/// A delayed event that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: Digest,
    pub event: String,
    pub room: String,
    pub kind: String,
    pub sender: String,
    pub sent: Option<Timestamp>,
}

/// What a log says about delayed events and latency.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DelayLog {
    pub coverage: Vec<Coverage>,
    /// The requests on each delayed event, whosever it is.
    pub handled: Vec<Handled>,
    /// All restarts of the log, those beyond the kept groups too.
    pub restarts: Requests,
    /// All restarts by the minute in which they began, the newest `MINUTES` of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minutes: Vec<Minute>,
    /// Delayed events that the user made or tried to make, at most 64.
    pub made: Vec<Made>,
    /// The user's other requests.
    pub others: Option<Span>,
    /// Addresses of the user or of requests on delayed events, and who else is behind them.
    pub addresses: Vec<Address>,
    /// How long each endpoint took, the server's own time.
    pub endpoints: Vec<Endpoint>,
    /// Requests other than syncs and restarts that took `PATIENCE` or longer.
    pub slow_elsewhere: u64,
    /// Silences of the whole process that clients felt.
    pub stalls: Vec<Stall>,
    /// `could not serialize access`, by the transaction's name.
    pub contention: Vec<(String, u64)>,
    /// `***** STARTING SERVER *****`.
    pub starts: Vec<Timestamp>,
    /// Lines on delayed events that a client may have written; left out.
    pub doubtful: u64,
    /// A list reached its bound: totals are right, lists are cut.
    pub clipped: bool,
}

/// The requests on one delayed event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handled {
    pub id: Digest,
    pub restarts: Requests,
    /// A cancel or a send that was answered with 200.
    pub ended: Option<Timestamp>,
    /// The last restart that was answered with 200.
    pub kept_alive: Option<Timestamp>,
    /// Restarts answered with 404; of those that came after an end, none means trouble.
    pub gone: Option<Span>,
    pub gone_after_end: u64,
    /// Who was authenticated, where somebody was (Synapse ≥ 1.156); at most 4.
    pub users: Vec<String>,
    /// As logged, at most 8.
    pub addresses: Vec<String>,
    pub format: Format,
}

/// Restarts, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    pub span: Option<Span>,
    /// The server's own time.
    pub latency: Latency,
    pub answered: u64,
    pub limited: u64,
    pub gone: u64,
    /// Answered with any other status: a 400, a 401, a 5xx. The event was not restarted.
    pub refused: u64,
    /// Those of them by status, the first `STATUSES` of them; empty in evidence of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(u16, u64)>,
    /// The action was in the body: it may have been another one than a restart.
    pub in_body: u64,
    /// The peer closed first.
    pub aborted: u64,
    /// Began before the one before it had ended: the client had given that one up.
    pub overlapping: u64,
    pub slow: Slow,
}

/// The restarts that began in one minute, whosever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    pub at: Timestamp,
    pub count: u64,
    /// Those that took `PATIENCE` or longer.
    pub slow: u64,
    /// Milliseconds, the server's own time.
    pub longest: u32,
}

/// Where the time of slow requests went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Inside a transaction: the database was slow, or another transaction held the row.
    pub database: u64,
    /// Those of them whose transaction was refused as contended, and tried again.
    pub contended: u64,
    /// Waiting for a free connection of the pool.
    pub pool: u64,
    /// In the process itself.
    pub process: u64,
}

impl Slow {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.database + self.pool + self.process
    }
}

/// A delayed event that the user made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub at: Timestamp,
    pub room: String,
    /// Milliseconds.
    pub delay: Option<u64>,
    pub status: u16,
    /// The server said that it has no delayed events.
    pub unsupported: bool,
    /// The user's other requests from 5 s to 60 s after it: the client, or another of the user's, was there.
    pub beside: u64,
    pub format: Format,
}

/// A client's address; with a proxy that passes headers on it may be the client's own text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub address: String,
    /// Who was authenticated there, at most 8; `more_users` where there were more.
    pub users: Vec<String>,
    pub more_users: bool,
    /// Delayed events that were handled from there, at most 32.
    pub delays: Vec<Digest>,
    /// Requests on delayed events that were rejected as too many.
    pub limited: Option<Span>,
}

impl Address {
    /// Whether nobody but this user was seen there: then a request without a user may be taken for theirs.
    pub fn is_only(&self, user: &str) -> bool {
        !self.more_users && self.users.iter().all(|other| other == user) && !self.users.is_empty()
    }
}

/// One endpoint's latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    pub name: String,
    pub latency: Latency,
    pub aborted: u64,
}

/// A silence of a process, and what its clients did meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Requests right after it that were fast, and whose client had gone before.
    pub left: u64,
    /// Restarts of one delayed event that came together right after it: the client had asked again.
    pub bunched: u64,
    /// The delayed events whose restarts felt it, at most 16.
    pub felt: Vec<Digest>,
}

impl DelayLog {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let restarts = &self.restarts;
        let all = counted(restarts.latency.count, "restart");
        let events = counted(self.handled.len() as u64, "delayed event");
        let mut said = vec![match restarts.latency.count {
            0 => "no restart of a delayed event".to_owned(),
            _ => format!("{all} of {events} by all users"),
        }];
        for (count, what) in [
            (restarts.slow.count(), "of 2 s or more"),
            (restarts.limited, "rate-limited (429)"),
            (restarts.gone, "of events that were gone (404)"),
            (self.made.len() as u64, "created by the user"),
            (self.doubtful, "lines not counted as genuine"),
        ] {
            if count > 0 {
                said.push(format!("{count} {what}"));
            }
        }
        said.join(", ")
    }

    /// Whether the log says anything of delayed events, or of the user.
    pub fn says_anything(&self) -> bool {
        self.restarts.span.is_some() || !self.made.is_empty() || self.others.is_some()
    }

    /// What is known about one address.
    pub fn address(&self, address: &str) -> Option<&Address> {
        self.addresses.iter().find(|known| known.address == address)
    }
}
