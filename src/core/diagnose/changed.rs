//! The same question asked twice → what is different now, in short sentences: the verdict, the refusals, the
//! stored keys, and which sources answer.

use std::collections::BTreeMap;

use super::certainty::Certainty;
use super::fleet::Fleet;
use super::judgement::Judgement;
use super::verdict::Verdict;
use super::verdict_id::VerdictId;
use crate::evidence::{
    Evidence, Gathered, Known, Need, State, StoredKey, StoredKeys, Subject, counted, utc,
};

/// A question as it was answered.
pub type Answered<'a> = (&'a Evidence, &'a Judgement);

/// Sentences for a person, what matters most first; empty where nothing that is compared changed.
pub fn changed(before: Answered, now: Answered) -> Vec<String> {
    let mut said = Vec::new();
    match (before.1, now.1) {
        (Judgement::Survey(before), Judgement::Survey(now)) => said.extend(affected(before, now)),
        (was, is) => {
            if let Some((was, is)) = was.verdict().zip(is.verdict()) {
                said.extend(device((before.0, was), (now.0, is)));
                verdict(was, is, &mut said);
            }
        }
    }
    let before = before.0;
    let now = now.0;
    said.extend(refusals(before, now));
    said.extend(stored(before, now));
    sources(before, now, &mut said);
    said
}

/// Whether the device is still the one that was in trouble. Its keys go with it when it is signed out, so one that
/// is gone, or that came back with another identity, is cured and contradicts nothing.
fn device(before: (&Evidence, &Verdict), now: (&Evidence, &Verdict)) -> Option<String> {
    let (before, was) = before;
    let (now, is) = now;
    let subject = before.device()?;
    if now.device() != Some(subject) || has_device(before, subject) != Some(true) {
        return None;
    }
    let in_trouble = !matches!(was.id, VerdictId::OtkHealthy | VerdictId::Inconclusive);
    let cure = if in_trouble { "; that resolves it" } else { "" };
    // A replica that is behind, or an answer that failed, denies nothing.
    if has_device(now, subject) == Some(false) && is.id == VerdictId::UnknownDevice {
        return Some(format!("the device was signed out after that{cure}"));
    }
    let old_keys = before.device_keys();
    let new_keys = now.device_keys();
    let (old_keys, new_keys) = old_keys.value().zip(new_keys.value())?;
    let both_known = old_keys.ed25519.is_some() && new_keys.ed25519.is_some();
    if !both_known || old_keys.ed25519 == new_keys.ed25519 {
        return None;
    }
    let cure = if is.id == VerdictId::OtkHealthy { cure } else { "" };
    Some(format!("the device has another identity since {}{cure}", utc(new_keys.added)))
}

/// Whether the database has the device; `None` where it did not say.
fn has_device(evidence: &Evidence, subject: &Subject) -> Option<bool> {
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
    let id = now.id.name();
    let sure = now.certainty.words();
    if before.id != now.id {
        let was = before.id.name();
        let as_sure = before.certainty.words();
        said.push(format!("verdict: was {was} ({as_sure}), is {id} ({sure})"));
    } else if before.certainty != now.certainty {
        let way = if now.certainty > before.certainty { "more" } else { "less" };
        let was = before.certainty.words();
        said.push(format!("verdict: still {id}, with {way} certainty: was {was}, is {sure}"));
    }
    let state = |verdict: &Verdict| verdict.storm.as_ref().map(|storm| storm.goes_on);
    match (state(before), state(now)) {
        (Some(true), Some(false)) => said.push("the rejections have stopped".to_owned()),
        (Some(false), Some(true)) => said.push("the rejections are ongoing again".to_owned()),
        _ => {}
    }
    let stands = |verdict: &Verdict| verdict.storm.as_ref().and_then(|storm| storm.row_stands);
    match (stands(before), stands(now)) {
        (Some(true), Some(false)) => said.push("the conflicting key is gone".to_owned()),
        (Some(false), Some(true)) => said.push("there is a conflicting key again".to_owned()),
        _ => {}
    }
}

fn affected(was: &Fleet, is: &Fleet) -> Option<String> {
    // A survey that could read nothing finds nobody.
    let blind = |of: &Fleet| of.certainty() == Certainty::NotEnoughEvidence;
    if blind(was) || blind(is) {
        return None;
    }
    let were = was.affected.len() as u64;
    let are = is.affected.len() as u64;
    (were != are).then(|| format!("affected devices: were {were}, are {are}"))
}

/// The subject's own refusals over each window. The windows are of one length, and of two times.
fn refusals(before: &Evidence, now: &Evidence) -> Option<String> {
    let count = |evidence: &Evidence| {
        let log = evidence.key_log();
        let log = log.value()?;
        let beyond = log.refused_beyond.map_or(0, |span| span.count);
        Some(log.refused.iter().map(|group| group.span.count).sum::<u64>() + beyond)
    };
    let was = count(before)?;
    let is = count(now)?;
    (was != is).then(|| format!("rejected uploads in the log window: were {was}, are {is}"))
}

fn stored(before: &Evidence, now: &Evidence) -> Option<String> {
    let keys = |evidence: &Evidence| match evidence.one_time_keys() {
        Known::Is(keys, _) => Some(key_total(keys)),
        Known::None(_) => Some("none".to_owned()),
        Known::Unknown(..) => None,
    };
    let was = keys(before)?;
    let is = keys(now)?;
    if was != is {
        return Some(format!("one-time keys stored: were {was}, are {is}"));
    }
    // As many as before may be others: claimed, and filled up.
    let stored_then = before.one_time_keys();
    let stored_now = now.one_time_keys();
    let was = &stored_then.value()?.keys;
    let now = &stored_now.value()?.keys;
    let same = |key: &&StoredKey| was.iter().any(|old| old.id == key.id && old.added == key.added);
    let new = now.iter().filter(|key| !same(key)).count();
    (new > 0).then(|| format!("one-time keys stored: still {is}, of which {new} are new"))
}

