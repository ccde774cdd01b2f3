//! To-device messages to one device: those that wait in the database, and what the log says about them.
//! A body is never here: whose key a ciphertext is for, and how large it is, will do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::Window;
use crate::evidence::figures::counted;
use crate::evidence::key_log::{Coverage, Span};

/// The device's rows of `device_inbox`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Inbox {
    /// How many wait; exact up to the probe's limit, then `capped` is set. After a live watch, what
    /// still waits at its end.
    pub pending: u64,
    pub capped: bool,
    /// The rows could be counted and not be looked into.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// The oldest rows, at most the probe's limit; of a live watch, every row that was seen.
    pub rows: Vec<InboxRow>,
    /// There where the inbox was watched for a while instead of looked at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// A second look, which tells a backlog that grows from one that is being fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The span in which slow looks at the database saw it grow, one after the other, while its device made
    /// requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grown: Option<Window>,
}

/// How an inbox was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub from: Timestamp,
    pub to: Timestamp,
    pub polls: u64,
    /// More came than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clipped: bool,
}

/// What a second look at the inbox saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Milliseconds between the looks.
    pub after: u64,
    /// Rows that came in between and were still there.
    pub came: u64,
    /// The oldest row of the first look was still there: nothing was fetched in between.
    pub stands: bool,
}

/// One waiting message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRow {
    pub stream: i64,
    /// As stored; of a remote server it may be anything.
    pub sender: Option<String>,
    pub kind: Option<String>,
    /// At most 64 characters.
    pub algorithm: Option<String>,
    /// The curve25519 keys that the ciphertext is for: of Olm there is one, the recipient's.
    pub recipients: Vec<String>,
    /// Length of `message_json`.
    pub bytes: u64,
    /// When a live watch first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
}

/// What a log says about the device's to-device messages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToDeviceLog {
    pub coverage: Vec<Coverage>,
    /// `synapse.9533_debug` writes in this log: only then does silence mean anything.
    pub debug: bool,
    /// Stored for the device, by 9533_debug.
    pub stored: Option<Span>,
    /// Handed to one of the user's syncs, by 9533_debug; the line names no device.
    pub returned: Option<Span>,
    /// Dropped because the server knows no such device, by 9533_debug.
    pub dropped: Option<Span>,
    /// A dropped line was in a text log, which can be forged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped_in_text: bool,
    /// Refused as too large, by the sender's request.
    pub too_large: Option<Span>,
    /// The user's /sync requests that were answered; the log names no device.
    pub syncs: Option<Span>,
    /// Lines left out because a client may have written them.
    pub doubtful: u64,
}

impl Inbox {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let more = if self.capped { " or more" } else { "" };
        let wait = format!("{}{more} undelivered", self.pending);
        match self.live {
            Some(live) => {
                let seconds = live.to.duration_since(live.from).as_secs();
                format!("{} seen in {seconds} s, {wait}", counted(self.rows.len() as u64, "row"))
            }
            None => wait,
        }
    }
}

impl ToDeviceLog {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let count = |span: Option<Span>| span.map_or(0, |span| span.count);
        let mut parts = vec![if self.debug {
            format!(
                "9533_debug is on: {} stored, {} dropped",
                count(self.stored),
                count(self.dropped)
            )
        } else {
            "9533_debug is off".to_owned()
        }];
        if let Some(span) = self.too_large {
            parts.push(format!("{} rejected as too large", span.count));
        }
        parts.push(format!("{} of the user's syncs were answered", count(self.syncs)));
        parts.join("; ")
    }

    /// Whether the log says anything of the device itself.
    pub fn says_anything(&self) -> bool {
        self.stored.or(self.dropped).or(self.too_large).is_some()
    }

    /// Adds another process's log to this one.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
        self.debug |= other.debug;
        self.dropped_in_text |= other.dropped_in_text;
        self.doubtful += other.doubtful;
        for (own, other) in [
            (&mut self.stored, other.stored),
            (&mut self.returned, other.returned),
            (&mut self.dropped, other.dropped),
            (&mut self.too_large, other.too_large),
            (&mut self.syncs, other.syncs),
        ] {
            count_in(own, other);
        }
    }
}

pub(crate) fn count_in(own: &mut Option<Span>, other: Option<Span>) {
    match (own.as_mut(), other) {
        (Some(own), Some(other)) => own.add(other),
        (None, other) => *own = other,
        (Some(_), None) => {}
    }
}
