//! The certainty of a verdict: the only hedge that an answer has.

use serde::Serialize;

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

    /// As a person reads it within a line.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "not enough evidence",
            Self::Consistent => "consistent",
            Self::Proven => "proven",
        }
    }

    /// As a person reads it at the head of a line.
    pub fn title(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "Not enough evidence",
            Self::Consistent => "Consistent",
            Self::Proven => "Proven",
        }
    }
}
