//! KE-1: one-time key conflicts of one device. Each question is one small function; the first that is
//! answered with a verdict ends the walk, and the walk keeps every answer.

use super::counted;
use super::refusals::{Group, Pattern, QUIET, Row, dead_claims, newer};
use super::shape::{Shape, shape};
use super::stock::{keys_exhausted, same_keys_again, too_many_keys};
use super::verdict::{Answer, Certainty, Verdict, VerdictId};
use super::walk::{Facts, Ruling, Walk, database_how, log_how};
use crate::evidence::key_log::Format;
use crate::evidence::otk::Check;
use crate::evidence::{DeviceRow, Evidence, KeyLog, Known, Need, State};

/// What the branch reads.
pub(super) const NEEDS: &[Need] =
    &[Need::KeyLog, Need::Devices, Need::DeviceKeys, Need::OneTimeKeys, Need::FallbackKeys];

/// Walks the branch.
pub(super) fn diagnose(evidence: &Evidence) -> Verdict {
    let known = Facts::of(evidence);
    let mut walk = Walk::new(evidence, &known);
    let (id, certainty) = QUESTIONS
        .iter()
        .find_map(|question| question(&mut walk))
        .unwrap_or((VerdictId::Inconclusive, Certainty::NotEnoughEvidence));
    walk.verdict(id, certainty)
}

/// The trunk: in the order in which verdicts are tried.
const QUESTIONS: &[fn(&mut Walk) -> Option<Ruling>] = &[
    device_known,
    identity_published,
    uploads_refused,
    account_recreated,
    same_account,
    foreign_identity,
    unexplained,
    crossed_once,
    too_many_keys,
    keys_exhausted,
    same_keys_again,
    all_read,
];

fn device_known(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Does the server know this device?";
    let devices = walk.evidence.devices();
    let device = walk.evidence.device().map(|subject| &subject.device);
    let has_row = devices
        .value()
        .is_some_and(|rows| rows.iter().any(|row| !row.hidden && Some(&row.device) == device));
    let has_keys = walk.known.keys.value().is_some();
    if has_row || has_keys {
        walk.step(
            "device-known",
            ASKED,
            Answer::Yes,
            "it has a row in devices or identity keys",
            &devices,
        );
        return None;
    }
    if let Some(why) = devices.unknown().or(walk.known.keys.unknown()) {
        walk.step("device-known", ASKED, Answer::Unknown, why, &devices);
        walk.missing("the database", database_how(why));
        return None;
    }
    let seen = others(devices.value().copied().unwrap_or_default());
    walk.step("device-known", ASKED, Answer::No, seen.clone(), &devices);
    walk.believe(seen);
    walk.because.extend(walk.known.log.value().and_then(last_upload));
    Some((VerdictId::UnknownDevice, Certainty::Proven))
}

/// A device that is gone may still stand in the log.
fn last_upload(log: &KeyLog) -> Option<String> {
    let refused = log.refused.iter().map(|group| group.span.last);
    let last = refused.chain(log.accepted.uploads.map(|uploads| uploads.last)).max()?;
    Some(format!("the log has its uploads until {}: it was logged out since", super::shown(last)))
}

/// The user's real devices, a few by name: a typo is seen at a glance.
fn others(rows: &[DeviceRow]) -> String {
    const NAMED: usize = 5;
    let real: Vec<_> =
        rows.iter().filter(|row| !row.hidden).map(|row| row.device.as_str()).collect();
    let more = real.len().saturating_sub(NAMED);
    let named = real.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    match (named.as_str(), more) {
        ("", _) => "the user has no device on this server at all".to_owned(),
        (_, 0) => format!("the user's devices here: {named}"),
        (_, more) => format!("the user's devices here: {named} and {more} more"),
    }
}

fn identity_published(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Has the device published identity keys?";
    let keys = &walk.known.keys;
    match keys {
        Known::Is(row, _) => {
            let because = format!("this identity stands since {}", super::shown(row.added));
            walk.step("identity-published", ASKED, Answer::Yes, because, keys);
            None
        }
        Known::Unknown(why, _) => {
            walk.step("identity-published", ASKED, Answer::Unknown, why.clone(), keys);
            walk.missing("the database", database_how(why));
            None
        }
        Known::None(_) => {
            walk.step(
                "identity-published",
                ASKED,
                Answer::No,
                "e2e_device_keys_json has no row",
                keys,
            );
            walk.believe("the device has a row in devices and none in e2e_device_keys_json");
            Some((VerdictId::KeylessDevice, Certainty::Proven))
        }
    }
}

