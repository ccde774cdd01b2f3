//! KE-2 by what clients say about themselves. A report proves nothing by itself, so what rests on it is
//! consistent at the most; and it counts only where it is about the device, in the time asked about.

use crate::diagnose::refusals::Refusals;
use crate::diagnose::tree_walk::Walk;
use crate::diagnose::verdict::Answer;
use crate::evidence::client::{ClientFacts, Noted, Sign};
use crate::evidence::{Evidence, Known, counted};

/// What a client says that fails to open what it is sent.
const FAILS: [(Sign, &str, &str); 3] = [
    (Sign::MissingOneTimeKey, "does not have the one-time key of", "message"),
    (Sign::Wedged, "has no Olm session for", "message"),
    (Sign::MissingMediaKey, "is missing", "media key"),
];

/// The signs that count, and the evidence that has them.
pub(super) struct Signs<'a> {
    noted: Vec<&'a Noted>,
    /// Whether any report is there.
    pub known: Known<()>,
}

impl<'a> Signs<'a> {
    /// Of the device asked about; a report that names no device is taken for its own.
    pub fn own(walk: &Walk<'a>) -> Self {
        Self::of_clients(walk.evidence, is_own)
    }

    /// Of those who send to it.
    pub fn senders(walk: &Walk<'a>) -> Self {
        Self::of_clients(walk.evidence, |evidence, client| {
            let sender = evidence.subject.sender().map(|sender| sender.as_str());
            match (client.user.as_deref(), sender) {
                (None, _) => client.device.is_none(),
                (Some(user), Some(sender)) => user == sender,
                (Some(_), None) => !is_own(evidence, client),
            }
        })
    }

    fn of_clients(evidence: &'a Evidence, counts: fn(&Evidence, &ClientFacts) -> bool) -> Self {
        let window = evidence.window;
        let mut noted = Vec::new();
        let mut ids = Vec::new();
        for (id, client) in evidence.clients().filter(|(_, client)| counts(evidence, client)) {
            let inside = |noted: &&Noted| {
                noted.span.is_none_or(|(first, last)| {
                    client.by_server(first) <= window.to && window.from <= client.by_server(last)
                })
            };
            noted.extend(client.signs.iter().filter(inside));
            ids.push(id.to_owned());
        }
        let known = if ids.is_empty() {
            Known::Unknown("there is no report from this client".into(), ids)
        } else {
            Known::Is((), ids)
        };
        Self { noted, known }
    }

    /// How often a sign was noted.
    pub fn count(&self, sign: Sign) -> u64 {
        self.noted.iter().filter(|noted| noted.sign == sign).map(|noted| noted.count).sum()
    }

    /// What the client fails at, in words.
    pub fn fails(&self) -> Vec<String> {
        let said = FAILS.map(|(sign, what, noun)| (self.count(sign), what, noun));
        let said = said.into_iter().filter(|(count, ..)| *count > 0);
        said.map(|(count, what, noun)| format!("its client {what} {}", counted(count, noun)))
            .collect()
    }

    /// The key in the way of a refused upload that the client was sent a message for, and lacks.
    pub fn lacks_the_key(&self, refusals: &Refusals) -> Option<String> {
        let lacks = self.noted.iter().filter(|noted| noted.sign == Sign::MissingOneTimeKey);
        let lacked: Vec<_> = lacks.filter_map(|noted| noted.key.as_deref()).collect();
        let mut olds = refusals.groups.iter().map(|group| &group.refused.old);
        let old = olds.find(|old| lacked.iter().any(|key| old.is_curve25519(key)))?;
        Some(format!(
            "the one-time key that it does not have, {}…, is exactly the key that its uploads conflict with. It \
             was claimed, and the message that was encrypted with it arrived",
            old.head
        ))
    }

    /// The answer where nothing of the kind was noted.
    pub fn answer_none(&self, walk: &mut Walk, what: &str) {
        match &self.known {
            Known::Unknown(why, _) => walk.step(Answer::Unknown, why.clone(), &self.known),
            _ => walk.step(Answer::No, what, &self.known),
        }
    }
}

fn is_own(evidence: &Evidence, client: &ClientFacts) -> bool {
    evidence.device().is_some_and(|subject| {
        client.user.as_deref().is_none_or(|user| user == subject.user.as_str())
            && client.device.as_deref().is_none_or(|device| device == subject.device.as_str())
    })
}
