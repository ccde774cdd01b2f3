//! What one moment of a log came to, of everybody: the grain that storms are counted in.

use jiff::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId};

/// Something seen at a moment, so often in its second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    pub at: Timestamp,
    pub count: u64,
    pub what: What,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// A device's own upload was refused: a key of that id exists.
    Refused { user: OwnedUserId, device: OwnedDeviceId, key: String },
    /// A device's own upload was refused: it would hold too many.
    TooLarge { user: OwnedUserId, device: OwnedDeviceId },
    /// Keys of a device were accepted.
    Accepted { user: OwnedUserId, device: OwnedDeviceId },
    /// Keys of a device were claimed.
    Claimed { user: OwnedUserId, device: OwnedDeviceId },
    /// A request on a delayed event was answered.
    Delay { address: String, answer: Delay },
    /// A request failed because Synapse could not check its access token.
    AuthFailed,
}

/// How a request on a delayed event was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delay {
    Fast,
    /// After two seconds or more.
    Slow,
    /// 429.
    Limited,
    /// 404.
    Gone,
    /// Any other status: the event was not restarted.
    Refused,
}
