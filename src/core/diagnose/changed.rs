//! The same question asked twice → what is different now, in short sentences: the verdict, the refusals, the
//! stored keys, and which sources answer.

use std::collections::BTreeMap;

use super::fleet::fleet;
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use super::{Certainty, diagnose};
use crate::evidence::{
    Evidence, Gathered, Known, Need, State, StoredKey, StoredKeys, Subject, Symptom, counted, utc,
};

/// Sentences for a person, what matters most first; empty where nothing that is compared changed.
pub fn changed(before: &Evidence, now: &Evidence) -> Vec<String> {
    let mut said = Vec::new();
    match (before.symptom, now.symptom) {
        (Symptom::Fleet, Symptom::Fleet) => said.extend(affected(before, now)),
        _ => {
            said.extend(device(before, now));
            verdict(&diagnose(before), &diagnose(now), &mut said);
        }
    }
    said.extend(refusals(before, now));
    said.extend(stored(before, now));
    sources(before, now, &mut said);
    said
}

/// Whether the device is still the one that was in trouble. Its keys go with it when it is signed out, so one that
/// is gone, or that came back with another identity, is cured and contradicts nothing.
fn device(before: &Evidence, now: &Evidence) -> Option<String> {
    let subject = before.device()?;
    if now.device() != Some(subject) || stands(before, subject) != Some(true) {
        return None;
    }
    let id = diagnose(before).id;
    let in_trouble = !matches!(id, VerdictId::OtkHealthy | VerdictId::Inconclusive);
    let cure = if in_trouble { "; that is the cure" } else { "" };
    // A replica that is behind, or an answer that failed, denies nothing.
    if stands(now, subject) == Some(false) && diagnose(now).id == VerdictId::UnknownDevice {
        return Some(format!("the device was signed out since then{cure}"));
    }
    let (was, is) = (before.device_keys(), now.device_keys());
    let (was, is) = (was.value()?, is.value()?);
    let other = was.ed25519.is_some() && is.ed25519.is_some() && was.ed25519 != is.ed25519;
    let well = diagnose(now).id == VerdictId::OtkHealthy;
    other.then(|| {
        let cure = if well { cure } else { "" };
        format!("the device has another identity since {}{cure}", utc(is.added))
    })
}

/// Whether the database has the device; `None` where it did not say.
fn stands(evidence: &Evidence, subject: &Subject) -> Option<bool> {
    match (evidence.devices(), evidence.device_keys()) {
        (_, Known::Is(..)) => Some(true),
        (Known::Is(rows, _), _) => {
            Some(rows.iter().any(|row| !row.hidden && row.device == subject.device))
        }
        (Known::None(_), Known::None(_)) => Some(false),
        _ => None,
    }
}

fn verdict(before: &Verdict, now: &Verdict, said: &mut Vec<String>) {
    let (id, sure) = (now.id.name(), now.certainty.words());
    if before.id != now.id {
        let (was, as_sure) = (before.id.name(), before.certainty.words());
        said.push(format!("verdict: was {was} ({as_sure}), is {id} ({sure})"));
    } else if before.certainty != now.certainty {
        let way = if now.certainty > before.certainty { "more" } else { "less" };
        let was = before.certainty.words();
        said.push(format!("verdict: still {id}, {way} sure: was {was}, is {sure}"));
    }
    let state = |verdict: &Verdict| verdict.storm.as_ref().map(|storm| storm.goes_on);
    match (state(before), state(now)) {
        (Some(true), Some(false)) => said.push("the refusals have stopped".to_owned()),
        (Some(false), Some(true)) => said.push("the refusals go on again".to_owned()),
        _ => {}
    }
    let stands = |verdict: &Verdict| verdict.storm.as_ref().and_then(|storm| storm.row_stands);
    match (stands(before), stands(now)) {
        (Some(true), Some(false)) => said.push("the key in the way is gone".to_owned()),
        (Some(false), Some(true)) => said.push("a key stands in the way again".to_owned()),
        _ => {}
    }
}

fn affected(before: &Evidence, now: &Evidence) -> Option<String> {
    let (was, is) = (fleet(before), fleet(now));
    // A survey that could read nothing finds nobody.
    let blind = |certainty| certainty == Certainty::NotEnoughEvidence;
    if blind(was.certainty()) || blind(is.certainty()) {
        return None;
    }
    let (was, is) = (was.affected.len() as u64, is.affected.len() as u64);
    (was != is).then(|| format!("devices in trouble: were {was}, are {is}"))
}

