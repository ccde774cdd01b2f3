//! KE-2 by what clients say of themselves. A report proves nothing by itself, so what rests on it is
//! consistent at the most; and it counts only where it is about the device, in the time asked about.

use super::questions::{ke1, mail, undrained};
use crate::diagnose::refusals::Refusals;
use crate::diagnose::tree_walk::{Ruling, Walk};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::client::{ClientFacts, Noted, Sign};
use crate::evidence::{Evidence, Known, counted};

/// What a client says that fails to open what it is sent.
const FAILS: [(Sign, &str, &str); 3] = [
    (Sign::MissingOneTimeKey, "lacks the one-time key of", "message"),
    (Sign::Wedged, "has no session that opens", "message"),
    (Sign::MissingMediaKey, "misses", "media key"),
];

/// The signs that count, and the evidence that they stand in.
pub(super) struct Signs<'a> {
    noted: Vec<&'a Noted>,
    /// Whether any report is there.
    pub known: Known<()>,
}

impl<'a> Signs<'a> {
    /// Of the device asked about; a report that names no device is taken for its own.
    pub fn own(walk: &Walk<'a>) -> Self {
        Self::of(walk.evidence, is_own)
    }

    /// Of those who send to it.
    fn senders(walk: &Walk<'a>) -> Self {
        Self::of(walk.evidence, |evidence, client| {
            let sender = evidence.subject.sender().map(|sender| sender.as_str());
            match (client.user.as_deref(), sender) {
                (None, _) => client.device.is_none(),
                (Some(user), Some(sender)) => user == sender,
                (Some(_), None) => !is_own(evidence, client),
            }
        })
    }

    fn of(evidence: &'a Evidence, counts: fn(&Evidence, &ClientFacts) -> bool) -> Self {
        let window = evidence.window;
        let (mut noted, mut ids) = (Vec::new(), Vec::new());
        for (id, client) in evidence.clients().filter(|(_, client)| counts(evidence, client)) {
            let inside = |noted: &&Noted| {
                noted.span.is_none_or(|(first, last)| {
                    client.by_server(first) <= window.to && window.from <= client.by_server(last)
                })
            };
            noted.extend(client.signs.iter().filter(inside));
            ids.push(id.to_owned());
        }
        let known = match ids.is_empty() {
            true => Known::Unknown("no report of such a client is at hand".into(), ids),
            false => Known::Is((), ids),
        };
        Self { noted, known }
    }

    /// How often a sign was noted.
    pub fn count(&self, sign: Sign) -> u64 {
        self.noted.iter().filter(|noted| noted.sign == sign).map(|noted| noted.count).sum()
    }

    /// What the client fails at, in words.
    fn fails(&self) -> Vec<String> {
        let said = FAILS.map(|(sign, what, noun)| (self.count(sign), what, noun));
        let said = said.into_iter().filter(|(count, ..)| *count > 0);
        said.map(|(count, what, noun)| format!("its client {what} {}", counted(count, noun)))
            .collect()
    }

    /// The key in the way of a refused upload that the client was sent a message for, and lacks.
    fn lacks_the_key(&self, refusals: &Refusals) -> Option<String> {
        let lacks = self.noted.iter().filter(|noted| noted.sign == Sign::MissingOneTimeKey);
        let lacked: Vec<_> = lacks.filter_map(|noted| noted.key.as_deref()).collect();
        let mut olds = refusals.groups.iter().map(|group| &group.refused.old);
        let old = olds.find(|old| lacked.iter().any(|key| old.is_curve25519(key)))?;
        Some(format!(
            "the one-time key it lacks, {}…, is the very key in the way of its refused uploads: the server \
             handed it out, and the message for it came back",
            old.head
        ))
    }

    /// The answer where nothing of the kind was noted.
    fn none(&self, walk: &mut Walk, what: &str) {
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

/// Both ends of the chain: KE-1 on the server, and a client that cannot open what it is sent.
pub(super) fn media_link(walk: &mut Walk) -> Option<Ruling> {
    let verdict = ke1(walk);
    let diverged = matches!(
        verdict.id,
        VerdictId::OtkRecreated
            | VerdictId::OtkConcurrent
            | VerdictId::OtkRolledBack
            | VerdictId::OtkSameAccount
            | VerdictId::OtkForeignIdentity
            | VerdictId::OtkDiverged
    );
    let signs = Signs::own(walk);
    let fails = signs.fails();
    if !diverged {
        let answer =
            if verdict.id == VerdictId::Inconclusive { Answer::Unknown } else { Answer::No };
        walk.step(answer, format!("KE-1 says {}", verdict.id.name()), &walk.known.log);
        return None;
    }
    if fails.is_empty() {
        signs.none(walk, "its client does not say that it fails to open messages");
        return None;
    }
    let (name, sure) = (verdict.id.name(), verdict.certainty.words());
    let mut because = [vec![format!("KE-1: {name} ({sure})")], fails].concat();
    because.extend(signs.lacks_the_key(&walk.refusals));
    walk.decided(Answer::Yes, because, &signs.known);
    Some((VerdictId::MediaLinkKe1, Certainty::Consistent))
}

/// The validation of crypto-wasm 18.3: by the client's own words, or because nothing else is left.
pub(super) fn validation(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let refused = signs.count(Sign::SenderKeysRefused);
    if refused > 0 {
        let many = counted(refused, "message");
        let why = format!("its client refused {many}: the sender's device keys are incorrect");
        walk.decided(Answer::Yes, vec![why], &signs.known);
        return Some((VerdictId::MediaValidation, Certainty::Consistent));
    }
    let missing = signs.count(Sign::MissingMediaKey);
    let right = mail(walk).right.len() as u64;
    let healthy = ke1(walk).id == VerdictId::OtkHealthy;
    // What waits and is not fetched is missing for another reason.
    if missing == 0 || right == 0 || !healthy || undrained(walk).is_some() {
        signs.none(walk, "its client refuses nothing that is seen to reach it");
        return None;
    }
    let because = vec![
        format!("its client misses {}", counted(missing, "media key")),
        format!("{} for the right identity", counted(right, "message")),
        "KE-1 shows no trouble".to_owned(),
    ];
    walk.decided(Answer::Yes, because, &signs.known);
    Some((VerdictId::MediaValidation, Certainty::Consistent))
}

/// Keys were decrypted, and nothing that the client says is about keys.
pub(super) fn silent_sfu(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::own(walk);
    let decrypted = signs.count(Sign::MediaKeyDecrypted);
    let failed = signs.fails().len() as u64 + signs.count(Sign::NoCiphertextForUs);
    if decrypted == 0 || failed > 0 {
        let what = match decrypted {
            0 => "its client does not say that it decrypted media keys",
            _ => "it decrypted some media keys and misses others",
        };
        signs.none(walk, what);
        return None;
    }
    let many = counted(decrypted, "media key");
    let why = format!("its client decrypted {many} and says of none that it is missing");
    walk.decided(Answer::Yes, vec![why], &signs.known);
    Some((VerdictId::MediaSfu, Certainty::Consistent))
}

/// The sender's own client says that it has nobody to send to.
pub(super) fn no_targets(walk: &mut Walk) -> Option<Ruling> {
    let signs = Signs::senders(walk);
    let count = signs.count(Sign::NoTargets);
    if count == 0 {
        signs.none(walk, "the sender's client does not say so");
        return None;
    }
    let why = format!("the sender's client had no target, {}", counted(count, "time"));
    walk.decided(Answer::Yes, vec![why], &signs.known);
    Some((VerdictId::MediaSender, Certainty::Consistent))
}
