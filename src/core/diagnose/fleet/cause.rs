//! What can be wrong with a device, as a survey of everybody tells it apart.

/// What is wrong with a device, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its uploads are rejected because the server already has keys with these IDs.
    Conflict,
    /// Stored keys belong to an old identity.
    DeadIdentity,
    /// Far too many keys.
    Flood,
    /// No one-time key is left, and the fallback key is used.
    Exhausted,
    /// A device without encryption keys: most are bots and bridges.
    Keyless,
}

impl Cause {
    /// As answers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::DeadIdentity => "dead-identity",
            Self::Flood => "flood",
            Self::Exhausted => "exhausted",
            Self::Keyless => "keyless",
        }
    }

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Conflict => "conflicting keys",
            Self::DeadIdentity => "keys of an old identity",
            Self::Flood => "too many one-time keys",
            Self::Exhausted => "no one-time keys left",
            Self::Keyless => "no encryption keys",
        }
    }
}
