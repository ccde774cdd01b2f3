//! All four branches over one device's evidence → which is root, which follows, which is independent, in
//! the order to act.

use super::verdict::{Certainty, Verdict, VerdictId};
use super::{ke1, ke2, ke3, ke4, tree_walk};
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

/// Where a branch stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To act on first: others follow from it.
    Root,
    /// It follows from another branch, and heals with it.
    Follows(Symptom),
    /// A trouble of its own.
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
    pub place: Place,
}

/// The branches in the order to act: the root, what follows from it, what stands alone, the rest.
#[derive(Debug, Clone)]
pub struct Chain {
    pub branches: Vec<Branch>,
}

impl Chain {
    /// The verdict to act on first. A branch that is quiet says more than one that nobody could judge: KE-2
    /// is never called healthy, and a healthy device has a verdict all the same.
    pub fn first(&self) -> &Verdict {
        let judged = self.branches.iter().find(|branch| branch.place != Place::Unknown);
        &judged.unwrap_or(&self.branches[0]).verdict
    }
}

/// Judges all branches and puts them in order.
pub fn chain(evidence: &Evidence) -> Chain {
    let branches = [
        (Symptom::Ke1, ke1::QUESTIONS),
        (Symptom::Ke2, ke2::QUESTIONS),
        (Symptom::Ke3, ke3::QUESTIONS),
        (Symptom::Ke4, ke4::QUESTIONS),
    ];
    let asked = |symptom| symptom != Symptom::Ke3 || evidence.subject.event().is_some();
    let mut branches: Vec<_> = branches
        .into_iter()
        .filter(|(symptom, _)| asked(*symptom))
        .map(|(symptom, questions)| {
            let verdict = tree_walk::walk(evidence, questions);
            let place = place(&verdict);
            Branch { symptom, verdict, place }
        })
        .collect();
    link(&mut branches);
    branches.sort_by_key(|branch| rank(branch.place));
    Chain { branches }
}

/// The place of a branch by itself.
fn place(verdict: &Verdict) -> Place {
    match (verdict.id, verdict.certainty) {
        (_, Certainty::NotEnoughEvidence) => Place::Unknown,
        (
            VerdictId::OtkHealthy
            | VerdictId::OtkRace
            | VerdictId::DelayHealthy
            | VerdictId::DelayOff
            | VerdictId::EventRedacted
            | VerdictId::EventNotEncrypted,
            _,
        ) => Place::Quiet,
        _ => Place::Independent,
    }
}

/// KE-1 is the root of what KE-2 says follows from it; nothing else is known to cause another.
fn link(branches: &mut [Branch]) {
    link_auth(branches);
    let verdict = |symptom| {
        let branch = branches.iter().find(|branch| branch.symptom == symptom);
        branch.map(|branch| (branch.verdict.id, branch.place))
    };
    let (Some((ke1, Place::Independent)), Some((ke2, Place::Independent))) =
        (verdict(Symptom::Ke1), verdict(Symptom::Ke2))
    else {
        return;
    };
    let follows = match ke2 {
        VerdictId::MediaLinkKe1 | VerdictId::MediaOtkExhausted => true,
        // Only another account has another identity: one message for a stranger's key follows from nothing
        // else that KE-1 finds.
        VerdictId::MediaDeadIdentity => matches!(
            ke1,
            VerdictId::OtkRecreated | VerdictId::OtkForeignIdentity | VerdictId::OtkDiverged
        ),
        // A device that is not there, or has no keys, is one trouble and not two.
        VerdictId::UnknownDevice | VerdictId::KeylessDevice => ke1 == ke2,
        VerdictId::MediaStaleDevice => ke1 == VerdictId::UnknownDevice,
        _ => false,
    };
    if !follows {
        return;
    }
    for branch in branches {
        match branch.symptom {
            Symptom::Ke1 => branch.place = Place::Root,
            Symptom::Ke2 => branch.place = Place::Follows(Symptom::Ke1),
            _ => {}
        }
    }
}

/// Tokens that cannot be checked are one trouble and not three: the other branches follow from the first.
fn link_auth(branches: &mut [Branch]) {
    let mut same: Vec<_> =
        branches.iter_mut().filter(|one| one.verdict.id == VerdictId::AuthUnreachable).collect();
    let [first, others @ ..] = same.as_mut_slice() else { return };
    if !others.is_empty() {
        first.place = Place::Root;
    }
    for other in others {
        other.place = Place::Follows(first.symptom);
    }
}

fn rank(place: Place) -> u8 {
    match place {
        Place::Root => 0,
        Place::Follows(_) => 1,
        Place::Independent => 2,
        Place::Unknown => 3,
        Place::Quiet => 4,
    }
}
