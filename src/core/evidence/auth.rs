//! What a log says about sign-in: whether Synapse could check access tokens, whether Matrix Authentication
//! Service (MAS) is in use, and who removed the device that is asked about.
//!
//! With MAS Synapse logs no login and no logout. It asks MAS about each token that it does not remember (two
//! minutes); when MAS does not answer, every request with a token gets a 503, `keys/upload` too.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::evidence::counted;
use crate::evidence::key_log::{Coverage, Format, Span};

/// Removals and device lists that are kept, the newest of each.
const KEPT: usize = 16;

/// What one log, or several, say about sign-in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuthLog {
    pub coverage: Vec<Coverage>,
    /// Requests that failed because Synapse could not check their access token.
    pub outage: Option<Outage>,
    /// Requests of MAS that Synapse accepted: it is in use.
    pub mas: Option<Span>,
    /// Removals of the device, oldest first.
    pub removed: Vec<DeviceRemoval>,
    /// Changes to the user's list of devices by MAS, oldest first. They name no device.
    pub synced: Vec<Synced>,
    /// Lines that a client may have written; left out.
    pub doubtful: u64,
}

/// Requests that failed because Synapse could not check their access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub span: Span,
    /// Those of them that uploaded keys, and those that restarted or ended a delayed event.
    pub uploads: u64,
    pub delays: u64,
    /// JSON where at least one of them is in a JSON log: then it cannot be forged.
    pub format: Format,
}

/// A removal of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRemoval {
    pub at: Timestamp,
    pub by: By,
    pub format: Format,
}

/// Who removed a device, by the request that did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Synapse's admin API, and whose token was used.
    Admin(String),
    /// MAS: its user signed it out, or MAS ended the session.
    Mas,
    /// The account was deactivated.
    Deactivation,
    /// The client logged itself out.
    Logout,
    /// Another session of the user.
    User,
    /// The log does not show the request.
    Unknown,
}

/// MAS changed the user's list of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    pub at: Timestamp,
    pub added: u64,
    pub deleted: u64,
}

impl AuthLog {
    /// One line for a person.
    pub fn summary(&self) -> String {
        let mut said = Vec::new();
        if let Some(outage) = &self.outage {
            let requests = counted(outage.span.count, "request");
            said.push(format!("{requests} whose access token Synapse could not check"));
        }
        if let Some(mas) = self.mas {
            said.push(format!("{} from MAS", counted(mas.count, "request")));
        }
        if !self.removed.is_empty() {
            said.push(counted(self.removed.len() as u64, "removal") + " of the device");
        }
        if self.doubtful > 0 {
            said.push(counted(self.doubtful, "line") + ", not counted as genuine");
        }
        if said.is_empty() {
            return "the log shows no failed access-token check".into();
        }
        said.join(", ")
    }

    /// Whether the log says anything of it.
    pub fn says_anything(&self) -> bool {
        self.outage.is_some() || self.mas.is_some() || !self.removed.is_empty()
    }

    /// Counts another log in.
    pub fn add(&mut self, other: &Self) {
        self.coverage.extend(other.coverage.iter().cloned());
        match (&mut self.outage, other.outage) {
            (Some(outage), Some(other)) => outage.add(other),
            (outage @ None, other) => *outage = other,
            (_, None) => {}
        }
        match (&mut self.mas, other.mas) {
            (Some(span), Some(other)) => span.add(other),
            (span @ None, other) => *span = other,
            (_, None) => {}
        }
        self.removed.extend(other.removed.iter().cloned());
        self.removed.sort_by_key(|removed| removed.at);
        self.synced.extend(other.synced.iter().copied());
        self.synced.sort_by_key(|synced| synced.at);
        self.doubtful += other.doubtful;
        self.clip();
    }

    /// Whether another removal or change came after the moment.
    pub fn added_after(&self, at: Timestamp) -> Option<&Synced> {
        self.synced.iter().find(|synced| synced.added > 0 && synced.at > at)
    }

    pub(crate) fn clip(&mut self) {
        let beyond = self.removed.len().saturating_sub(KEPT);
        self.removed.drain(..beyond);
        let beyond = self.synced.len().saturating_sub(KEPT);
        self.synced.drain(..beyond);
    }
}

impl Outage {
    pub(crate) fn add(&mut self, other: Self) {
        self.span.add(other.span);
        self.uploads += other.uploads;
        self.delays += other.delays;
        if other.format == Format::Json {
            self.format = Format::Json;
        }
    }
}

impl By {
    /// As an answer says it, after "was removed".
    pub fn words(&self) -> String {
        match self {
            Self::Admin(user) => format!("by {user} through Synapse's admin API"),
            Self::Mas => {
                "by Matrix Authentication Service: its user signed it out, or the session was ended there"
                    .into()
            }
            Self::Deactivation => "because the account was deactivated".into(),
            Self::Logout => "because its client logged out".into(),
            Self::User => "by its user from another session".into(),
            Self::Unknown => "by a request that the log does not show".into(),
        }
    }
}
