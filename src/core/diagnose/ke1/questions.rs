//! KE-1: one-time key conflicts of one device. Each question is one small function; the first that is
//! answered with a verdict ends the walk, and the walk keeps every answer.

use super::corroboration::{confirmation, once_by_report, order_wanted, other_identity, source};
use super::crossed_uploads::crossed;
use super::upload_order::{Shape, shape};
use crate::diagnose::auth_outage::{AUTH_REACHABLE, hides_quiet};
use crate::diagnose::key_count::{keys_exhausted, same_keys_again, too_many_keys};
use crate::diagnose::known_device::{device_known, identity_published};
use crate::diagnose::log_visibility::{keys_unseen, no_refusal, stopped};
use crate::diagnose::refusals::{Group, Pattern, dead_claims, newer};
use crate::diagnose::tree_walk::{Question, Ruling, Walk, database_how, log_how};
use crate::diagnose::verdict::{Answer, Certainty, VerdictId};
use crate::evidence::key_log::Format;
use crate::evidence::otk::Check;
use crate::evidence::{KeyLog, Known, Need, State, counted};

/// What the branch reads.
pub(in crate::diagnose) const NEEDS: &[Need] = &[
    Need::KeyLog,
    Need::AuthLog,
    Need::Devices,
    Need::DeviceKeys,
    Need::OneTimeKeys,
    Need::FallbackKeys,
];

/// The trunk: in the order in which verdicts are tried.
pub(in crate::diagnose) const QUESTIONS: &[Question] = &[
    Question {
        name: "device-known",
        asked: "Does the server know this device?",
        rules: &[VerdictId::UnknownDevice],
        ask: device_known,
    },
    Question {
        name: "identity-published",
        asked: "Has the device published identity keys?",
        rules: &[VerdictId::KeylessDevice, VerdictId::AuthUnreachable],
        ask: identity_published,
    },
    Question {
        name: "uploads-refused",
        asked: "Were its own uploads refused, \"One time key … already exists\"?",
        rules: &[],
        ask: uploads_refused,
    },
    Question {
        name: "account-recreated",
        asked: "Was the encryption account made anew under the same device id?",
        rules: &[VerdictId::OtkRecreated],
        ask: account_recreated,
    },
    Question {
        name: "same-account",
        asked: "Did one and the same account make both keys?",
        rules: &[VerdictId::OtkConcurrent, VerdictId::OtkRolledBack, VerdictId::OtkSameAccount],
        ask: same_account,
    },
    Question {
        name: "foreign-identity",
        asked: "Does the uploader sign with an identity that the server does not hold?",
        rules: &[VerdictId::OtkForeignIdentity],
        ask: foreign_identity,
    },
    Question {
        name: "unexplained",
        asked: "Is there a refusal that the signatures do not explain?",
        rules: &[VerdictId::OtkDiverged],
        ask: unexplained,
    },
    Question {
        name: "crossed-once",
        asked: "Were the refusals single ones that never came again?",
        rules: &[VerdictId::OtkRace],
        ask: crossed_once,
    },
    Question {
        name: "too-many-keys",
        asked: "Does it hold or upload far too many keys?",
        rules: &[VerdictId::OtkFlood],
        ask: too_many_keys,
    },
    Question {
        name: "keys-exhausted",
        asked: "Has it run out of one-time keys?",
        rules: &[VerdictId::OtkExhausted],
        ask: keys_exhausted,
    },
    Question {
        name: "same-keys-again",
        asked: "Does it upload the same keys again and again?",
        rules: &[VerdictId::OtkUploadLoop],
        ask: same_keys_again,
    },
    AUTH_REACHABLE,
    Question {
        name: "all-read",
        asked: "Were the log and the database both read?",
        rules: &[VerdictId::OtkHealthy],
        ask: all_read,
    },
];

/// Decides nothing by itself: it says whether there is a conflict to explain.
fn uploads_refused(walk: &mut Walk) -> Option<Ruling> {
    let log = &walk.known.log;
    let (answer, because) = match (log, walk.refusals.span()) {
        (_, Some(span)) if walk.refusals.only_reported() => {
            let refusals = counted(span.count, "refusal");
            (Answer::Yes, format!("{refusals} or more, by the client's report"))
        }
        (_, Some(span)) => (Answer::Yes, counted(span.count, "refusal")),
        (Known::Is(log, _), None) if !crate::diagnose::findings::read_anything(log) => {
            (Answer::Unknown, "the log holds nothing of this window".into())
        }
        (Known::Unknown(why, _), None) => (Answer::Unknown, why.clone()),
        (_, None) if walk.known.unseen.keys.is_some() => (Answer::Unknown, no_refusal(walk)),
        (_, None) => (Answer::No, "no refusal in the window is this device's own".to_owned()),
    };
    if walk.refusals.span().is_none() {
        walk.findings.extend(crate::diagnose::findings::refused_by_report(walk.evidence));
    }
    if answer == Answer::Unknown && !keys_unseen(walk) {
        walk.missing("the Synapse log", log_how(&because));
    }
    walk.step(answer, because, log);
    None
}