/// Decides nothing by itself: it says whether there is a conflict to explain.
fn uploads_refused(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Were its own uploads refused, \"One time key … already exists\"?";
    let log = &walk.known.log;
    let (answer, because) = match (log, walk.refusals.span()) {
        (_, Some(span)) => (Answer::Yes, counted(span.count, "refusal")),
        (Known::Is(log, _), None) if !super::findings::read_anything(log) => {
            (Answer::Unknown, "the log holds nothing of this window".into())
        }
        (Known::Unknown(why, _), None) => (Answer::Unknown, why.clone()),
        (_, None) => (Answer::No, "no refusal in the window is this device's own".to_owned()),
    };
    if answer == Answer::Unknown {
        walk.missing("the Synapse log", log_how(&because));
    }
    walk.step("uploads-refused", ASKED, answer, because, log);
    None
}

fn account_recreated(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Was the encryption account made anew under the same device id?";
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
            _ => (Answer::No, "no stored or refused key was made by another account".into()),
        };
        walk.step("account-recreated", ASKED, answer, because, &walk.known.stored);
        return None;
    }
    let mut because = Vec::new();
    if let Some(group) = group {
        because.push(
            "the key in the way was not signed by the device's present account, the offered one was"
                .to_owned(),
        );
        because.extend(confirmation(&group));
    }
    if dead > 0 {
        because.push(format!("{dead} stored keys were signed by an account that is gone"));
    }
    if group.is_none() {
        because.extend(handed_out(walk));
    }
    walk.step("account-recreated", ASKED, Answer::Yes, because.join("; "), &walk.known.stored);
    walk.because.extend(because);
    let certainty = match dead > 0 || group.is_some_and(|group| group.proves()) {
        true => Certainty::Proven,
        false => Certainty::Consistent,
    };
    Some((VerdictId::OtkRecreated, certainty))
}

fn same_account(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Did one and the same account make both keys?";
    let none = "no refusal where both keys verify";
    let group = group(walk, Pattern::SameAccount, "same-account", ASKED, none)?;
    let log = walk.known.log.value()?;
    if crossed(walk, log) {
        walk.step("same-account", ASKED, Answer::Yes, "but only once", &walk.known.log);
        return None;
    }
    let shape = shape(&walk.refusals, log);
    let mut because = vec![
        "the stored and the offered key are both signed by the device's present account".to_owned(),
    ];
    because.extend(confirmation(&group));
    because.push(shape.words(&walk.refusals, log));
    walk.step("same-account", ASKED, Answer::Yes, because.join("; "), &walk.known.log);
    walk.because.extend(because);
    let once = !walk.refusals.repeated();
    Some(match shape {
        Shape::TwoClients { .. } => (VerdictId::OtkConcurrent, Certainty::Consistent),
        Shape::Rollback => (VerdictId::OtkRolledBack, Certainty::Consistent),
        Shape::Unclear if group.proves() && !once => (VerdictId::OtkSameAccount, Certainty::Proven),
        Shape::Unclear => (VerdictId::OtkSameAccount, Certainty::Consistent),
    })
}

fn foreign_identity(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Does the uploader sign with an identity that the server does not hold?";
    let (_, beside) = failing(walk);
    if beside > 0 && walk.refusals.of(Pattern::Foreign).is_none() {
        let because = format!(
            "{beside} stored keys are newer than the device's identity and signed by another account"
        );
        walk.step("foreign-identity", ASKED, Answer::Yes, because.clone(), &walk.known.stored);
        walk.believe(because);
        return Some((VerdictId::OtkForeignIdentity, Certainty::Proven));
    }
    let none = "no refusal where only the stored key verifies";
    let group = group(walk, Pattern::Foreign, "foreign-identity", ASKED, none)?;
    let mut because = vec![
        "the stored key is signed by the device's present account, the offered one is not"
            .to_owned(),
    ];
    because.extend(confirmation(&group));
    walk.step("foreign-identity", ASKED, Answer::Yes, because.join("; "), &walk.known.log);
    walk.because.extend(because);
    Some((VerdictId::OtkForeignIdentity, certainty(&group)))
}

fn unexplained(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Is there a refusal that the signatures do not explain?";
    let group = walk.refusals.of(Pattern::Silent).copied();
    let log = walk.known.log.value();
    let (Some(group), Some(log)) = (group, log) else {
        walk.step("unexplained", ASKED, Answer::No, "none", &walk.known.log);
        return None;
    };
    if crossed(walk, log) {
        walk.step("unexplained", ASKED, Answer::Yes, "but only once", &walk.known.log);
        return None;
    }
    let why = match (&walk.known.keys, group.refused.old.check, group.refused.new.check) {
        (Known::Unknown(why, _), ..) => format!("the signature test could not be made: {why}"),
        (_, Check::Fails, Check::Fails) => {
            "neither key verifies under the device's identity".into()
        }
        _ => "the keys carry no signature of this device".into(),
    };
    let mut because = vec![why];
    because.extend(confirmation(&group));
    if group.refused.with_device_keys == group.refused.span.count && starts_at_zero(&group) {
        because.push(
            "each try carries device keys and begins with the first ids again: the shape of a wiped store"
                .into(),
        );
    }
    walk.step("unexplained", ASKED, Answer::Yes, because.join("; "), &walk.known.log);
    walk.because.extend(because);
    Some((VerdictId::OtkDiverged, certainty(&group)))
}

