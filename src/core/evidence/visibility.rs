//! What a log could have shown: whether Synapse writes INFO lines, and which of the loggers that an answer rests on
//! are known to write.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence::need::Need;

/// How far before the window a logger's last line is looked for.
pub const BACK: SignedDuration = SignedDuration::from_hours(24);
/// A logger of Synapse's that answers rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Logger {
    /// Uploads and claims.
    E2eKeys,
    /// Refusals.
    HttpServer,
    /// Every request.
    Access,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Logger {
    /// All of them: what one-time keys rest on.
    pub const ALL: [Self; 3] = [Self::E2eKeys, Self::HttpServer, Self::Access];

    /// As Synapse's log config names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::E2eKeys => "synapse.handlers.e2e_keys",
            Self::HttpServer => "synapse.http.server",
            Self::Access => "synapse.access",
        }
    }

    /// Those that a need's "none seen" rests on.
    pub fn needed_for(need: Need) -> &'static [Self] {
        match need {
            Need::KeyLog | Need::FleetLog => &Self::ALL,
            Need::ToDeviceLog | Need::DelayLog => &[Self::Access],
            _ => &[],
        }
    }
}

/// What one log could have shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visibility {
    /// The first and the last INFO record inside the window.
    pub info: Option<(Timestamp, Timestamp)>,
    /// An INFO record was seen since the last start, or without one as far back as was searched.
    pub wrote_info: bool,
    /// The last start, where it was found, and no INFO record since: INFO is off.
    pub info_off: Option<Timestamp>,
    /// The loggers with a record in the window, or since the last start and less than `BACK` before the window.
    pub loggers: Vec<Logger>,
    /// The oldest record that was looked at.
    pub since: Option<Timestamp>,
    /// The log's times are sure: written as UTC, by a zone of the config, or by lines that carry both times.
    pub zone_known: bool,
    /// Lines whose text a carrier did not show, such as `[17B blob data]` in the journal's short forms.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lost: u64,
    /// Lines under the ID of another request: the context filter is on the handler behind the buffer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub moved: u64,
}
