//! The shape of a verdict's row: everything about a verdict that is the same in every case.

use super::certainty::Certainty;
use super::remedy::{Recommendation, Remedy};
use super::verdict_id::VerdictId;

/// Characters of a headline that a lock screen shows.
pub const LONGEST_HEADLINE: usize = 60;

/// A remedy, what the branch thinks of it, and why where that needs a word.
pub type RemedyRow = (Remedy, Recommendation, Option<&'static str>);

/// One verdict.
#[derive(Debug)]
pub struct VerdictRow {
    /// The id as answers, cases and scripts write it.
    pub name: &'static str,
    pub kind: VerdictKind,
    /// One short sentence in everyday words, for a lock screen: at most [`LONGEST_HEADLINE`] characters.
    pub headline: &'static str,
    /// What to do once the verdict is proven, in everyday words; empty where nothing has to be done.
    pub action: &'static str,
    /// What happened, in one or two technical sentences; empty where nothing is decided.
    pub explanation: &'static str,
    pub certainty: CertaintyRule,
    /// Best first; empty where there is no remedy.
    pub remedies: &'static [RemedyRow],
    /// Where its branch is in a chain by itself.
    pub place: OwnPlace,
    /// What it follows from, where that is found too.
    pub follows: Follows,
    /// What makes a storm of it cured.
    pub storm: StormCure,
}

/// What a verdict says about the device, the event or the calls. It does not change the place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictKind {
    Trouble,
    Healthy,
    /// Something happened, and nothing on the server has to be repaired.
    NothingToRepair,
    NotEnoughEvidence,
}

/// How sure a verdict can be.
#[derive(Debug, Clone, Copy)]
pub enum CertaintyRule {
    /// The database alone shows it.
    AlwaysProven,
    /// Proven where the database, or a log that cannot be forged, shows it; else consistent.
    UpToProven(Option<Confirmation>),
    /// It rests on what a client says, on a missing line, or on the order of events.
    AtMostConsistent(Option<Confirmation>),
    NotEnoughEvidence,
}

/// What would turn a consistent verdict into a proven one.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation {
    pub need: &'static str,
    pub how: &'static str,
}

impl CertaintyRule {
    /// Whether the verdict may be as sure as this.
    pub fn allows(self, certainty: Certainty) -> bool {
        match self {
            Self::AlwaysProven => certainty == Certainty::Proven,
            Self::UpToProven(_) => certainty != Certainty::NotEnoughEvidence,
            Self::AtMostConsistent(_) => certainty == Certainty::Consistent,
            Self::NotEnoughEvidence => certainty == Certainty::NotEnoughEvidence,
        }
    }

    /// What would confirm it where it is consistent only.
    pub fn confirmation(self) -> Option<Confirmation> {
        match self {
            Self::UpToProven(by) | Self::AtMostConsistent(by) => by,
            Self::AlwaysProven | Self::NotEnoughEvidence => None,
        }
    }
}

/// The place of a branch in a chain before it is linked to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnPlace {
    /// A separate problem.
    Independent,
    /// Nothing is wrong there.
    Quiet,
    /// It could not be evaluated.
    Unknown,
}

/// The verdict of another branch that this one follows from, and is resolved with.
#[derive(Debug, Clone, Copy)]
pub enum Follows {
    Nothing,
    /// Any trouble that KE-1 finds.
    AnyOfKeys,
    /// These verdicts of KE-1.
    Keys(&'static [VerdictId]),
    /// The same verdict of an earlier branch: it is one trouble and not two.
    SameVerdict,
}

/// What makes a storm of it cured.
#[derive(Debug, Clone, Copy)]
pub enum StormCure {
    /// The device is gone, and its keys with it.
    DeviceGone,
    /// No conflicting key is left, no key of the old account was claimed, and no upload is rejected.
    NothingLeft {
        /// What else the verdict leaves behind.
        also_left: Option<&'static str>,
        /// What the user should do, where it is not the usual.
        act: Option<&'static str>,
    },
}

impl StormCure {
    /// Only what the storm's figures say.
    pub const ORDINARY: Self = Self::NothingLeft { also_left: None, act: None };
}