fn key_total(keys: &StoredKeys) -> String {
    match (keys.total, keys.capped) {
        (0, _) => "none".to_owned(),
        (total, true) => format!("{total} or more"),
        (total, false) => total.to_string(),
    }
}

/// A source answers if anything of it was read; whether it held something is the verdict's business.
fn sources(before: &Evidence, now: &Evidence, said: &mut Vec<String>) {
    let was = standing(before);
    let is = standing(now);
    for (source, (answers, why)) in &is {
        match (was.get(source).map(|(answered, _)| *answered), *answers) {
            (Some(false), true) => said.push(format!("{source} can be read now")),
            (Some(true), false) => said.push(format!("{source} can no longer be read: {why}")),
            (None, true) => said.push(format!("{source} is new")),
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
        said.push(format!(
            "{count} that was queried before is not configured any more: {}",
            lost.join(", ")
        ));
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
        let known = sources.entry(source.as_str()).or_insert((answered, why));
        if answered {
            *known = (true, "");
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::judgement::judge;
    use crate::diagnose::scene::{self, database_keys, database_without_device, failed, recorded};
    use crate::evidence::key_log::{Format, Span};
    use crate::evidence::{Fact, KeyLog};

    fn changes(before: &Evidence, now: &Evidence) -> Vec<String> {
        changed((before, &judge(before)), (now, &judge(now)))
    }

    fn evidence(gathered: Vec<Gathered>) -> Evidence {
        Evidence { gathered, ..scene::evidence(KeyLog::default(), None, 900) }
    }

    fn keys(total: u64, capped: bool) -> Gathered {
        scene::found(
            Need::OneTimeKeys,
            Fact::OneTimeKeys(StoredKeys { total, capped, keys: Vec::new() }),
        )
    }

    fn log(refused: u64) -> Gathered {
        let span = Span { count: refused, ..Span::once(scene::at(10)) };
        let refused_beyond = (refused > 0).then_some(span);
        let log = KeyLog { refused_beyond, ..scene::log(Format::Text, 900) };
        scene::found(Need::KeyLog, Fact::KeyLog(Box::new(log)))
    }

    #[test]
    fn the_same_twice_is_no_change() {
        for gathered in [vec![], vec![keys(50, false), log(3)], vec![failed(Need::KeyLog)]] {
            let evidence = evidence(gathered);
            assert_eq!(changes(&evidence, &evidence), [""; 0]);
        }
    }

    #[test]
    fn counts_are_told_where_both_are_known() {
        let said = changes(
            &evidence(vec![keys(3000, true), log(40)]),
            &evidence(vec![keys(0, false), log(0)]),
        );
        assert!(
            said.contains(&"rejected uploads in the log window: were 40, are 0".into()),
            "{said:?}"
        );
        assert!(
            said.contains(&"one-time keys stored: were 3000 or more, are none".into()),
            "{said:?}"
        );
        let blind = evidence(vec![failed(Need::OneTimeKeys), log(40)]);
        let said = changes(&evidence(vec![keys(50, false), log(40)]), &blind);
        assert!(!said.iter().any(|line| line.contains("stored")), "{said:?}");
    }

    #[test]
    fn a_source_that_falls_silent_or_comes_back_is_named() {
        let whole = evidence(vec![keys(50, false), log(1)]);
        let blind = evidence(vec![failed(Need::OneTimeKeys), log(1)]);
        let said = changes(&whole, &blind);
        let gone = "database can no longer be read: connection refused";
        assert!(said.iter().any(|line| line == gone), "{said:?}");
        let said = changes(&blind, &whole);
        assert!(said.iter().any(|line| line == "database can be read now"), "{said:?}");
        let said = changes(&whole, &evidence(vec![log(1)]));
        let gone = "1 source that was queried before is not configured any more: database";
        assert!(said.iter().any(|line| line == gone), "{said:?}");
    }

    #[test]
    fn a_device_that_was_signed_out_is_cured_and_contradicts_nothing() {
        let there = evidence(vec![database_keys("one", 10)]);
        let gone = evidence(database_without_device());
        let said = changes(&there, &gone);
        assert!(said[0].starts_with("the device was signed out after that"), "{said:?}");
        // Whoever did not have it before has not signed it out since.
        assert!(!changes(&gone, &gone).iter().any(|line| line.contains("signed out")));
        // A database that did not answer, or is behind, does not say that it is gone.
        let blind = evidence(vec![failed(Need::Devices)]);
        assert!(!changes(&there, &blind).iter().any(|line| line.contains("signed out")));
        let said = changes(&there, &evidence(vec![database_keys("other", 500)]));
        assert!(said[0].starts_with("the device has another identity since 20"), "{said:?}");
    }

    #[test]
    fn a_recorded_verdict_that_changed_leads() {
        let cases: Vec<_> =
            scene::recorded_cases("ke1--").iter().map(|name| recorded(name)).collect();
        assert!(cases.len() > 3);
        let judged: Vec<_> = cases.iter().map(|evidence| (evidence, judge(evidence))).collect();
        for ((before, was), (now, is)) in
            judged.iter().flat_map(|one| judged.iter().map(move |other| (one, other)))
        {
            let said = changed((before, was), (now, is));
            // Only the word that the device is gone comes before it.
            let mut lines = said.iter().filter(|line| !line.contains("signed out after that"));
            let leads = lines.next().is_some_and(|line| line.starts_with("verdict: "));
            let differs = (was.id(), was.certainty()) != (is.id(), is.certainty());
            assert_eq!(leads, differs, "{said:?}");
        }
    }
}
