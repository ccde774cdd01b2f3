//! What a refusal rests on besides the line that reports it: the row that is still there, a log that cannot be
//! forged, and the client that saw the same upload refused. Where a client alone reports one, its user may
//! have made it up, all but the key in the way, which nobody outside the device and the server knows.

use crate::diagnose::certainty::Certainty;
use crate::diagnose::refusals::{Group, Row};
use crate::diagnose::tree_walk::{Ruling, Walk};
use crate::diagnose::verdict::Answer;
use crate::diagnose::verdict_id::VerdictId;
use crate::evidence::client::ClientRefusal;
use crate::evidence::key_log::Format;
use crate::evidence::{DeviceKeys, Known, utc};

/// A single refusal that no log has: whether it came again nobody can tell.
pub(super) fn once_by_report(walk: &mut Walk) -> bool {
    if walk.known.log.value().is_some() || walk.refusals.repeated() {
        return false;
    }
    let why = "the client's report shows a single rejected upload, so two uploads may have crossed";
    walk.step(Answer::Unknown, why, &walk.known.log);
    true
}

/// Where no key tells: whether the client's own report names another account than the server holds. Its account is
/// the newer one only where the report was written while the server held this identity.
pub(super) fn other_identity(walk: &mut Walk, answer: Answer, because: String) -> Option<Ruling> {
    let Some((id, ours, theirs, after)) = told_identity(walk) else {
        walk.step(answer, because, &walk.known.stored);
        return None;
    };
    let head = |key: &str| key.chars().take(8).collect::<String>();
    let differ = format!(
        "the client's report names the identity {} but the server has {}, so there are two accounts under one device ID",
        head(theirs),
        head(ours)
    );
    if !after {
        let when = "the report has no time after the server's identity was uploaded";
        walk.findings
            .push(format!("{differ}; {when}, so the account may have been replaced since"));
        walk.step(answer, because, &walk.known.stored);
        return None;
    }
    walk.decided(Answer::Yes, vec![differ], &Known::Is((), vec![id.to_owned()]));
    Some((VerdictId::OtkRecreated, Certainty::Consistent))
}

/// The report that names another identity than the server's, both, and whether it was written after the server's
/// was uploaded.
fn told_identity<'a>(walk: &Walk<'a>) -> Option<(&'a str, &'a str, &'a str, bool)> {
    let keys: &'a DeviceKeys = *walk.known.keys.value()?;
    let ours = keys.ed25519.as_deref()?;
    let device = walk.evidence.device()?.device.as_str();
    let mut own = walk.own_clients().filter(|(_, client)| client.device.as_deref() == Some(device));
    own.find_map(|(id, client)| {
        let theirs = client.identity.as_ref()?.ed25519.as_deref().filter(|key| *key != ours)?;
        let after = client.span.is_some_and(|(_, last)| last >= keys.added);
        Some((id, ours, theirs, after))
    })
}

/// Without a log: which part of it would tell the cause.
pub(super) fn order_wanted(walk: &mut Walk) {
    let Some(span) = walk.refusals.span() else { return };
    let how = format!(
        "give Kestrel the log from a few minutes before {} to {}: the order of the uploads shows whether two clients share a store or an \
         old copy of the store was restored",
        utc(span.first),
        utc(span.last)
    );
    walk.missing("the Synapse log", how);
}

/// Where the refusals stand.
pub(super) fn source(walk: &Walk, group: &Group) -> Known<()> {
    if !group.refused.reported {
        return Known::Is((), walk.known.log.ids().to_vec());
    }
    Known::Is((), walk.own_clients().map(|(id, _)| id.to_owned()).collect())
}

/// What makes the line of the log, or the client's word, believable beyond the text.
pub(super) fn confirmation(walk: &Walk, group: &Group) -> Vec<String> {
    let refused = group.refused;
    if refused.reported {
        // Of a client's word nothing else counts.
        let why = "the conflicting key in the client's report is exactly the key in the database";
        return vec![why.into()];
    }
    let why = match (group.row, refused.format) {
        (Row::Old(_), _) => {
            "the database still holds exactly the conflicting key, so the log line is genuine"
        }
        (_, Format::Json) => "the log is JSON, so its lines cannot be forged",
        (Row::Other(_) | Row::Gone, Format::Text) => {
            "the conflicting key is no longer stored, so only a text log shows it, and that can be forged"
        }
        (Row::NotRead, Format::Text) => "only a text log shows it, and that can be forged",
    };
    let alike = |seen: &ClientRefusal| seen.same_conflict(&refused.key, &refused.old, &refused.new);
    let met = walk.own_clients().any(|(_, client)| client.refused.iter().any(alike));
    let met = met.then(|| {
        "the client's report shows the same rejected upload as the log: same key ID, same conflicting key, same new key"
            .to_owned()
    });
    [why.to_owned()].into_iter().chain(met).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::judgement::diagnose;
    use crate::diagnose::verdict::Verdict;
    use crate::evidence::client::{ClientFacts, ClientIdentity};
    use crate::evidence::{Evidence, Gathered};
    use jiff::{SignedDuration, Timestamp};

    const OTHER: &str = "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng";

    /// A healthy device of a real server, and its client's report that names this identity and this device.
    fn judged(
        ed25519: &str,
        device: Option<&str>,
        last: impl Fn(Timestamp) -> Timestamp,
    ) -> Verdict {
        let saved = include_str!("../../../../tests/cases/ke1--otk-healthy--healthy/evidence.json");
        let mut evidence: Evidence = serde_json::from_str(saved).unwrap();
        let subject = evidence.device().unwrap().clone();
        let known = evidence.device_keys();
        let keys = *known.value().unwrap();
        let ed25519 =
            if ed25519.is_empty() { keys.ed25519.clone().unwrap() } else { ed25519.into() };
        let at = last(keys.added);
        let client = ClientFacts {
            user: Some(subject.user.to_string()),
            device: Some(device.unwrap_or(subject.device.as_str()).to_owned()),
            span: Some((at, at)),
            identity: Some(ClientIdentity { ed25519: Some(ed25519), curve25519: None }),
            ..ClientFacts::default()
        };
        evidence.gathered.push(Gathered::client("report.json", client));
        diagnose(&evidence)
    }

    #[test]
    fn a_client_that_names_another_account_than_the_server_was_recreated() {
        let later = |at: Timestamp| at + SignedDuration::from_mins(5);
        let before = |at: Timestamp| at - SignedDuration::from_mins(5);
        let verdict = judged(OTHER, None, later);
        assert_eq!(
            (verdict.id, verdict.certainty),
            (VerdictId::OtkRecreated, Certainty::Consistent)
        );
        assert!(verdict.because[0].contains("AFsahSIy"), "{:?}", verdict.because);
        // Written before the server's identity came: the account was replaced since, and may be well.
        let verdict = judged(OTHER, None, before);
        assert_eq!(verdict.id, VerdictId::OtkHealthy);
        assert!(
            verdict.findings.iter().any(|said| said.contains("AFsahSIy")),
            "{:?}",
            verdict.findings
        );
        // The same identity, and another device's.
        assert_eq!(judged("", None, later).id, VerdictId::OtkHealthy);
        assert_eq!(judged(OTHER, Some("ANOTHERDEV"), later).id, VerdictId::OtkHealthy);
    }
}
