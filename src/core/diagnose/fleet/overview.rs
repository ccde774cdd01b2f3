//! What a survey comes to: who is affected, and how far the sources reached.

use super::affected::Affected;
use super::cause::Cause;
use super::common_start::CommonStart;
use crate::diagnose::also::Also;
use crate::diagnose::certainty::Certainty;
use crate::evidence::Window;

/// Who is affected.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub window: Window,
    /// Worst first.
    pub affected: Vec<Affected>,
    /// How many devices each cause has, worst cause first.
    pub causes: Vec<(Cause, u64)>,
    /// How many affected devices each client has, the most first; of those whose client the log names.
    pub agents: Vec<(String, u64)>,
    /// Many that began within minutes.
    pub together: Option<CommonStart>,
    /// True as well, and worth a line.
    pub findings: Vec<String>,
    /// How far the sources were read.
    pub read: Vec<String>,
    /// Sources that could not be read, and why.
    pub unread: Vec<String>,
    /// Where a source was cut.
    pub cut: Vec<String>,
    /// What holds besides, by its id.
    pub also: Vec<Also>,
}

impl Fleet {
    /// Not enough where neither log nor database could be read or show anybody; a list is never more than consistent.
    pub fn certainty(&self) -> Certainty {
        // Nobody in trouble is what a log that could not show any says too.
        let unseen = !self.also.is_empty() && self.affected.is_empty();
        if self.read.is_empty() || unseen {
            Certainty::NotEnoughEvidence
        } else {
            Certainty::Consistent
        }
    }
}