/// The subject's own refusals over each window. The windows are of one length, and of two times.
fn refusals(before: &Evidence, now: &Evidence) -> Option<String> {
    let count = |evidence: &Evidence| {
        let log = evidence.key_log();
        let log = log.value()?;
        let beyond = log.refused_beyond.map_or(0, |span| span.count);
        Some(log.refused.iter().map(|group| group.span.count).sum::<u64>() + beyond)
    };
    let (was, is) = (count(before)?, count(now)?);
    (was != is).then(|| format!("refused uploads in the window: were {was}, are {is}"))
}

fn stored(before: &Evidence, now: &Evidence) -> Option<String> {
    let keys = |evidence: &Evidence| match evidence.one_time_keys() {
        Known::Is(keys, _) => Some(told(keys)),
        Known::None(_) => Some("none".to_owned()),
        Known::Unknown(..) => None,
    };
    let (was, is) = (keys(before)?, keys(now)?);
    if was != is {
        return Some(format!("one-time keys stored: were {was}, are {is}"));
    }
    // As many as before may be others: claimed, and filled up.
    let (was, now) = (before.one_time_keys(), now.one_time_keys());
    let (was, now) = (&was.value()?.keys, &now.value()?.keys);
    let same = |key: &&StoredKey| was.iter().any(|old| old.id == key.id && old.added == key.added);
    let new = now.iter().filter(|key| !same(key)).count();
    (new > 0).then(|| format!("one-time keys stored: still {is}, of which {new} are new"))
}

fn told(keys: &StoredKeys) -> String {
    match (keys.total, keys.capped) {
        (0, _) => "none".to_owned(),
        (total, true) => format!("{total} and more"),
        (total, false) => total.to_string(),
    }
}

/// A source answers if anything of it was read; whether it held something is the verdict's business.
fn sources(before: &Evidence, now: &Evidence, said: &mut Vec<String>) {
    let (was, is) = (standing(before), standing(now));
    for (source, (answers, why)) in &is {
        match (was.get(source).map(|(answered, _)| *answered), *answers) {
            (Some(false), true) => said.push(format!("{source} answers now")),
            (Some(true), false) => said.push(format!("{source} no longer answers: {why}")),
            (None, true) => said.push(format!("{source} was not there before")),
            _ => {}
        }
    }
    let lost: Vec<_> = was
        .iter()
        .filter(|(source, (answered, _))| *answered && !is.contains_key(*source))
        .map(|(source, _)| (*source).to_owned())
        .collect();
    if !lost.is_empty() {
        let count = counted(lost.len() as u64, "source");
        said.push(format!("{count} of then no longer asked: {}", lost.join(", ")));
    }
}