fn account_recreated(walk: &mut Walk) -> Option<Ruling> {
    let (dead, beside) = failing(walk);
    let group = walk.refusals.of(Pattern::Recreated).copied();
    if dead == 0 && group.is_none() {
        let (answer, because) = match (&walk.known.keys, &walk.known.stored) {
            (Known::Unknown(why, _), _) | (_, Known::Unknown(why, _)) => {
                (Answer::Unknown, why.clone())
            }
            _ if beside > 0 => {
                (Answer::No, "the keys of another account came after this identity".into())
            }
            _ if walk.known.log.unknown().is_some() && walk.refusals.groups.is_empty() => {
                let why = "no stored key was made by another account; no log was read";
                (Answer::No, why.into())
            }
            _ => {
                let none = "no stored or refused key was made by another account";
                (Answer::No, walk.refusals.none(none).into())
            }
        };
        return other_identity(walk, answer, because);
    }
    let mut because = Vec::new();
    if let Some(group) = group {
        because.push(
            "the key in the way was not signed by the device's present account, the offered one was"
                .to_owned(),
        );
        because.extend(confirmation(walk, &group));
    }
    if dead > 0 {
        because.push(format!("{dead} stored keys were signed by an account that is gone"));
    }
    if group.is_none() {
        because.extend(handed_out(walk));
    }
    walk.decided(Answer::Yes, because, &walk.known.stored);
    // Of a client's word the stored keys themselves are the proof.
    let proven = |group: Group| group.proves() && !group.refused.reported;
    let proven = dead > 0 || group.is_some_and(proven);
    let certainty = if proven { Certainty::Proven } else { Certainty::Consistent };
    Some((VerdictId::OtkRecreated, certainty))
}

fn same_account(walk: &mut Walk) -> Option<Ruling> {
    let none = "no refusal where both keys verify";
    let group = group(walk, Pattern::SameAccount, none)?;
    let known = walk.known;
    let log = &known.reported;
    if once_by_report(walk) {
        return None;
    }
    if crossed(walk, log) {
        walk.step(Answer::Yes, "but only once", &walk.known.log);
        return None;
    }
    let shape = shape(&walk.refusals, log);
    let mut because = vec![
        "the stored and the offered key are both signed by the device's present account".to_owned(),
    ];
    because.extend(confirmation(walk, &group));
    match known.log.value() {
        Some(_) => because.push(shape.words(&walk.refusals, log)),
        None => order_wanted(walk),
    }
    walk.decided(Answer::Yes, because, &source(walk, &group));
    let once = !walk.refusals.repeated() || group.refused.reported;
    Some(match shape {
        Shape::TwoClients { .. } => (VerdictId::OtkConcurrent, Certainty::Consistent),
        Shape::Rollback => (VerdictId::OtkRolledBack, Certainty::Consistent),
        Shape::Unclear if group.proves() && !once => (VerdictId::OtkSameAccount, Certainty::Proven),
        Shape::Unclear => (VerdictId::OtkSameAccount, Certainty::Consistent),
    })
}

fn foreign_identity(walk: &mut Walk) -> Option<Ruling> {
    let (_, beside) = failing(walk);
    if beside > 0 && walk.refusals.of(Pattern::Foreign).is_none() {
        let because = format!(
            "{beside} stored keys are newer than the device's identity and signed by another account"
        );
        walk.decided(Answer::Yes, vec![because], &walk.known.stored);
        return Some((VerdictId::OtkForeignIdentity, Certainty::Proven));
    }
    let none = "no refusal where only the stored key verifies";
    let group = group(walk, Pattern::Foreign, none)?;
    if crate::diagnose::database_lag::identity(walk, &group) {
        return None;
    }
    let mut because = vec![
        "the stored key is signed by the device's present account, the offered one is not"
            .to_owned(),
    ];
    because.extend(confirmation(walk, &group));
    walk.decided(Answer::Yes, because, &source(walk, &group));
    // The offered key is the client's word alone, and may be made up.
    let reported = group.refused.reported.then_some(Certainty::Consistent);
    Some((VerdictId::OtkForeignIdentity, reported.unwrap_or(certainty(&group))))
}

fn unexplained(walk: &mut Walk) -> Option<Ruling> {
    let Some(group) = walk.refusals.of(Pattern::Silent).copied() else {
        walk.step(Answer::No, walk.refusals.none("none"), &walk.known.log);
        return None;
    };
    if once_by_report(walk) || crate::diagnose::database_lag::identity(walk, &group) {
        return None;
    }
    let known = walk.known;
    if crossed(walk, &known.reported) {
        walk.step(Answer::Yes, "but only once", &known.log);
        return None;
    }
    let why = match (&known.keys, group.refused.old.check, group.refused.new.check) {
        (Known::Unknown(why, _), ..) => format!("the signature test could not be made: {why}"),
        (_, Check::Fails, Check::Fails) => {
            "neither key verifies under the device's identity".into()
        }
        _ => "the keys carry no signature of this device".into(),
    };
    let mut because = vec![why];
    because.extend(confirmation(walk, &group));
    if group.refused.with_device_keys == group.refused.span.count && starts_at_zero(&group) {
        because.push(
            "each try carries device keys and begins with the first ids again: the shape of a wiped store"
                .into(),
        );
    }
    walk.decided(Answer::Yes, because, &source(walk, &group));
    // Neither key says whose it is, so the report's user may have made the refused one up.
    // A single one may be a crossing: the log ends too soon to tell.
    let open = group.refused.reported || !walk.refusals.repeated();
    let certainty = if open { Certainty::Consistent } else { certainty(&group) };
    Some((VerdictId::OtkDiverged, certainty))
}

