//! What holds besides a verdict: the logs could not have shown what was asked.

use serde::Serialize;

use super::certainty::Certainty;
use crate::evidence::blind::{Blind, all_lines_at_info};

/// What holds besides a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Also {
    pub id: AlsoId,
    pub certainty: Certainty,
    /// A sentence for people.
    pub text: String,
}

/// The ids of what holds besides a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlsoId {
    LogInfoOff,
    LogBlindTo,
}

impl AlsoId {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LogInfoOff, Self::LogBlindTo];

    /// As answers and scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogInfoOff => "log-info-off",
            Self::LogBlindTo => "log-blind-to",
        }
    }

    /// One sentence for a phone.
    pub fn headline(self) -> &'static str {
        match self {
            Self::LogInfoOff => {
                "Synapse writes no INFO lines to this log, so it cannot show uploads, rejections or claims"
            }
            Self::LogBlindTo => {
                "the logs that Kestrel reads may not show what was asked: a logger is silent, or another process's \
                 log is missing"
            }
        }
    }

    /// What to do about it.
    pub fn how(self) -> String {
        all_lines_at_info()
    }
}

impl Also {
    pub(super) fn of_blind_log(blind: &Blind) -> Self {
        if blind.is_proven() {
            Self { id: AlsoId::LogInfoOff, certainty: Certainty::Proven, text: blind.text() }
        } else {
            Self { id: AlsoId::LogBlindTo, certainty: Certainty::Consistent, text: blind.text() }
        }
    }
}