/// Each source: whether it answered at all, and why not. A client's files are no source that can fall silent.
fn standing(evidence: &Evidence) -> BTreeMap<&str, (bool, &str)> {
    let mut sources = BTreeMap::new();
    for Gathered { need, source, state, .. } in &evidence.gathered {
        let (answered, why) = match state {
            State::Found | State::Empty => (true, ""),
            State::Failed(why) | State::NotAsked(why) => (false, why.as_str()),
        };
        if *need == Need::Client {
            continue;
        }
        let told = sources.entry(source.as_str()).or_insert((answered, why));
        if answered {
            *told = (true, "");
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::key_log::Span;
    use crate::evidence::{About, DeviceKeys, Fact, KeyLog, SCHEMA, Subject, Window};

    const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases");

    fn evidence(gathered: Vec<Gathered>) -> Evidence {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let user = ruma::user_id!("@a:example.org").to_owned();
        Evidence {
            schema: SCHEMA,
            symptom: Symptom::Ke1,
            subject: About::Device(Subject { user, device: "DEV".into() }),
            window: Window { from: at(0), to: at(900) },
            now: at(900),
            gathered,
        }
    }

    fn keys(total: u64, capped: bool) -> Gathered {
        let fact = Fact::OneTimeKeys(StoredKeys { total, capped, keys: Vec::new() });
        let what = format!("{total} keys");
        Gathered::told(Need::OneTimeKeys, "database", State::Found, what, String::new(), Some(fact))
    }

    fn log(refused: u64) -> Gathered {
        let at = jiff::Timestamp::from_second(10).unwrap();
        let beyond = (refused > 0).then_some(Span { first: at, last: at, count: refused });
        let log = KeyLog { refused_beyond: beyond, ..KeyLog::default() };
        let (fact, what) = (Fact::KeyLog(Box::new(log)), "read".to_owned());
        Gathered::told(Need::KeyLog, "log:main", State::Found, what, String::new(), Some(fact))
    }

    fn failed(need: Need, source: &str) -> Gathered {
        Gathered::unread(need, source, String::new(), State::Failed("connection refused".into()))
    }

    #[test]
    fn the_same_twice_is_no_change() {
        for gathered in
            [vec![], vec![keys(50, false), log(3)], vec![failed(Need::KeyLog, "log:main")]]
        {
            let evidence = evidence(gathered);
            assert_eq!(changed(&evidence, &evidence), [""; 0]);
        }
    }

    #[test]
    fn counts_are_told_where_both_are_known() {
        let told = changed(
            &evidence(vec![keys(3000, true), log(40)]),
            &evidence(vec![keys(0, false), log(0)]),
        );
        assert!(told.contains(&"refused uploads in the window: were 40, are 0".into()), "{told:?}");
        assert!(
            told.contains(&"one-time keys stored: were 3000 and more, are none".into()),
            "{told:?}"
        );
        let blind = evidence(vec![failed(Need::OneTimeKeys, "database"), log(40)]);
        let told = changed(&evidence(vec![keys(50, false), log(40)]), &blind);
        assert!(!told.iter().any(|line| line.contains("stored")), "{told:?}");
    }

    #[test]
    fn a_source_that_falls_silent_or_comes_back_is_named() {
        let whole = evidence(vec![keys(50, false), log(1)]);
        let blind = evidence(vec![failed(Need::OneTimeKeys, "database"), log(1)]);
        let told = changed(&whole, &blind);
        let gone = "database no longer answers: connection refused";
        assert!(told.iter().any(|line| line == gone), "{told:?}");
        let told = changed(&blind, &whole);
        assert!(told.iter().any(|line| line == "database answers now"), "{told:?}");
        let told = changed(&whole, &evidence(vec![log(1)]));
        let gone = "1 source of then no longer asked: database";
        assert!(told.iter().any(|line| line == gone), "{told:?}");
    }

    fn identity(key: Option<&str>, added: i64) -> Vec<Gathered> {
        let told = |need, state, fact| {
            Gathered::told(need, "database", state, String::new(), String::new(), fact)
        };
        let Some(key) = key else {
            let empty = |need| told(need, State::Empty, None);
            return vec![empty(Need::Devices), empty(Need::DeviceKeys)];
        };
        let added = jiff::Timestamp::from_second(added).unwrap();
        let keys = DeviceKeys { added, ed25519: Some(key.into()), curve25519: None };
        vec![told(Need::DeviceKeys, State::Found, Some(Fact::DeviceKeys(keys)))]
    }

    #[test]
    fn a_device_that_was_signed_out_is_cured_and_contradicts_nothing() {
        let there = evidence(identity(Some("one"), 10));
        let gone = evidence(identity(None, 0));
        let said = changed(&there, &gone);
        assert!(said[0].starts_with("the device was signed out since then"), "{said:?}");
        // Whoever did not have it before has not signed it out since.
        assert!(!changed(&gone, &gone).iter().any(|line| line.contains("signed out")));
        // A database that did not answer, or is behind, does not say that it is gone.
        let blind = evidence(vec![failed(Need::Devices, "database")]);
        assert!(!changed(&there, &blind).iter().any(|line| line.contains("signed out")));
        let said = changed(&there, &evidence(identity(Some("other"), 500)));
        assert!(said[0].starts_with("the device has another identity since 1970"), "{said:?}");
    }

    #[test]
    fn a_recorded_verdict_that_changed_leads() {
        let read = |case: &str| -> Evidence {
            let path = format!("{CASES}/{case}/evidence.json");
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let cases: Vec<_> = std::fs::read_dir(CASES)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("ke1--"))
            .map(|name| read(&name))
            .collect();
        assert!(cases.len() > 3);
        for (one, other) in cases.iter().flat_map(|one| cases.iter().map(move |other| (one, other)))
        {
            let (was, is) = (diagnose(one), diagnose(other));
            let told = changed(one, other);
            // Only the word that the device is gone comes before it.
            let mut lines = told.iter().filter(|line| !line.contains("signed out since then"));
            let leads = lines.next().is_some_and(|line| line.starts_with("verdict: "));
            assert_eq!(leads, (was.id, was.certainty) != (is.id, is.certainty), "{told:?}");
        }
    }
}
