//! The shape of a verdict: what it says, how sure it is, and the path that led to it.

use jiff::Timestamp;
use serde::Serialize;

use super::also::Also;
use super::certainty::Certainty;
use super::remedy::Advice;
use super::verdict_id::VerdictId;
use crate::evidence::key_log::Span;
use crate::evidence::removal::RemovedBy;
use crate::evidence::{Window, counted};

/// The answer to one question of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    /// As written in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One step of the path: a question, its answer, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub question: &'static str,
    pub asked: &'static str,
    pub answer: Answer,
    pub because: String,
    /// Ids of the evidence behind the answer.
    pub evidence: Vec<String>,
}

/// What should be captured next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub need: String,
    pub how: String,
}

/// What every verdict with refusals states.
#[derive(Debug, Clone)]
pub struct Storm {
    pub span: Span,
    /// The conflicting key id of the largest group, and how many further ids conflict.
    pub key: String,
    pub more_keys: usize,
    /// Refusals a second between the first and the last; `None` where two or one say nothing of a rate.
    pub rate: Option<f64>,
    /// Whether refusals were still arriving at the end of what was seen.
    pub goes_on: bool,
    /// Uploads that are rejected as too many, up to the end of what was seen: whatever became of the
    /// conflict, the device cannot publish keys.
    pub too_large: Option<Span>,
    /// `true` where the conflicting row is still there; `None` where the database did not say.
    pub row_stands: Option<bool>,
    /// When the conflicting key was claimed, if the log has it.
    pub claimed: Option<jiff::Timestamp>,
    /// Claims that handed a dead key out since the divergence began.
    pub dead_keys_handed_out: u64,
    /// When the conflicting key was stored, by the server's clock.
    pub born: Option<jiff::Timestamp>,
    /// The user agent and address of that minute's upload.
    pub born_by: Option<(Option<String>, Option<String>)>,
}

/// Rejected uploads that are history: the device came back under its ID.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    /// When the device was removed; where no line names it, when its present identity was stored.
    pub at: Timestamp,
    /// The line that reports it; none where the identity alone does.
    pub by: Option<RemovedBy>,
    /// The rejected uploads before.
    pub span: Span,
}

impl Storm {
    /// How many keys of the old account were claimed, and what each costs. `None` if none was.
    pub fn claimed_keys(&self) -> Option<String> {
        let (were, each) = match self.dead_keys_handed_out {
            0 => return None,
            1 => ("was", "it"),
            _ => ("were", "each"),
        };
        Some(format!(
            "{} of the old account {were} claimed: {each} causes one undecryptable message for whoever claimed it",
            counted(self.dead_keys_handed_out, "key")
        ))
    }
}

impl Resolved {
    /// Counts another group in.
    pub(super) fn add(&mut self, other: Self) {
        self.span.add(other.span);
        if other.at > self.at || self.by.is_none() {
            (self.at, self.by) = (other.at, other.by.or(self.by));
        }
    }
}

/// A line of measured figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// One word or two.
    pub label: &'static str,
    pub text: String,
}

/// A verdict and everything a person needs to trust it.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub id: VerdictId,
    pub certainty: Certainty,
    pub path: Vec<Step>,
    /// Why it is believed, in short sentences.
    pub because: Vec<String>,
    pub storm: Option<Storm>,
    /// Rejected uploads from before the device came back under its ID; not part of `storm`.
    pub resolved: Option<Resolved>,
    /// Measured figures that an answer always shows.
    pub figures: Vec<Figure>,
    /// Those beside them that `!why` and the JSON show.
    pub more_figures: Vec<Figure>,
    /// True as well as the verdict, and worth a line.
    pub findings: Vec<String>,
    /// What holds besides, by its id.
    pub also: Vec<Also>,
    /// How far the sources reached: what a verdict below proven should be read with.
    pub notes: Vec<String>,
    pub remedies: Vec<Advice>,
    pub missing: Vec<Missing>,
    pub window: Window,
}