fn crossed_once(walk: &mut Walk) -> Option<Ruling> {
    let known = walk.known;
    let log = known.log.value();
    if !log.is_some_and(|log| crossed(walk, log)) {
        let answer = if log.is_some() { Answer::No } else { Answer::Unknown };
        walk.step(answer, "no single refusal with quiet behind it", &walk.known.log);
        return None;
    }
    if hides_quiet(walk) {
        return None;
    }
    let because = "no key id was refused twice: two uploads of one device crossed";
    walk.decided(Answer::Yes, vec![because.into()], &walk.known.log);
    Some((VerdictId::OtkRace, Certainty::Consistent))
}

fn all_read(walk: &mut Walk) -> Option<Ruling> {
    let failed: Vec<_> = (walk.evidence.gathered.iter())
        .filter(|answer| NEEDS.contains(&answer.need))
        .filter_map(|answer| match &answer.state {
            State::Failed(why) | State::NotAsked(why) => {
                Some((answer.need, format!("{}: {why}", answer.source)))
            }
            _ => None,
        })
        .collect();
    for (need, why) in &failed {
        match need {
            Need::KeyLog => walk.missing("the Synapse log", log_how(why)),
            _ => walk.missing("the database", database_how(why)),
        }
    }
    let log = walk.known.log.value();
    let log_read = log.is_some_and(crate::diagnose::findings::read_anything);
    // Nobody can forge such a line in JSON: somebody's upload was refused, and it may be this device's.
    let json = |log: &KeyLog| log.coverage.iter().any(|part| part.format == Format::Json);
    let untied = log.is_some_and(|log| json(log) && log.unattributed > walk.refusals.tied);
    if untied {
        let how = "log in Synapse's text or Terse JSON format, which write request ids";
        walk.missing("whose upload was refused", how.into());
    }
    let untested = crate::diagnose::findings::untested(walk.evidence);
    if let Some(how) = untested {
        walk.missing("the signature test", how.into());
    }
    let silent = stopped(walk) | keys_unseen(walk);
    let current = crate::diagnose::database_lag::current(walk);
    let whole = failed.is_empty() && current && !untied && untested.is_none() && !silent;
    if whole && log_read && walk.known.keys.value().is_some() {
        walk.step(Answer::Yes, "both answered", &walk.known.log);
        walk.because.extend(crate::diagnose::findings::health(
            walk.evidence,
            &walk.known.log,
            walk.refusals.past,
        ));
        return Some((VerdictId::OtkHealthy, Certainty::Consistent));
    }
    let because = walk.missing.iter().map(|missing| missing.need.clone()).collect::<Vec<_>>();
    let because = format!("missing: {}", because.join(", "));
    walk.step(Answer::No, because, &walk.known.log);
    None
}

/// The refusals of a pattern; where there are none, that is the answer.
fn group<'a>(walk: &mut Walk<'a>, pattern: Pattern, none: &'static str) -> Option<Group<'a>> {
    let group = walk.refusals.of(pattern).copied();
    if group.is_none() {
        let untested = !walk.refusals.groups.is_empty() && walk.known.keys.unknown().is_some();
        let answer = if untested { Answer::Unknown } else { Answer::No };
        walk.step(answer, walk.refusals.none(none), &walk.known.log);
    }
    group
}

/// Without a refusal no storm says it: how many dead keys peers were given.
fn handed_out(walk: &Walk) -> Option<String> {
    let (log, keys) = (walk.known.log.value()?, walk.known.keys.value()?);
    let count = dead_claims(log, keys.added);
    (count > 0).then(|| format!("{} of that account handed out since", counted(count, "key")))
}

fn starts_at_zero(group: &Group) -> bool {
    group.refused.batch.range.is_some_and(|(low, _)| low <= 1)
}

fn certainty(group: &Group) -> Certainty {
    if group.proves() { Certainty::Proven } else { Certainty::Consistent }
}

/// Stored keys that fail the signature test: of an account before the one that stands, and of another
/// beside it.
fn failing(walk: &Walk) -> (usize, usize) {
    let (Some(stored), Some(keys)) = (walk.known.stored.value(), walk.known.keys.value()) else {
        return (0, 0);
    };
    let failing = stored.keys.iter().filter(|key| key.value.check == Check::Fails);
    let (beside, before): (Vec<_>, Vec<_>) = failing.partition(|key| newer(key, keys));
    (before.len(), beside.len())
}
