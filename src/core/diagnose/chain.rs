//! All four branches over one device's evidence → which is root, which follows, which is independent, in
//! the order to act.

use super::branch_walk::walk_branch;
use super::certainty::Certainty;
use super::facts::Facts;
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use super::verdict_row::{Follows, OwnPlace};
use super::{ke1, ke2, ke3, ke4};
use crate::evidence::{About, Evidence, Need, Symptom};

/// What the whole chain reads, about a device and an event.
pub(super) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::ToDeviceLog,
    Need::DelayLog,
    Need::AuthLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
    Need::Inbox,
    Need::Dehydrated,
    Need::DelayedEvents,
    Need::SentDelays,
    Need::Metrics,
    Need::Event,
    Need::Redactions,
    Need::EventShape,
];
/// How many of them are left where no event is named.
const EVENTLESS: usize = 13;

/// The needs of the chain about this subject.
pub(super) fn needs(about: &About) -> &'static [Need] {
    match about.event() {
        Some(_) => NEEDS,
        None => &NEEDS[..EVENTLESS],
    }
}

/// Where a branch is among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainPlace {
    /// To act on first: others follow from it.
    Root,
    /// It follows from another branch, and heals with it.
    Follows(Symptom),
    /// A separate problem.
    Independent,
    /// Nothing is wrong there.
    Quiet,
    /// It could not be judged.
    Unknown,
}

/// One branch's verdict and its place.
#[derive(Debug, Clone)]
pub struct Branch {
    pub symptom: Symptom,
    pub verdict: Verdict,
    pub place: ChainPlace,
}

/// The branches in the order to act: the root, what follows from it, separate problems, the rest.
#[derive(Debug, Clone)]
pub struct Chain {
    pub branches: Vec<Branch>,
}

impl Chain {
    /// The verdict to act on first. A branch that is quiet says more than one that nobody could judge: KE-2
    /// is never called healthy, and a healthy device has a verdict all the same.
    pub fn first(&self) -> &Verdict {
        let judged = self.branches.iter().find(|branch| branch.place != ChainPlace::Unknown);
        &judged.unwrap_or(&self.branches[0]).verdict
    }

    /// The verdict of one branch; none where it was not asked.
    pub fn verdict_of(&self, symptom: Symptom) -> Option<&Verdict> {
        let branch = self.branches.iter().find(|branch| branch.symptom == symptom);
        branch.map(|branch| &branch.verdict)
    }
}

/// Judges all branches and puts them in order. KE-1 comes first: KE-2 asks what it found.
pub fn chain(evidence: &Evidence) -> Chain {
    let mut facts = Facts::look_up(evidence);
    let keys = walk_branch(evidence, &facts, ke1::QUESTIONS);
    facts.note_ke1(&keys);
    let media = walk_branch(evidence, &facts, ke2::QUESTIONS);
    let mut branches = vec![Branch::alone(Symptom::Ke1, keys), Branch::alone(Symptom::Ke2, media)];
    if evidence.subject.event().is_some() {
        let event = walk_branch(evidence, &facts, ke3::QUESTIONS);
        branches.push(Branch::alone(Symptom::Ke3, event));
    }
    let delays = walk_branch(evidence, &facts, ke4::QUESTIONS);
    branches.push(Branch::alone(Symptom::Ke4, delays));
    link_same(&mut branches);
    link_to_keys(&mut branches);
    branches.sort_by_key(|branch| rank(branch.place));
    Chain { branches }
}

impl Branch {
    /// A branch with its place by itself.
    fn alone(symptom: Symptom, verdict: Verdict) -> Self {
        let place = match (verdict.certainty, verdict.id.row().place) {
            (Certainty::NotEnoughEvidence, _) | (_, OwnPlace::Unknown) => ChainPlace::Unknown,
            (_, OwnPlace::Quiet) => ChainPlace::Quiet,
            (_, OwnPlace::Independent) => ChainPlace::Independent,
        };
        Self { symptom, verdict, place }
    }
}

/// KE-1 is the root of what KE-2 says follows from it; nothing else is known to cause another.
fn link_to_keys(branches: &mut [Branch]) {
    let verdict = |symptom| {
        let branch = branches.iter().find(|branch| branch.symptom == symptom);
        branch
            .filter(|branch| branch.place == ChainPlace::Independent)
            .map(|branch| branch.verdict.id)
    };
    let (Some(keys), Some(media)) = (verdict(Symptom::Ke1), verdict(Symptom::Ke2)) else { return };
    if !follows(media, keys) {
        return;
    }
    for branch in branches {
        match branch.symptom {
            Symptom::Ke1 => branch.place = ChainPlace::Root,
            Symptom::Ke2 => branch.place = ChainPlace::Follows(Symptom::Ke1),
            _ => {}
        }
    }
}

fn follows(media: VerdictId, keys: VerdictId) -> bool {
    match media.row().follows {
        Follows::AnyOfKeys => true,
        Follows::Keys(these) => these.contains(&keys),
        Follows::Nothing | Follows::SameVerdict => false,
    }
}

/// What several branches say alike is one trouble: the others follow from the first.
fn link_same(branches: &mut [Branch]) {
    for first in 0..branches.len() {
        let Branch { symptom, verdict, .. } = &branches[first];
        let symptom = *symptom;
        let id = verdict.id;
        let same = matches!(id.row().follows, Follows::SameVerdict);
        if !same || branches[first].place != ChainPlace::Independent {
            continue;
        }
        let (before, others) = branches.split_at_mut(first + 1);
        for other in others.iter_mut().filter(|other| other.verdict.id == id) {
            before[first].place = ChainPlace::Root;
            other.place = ChainPlace::Follows(symptom);
        }
    }
}

fn rank(place: ChainPlace) -> u8 {
    match place {
        ChainPlace::Root => 0,
        ChainPlace::Follows(_) => 1,
        ChainPlace::Independent => 2,
        ChainPlace::Unknown => 3,
        ChainPlace::Quiet => 4,
    }
}
