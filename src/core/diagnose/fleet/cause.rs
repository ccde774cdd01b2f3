//! What can be wrong with a device, as a survey of everybody tells it apart.

/// What is wrong with a device, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its uploads are refused because the key ids are taken.
    Conflict,
    /// Stored keys were made by an identity that is gone.
    DeadIdentity,
    /// Far too many keys.
    Flood,
    /// No key left to hand out, the fallback key used.
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
            Self::DeadIdentity => "keys of a dead identity",
            Self::Flood => "far too many keys",
            Self::Exhausted => "no keys left",
            Self::Keyless => "no encryption keys",
        }
    }
}