fn crossed_once(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Were the refusals single ones that never came again?";
    let log = walk.known.log.value();
    if !log.is_some_and(|log| crossed(walk, log)) {
        let answer = if log.is_some() { Answer::No } else { Answer::Unknown };
        walk.step(
            "crossed-once",
            ASKED,
            answer,
            "no single refusal with quiet behind it",
            &walk.known.log,
        );
        return None;
    }
    let because = "no key id was refused twice: two uploads of one device crossed";
    walk.step("crossed-once", ASKED, Answer::Yes, because, &walk.known.log);
    walk.believe(because);
    Some((VerdictId::OtkRace, Certainty::Consistent))
}

fn all_read(walk: &mut Walk) -> Option<Ruling> {
    const ASKED: &str = "Were the log and the database both read?";
    let failed: Vec<_> = (walk.evidence.gathered.iter())
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
    let log_read = log.is_some_and(super::findings::read_anything);
    // Nobody can forge such a line in JSON: somebody's upload was refused, and it may be this device's.
    let json = |log: &KeyLog| log.coverage.iter().any(|part| part.format == Format::Json);
    let untied = log.is_some_and(|log| json(log) && log.unattributed > walk.refusals.tied);
    if untied {
        let how = "log in Synapse's text or Terse JSON format, which write request ids";
        walk.missing("whose upload was refused", how.into());
    }
    let untested = super::findings::untested(walk.evidence);
    if let Some(how) = untested {
        walk.missing("the signature test", how.into());
    }
    let stopped = log.and_then(|log| super::findings::stopped(log, walk.evidence));
    if let Some(why) = &stopped {
        walk.missing("the Synapse log", log_how(why));
    }
    let whole = failed.is_empty() && !untied && untested.is_none() && stopped.is_none();
    if whole && log_read && walk.known.keys.value().is_some() {
        walk.step("all-read", ASKED, Answer::Yes, "both answered", &walk.known.log);
        walk.because.extend(super::findings::health(
            walk.evidence,
            &walk.known.log,
            walk.refusals.past,
        ));
        return Some((VerdictId::OtkHealthy, Certainty::Consistent));
    }
    let because = walk.missing.iter().map(|missing| missing.need.clone()).collect::<Vec<_>>();
    let because = format!("missing: {}", because.join(", "));
    walk.step("all-read", ASKED, Answer::No, because, &walk.known.log);
    None
}

/// The refusals of a pattern; where there are none, that is the answer.
fn group<'a>(
    walk: &mut Walk<'a>,
    pattern: Pattern,
    question: &'static str,
    asked: &'static str,
    none: &str,
) -> Option<Group<'a>> {
    let group = walk.refusals.of(pattern).copied();
    if group.is_none() {
        let untested = !walk.refusals.groups.is_empty() && walk.known.keys.unknown().is_some();
        let answer = if untested { Answer::Unknown } else { Answer::No };
        walk.step(question, asked, answer, none, &walk.known.log);
    }
    group
}

/// No key id was refused twice, and then uploads were accepted or it was quiet.
fn crossed(walk: &Walk, log: &KeyLog) -> bool {
    let Some(span) = walk.refusals.span() else { return false };
    let end = walk.evidence.window.to.min(walk.evidence.now);
    let accepted_after = log.accepted.uploads.is_some_and(|uploads| uploads.last > span.last);
    let single = !walk.refusals.repeated() && log.refused_beyond.is_none();
    single && (accepted_after || end.duration_since(span.last) > QUIET)
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

/// What makes the line of the log believable beyond the text.
fn confirmation(group: &Group) -> Option<String> {
    match (group.row, group.refused.format) {
        (Row::Old(_), _) => {
            Some("the database still holds that very key: the log line is no forgery".into())
        }
        (_, Format::Json) => Some("the log is JSON: its lines cannot be forged".into()),
        (Row::Other(_) | Row::Gone, Format::Text) => Some(
            "the row is gone since: only a text log speaks for it, and that can be forged".into(),
        ),
        (Row::NotRead, Format::Text) => {
            Some("only a text log speaks for it, and that can be forged".into())
        }
    }
}
