//! The symptoms that an admin can ask about.

use serde::{Deserialize, Serialize};

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
