//! All branches' verdicts → one answer: the root cause, what follows from it, what is independent, in the order to
//! act.

use std::collections::HashSet;

use super::answer::{about, act, also, remedies, sentence, symptom, undecided_line, verdict_line};
use super::glyph::HEALTHY;
use super::page::Page;
use super::plain_replies::device;
use super::view::View;
use super::why::{head, walked};
use crate::diagnose::Chain;
use crate::diagnose::chain::{Branch, ChainPlace};
use crate::diagnose::device_list::{has_keys, worst_first};
use crate::evidence::{Evidence, Symptom, counted};

/// Devices that an answer lists where it had to choose one.
const DEVICES: usize = 6;

/// Formats the chain for a phone.
pub fn chain(evidence: &Evidence, chain: &Chain, view: &View) -> Page {
    let mut page = Page::default();
    let first = chain.first();
    summary(&mut page, chain);
    about(page.line(), &evidence.subject);
    page.line().text(format!("{} · {}", first.certainty.title(), symptom(Symptom::All)));
    if let Some(found) = found(chain) {
        page.text(format!(" · {found}"));
    }
    page.gap();
    let alone = troubles(chain) == 1;
    for (number, branch) in (1..).zip(&chain.branches) {
        line(&mut page, number, branch, alone);
    }
    if evidence.subject.event().is_none() {
        page.label(symptom(Symptom::Ke3)).text("not checked. It needs an event: ");
        page.usage("!ke3 $event");
    }
    page.gap();
    page.label("Log window").text(view.span(evidence.window.from, evidence.window.to));
    if matches!(chain.branches[0].place, ChainPlace::Root | ChainPlace::Independent) {
        remedies(&mut page, first);
    }
    also(&mut page, &first.also);
    page.gap();
    devices(&mut page, evidence, view);
    page.line().code(view.why).text(" shows every step and every query.");
    page
}

/// Where the device was chosen, and not named: the user's devices with keys, a line each.
fn devices(page: &mut Page, evidence: &Evidence, view: &View) {
    let listed = evidence.device_list();
    let (Some(rows), Some(subject)) = (listed.value(), evidence.device()) else { return };
    let (mut with, without): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(has_keys);
    worst_first(&mut with);
    if with.len() > 1 {
        for row in with.iter().take(DEVICES) {
            let judged = row.device == subject.device;
            page.label(if judged { "Checked device" } else { "Other device" });
            device(page, row, view);
        }
        let more = with.len().saturating_sub(DEVICES);
        if more > 0 {
            page.line().text(format!("{} with keys.", counted(more as u64, "more device")));
        }
    }
    if !without.is_empty() && !with.is_empty() {
        let without = counted(without.len() as u64, "session");
        page.line().text(format!("Not listed: {without} without encryption keys."));
    }
}

/// The chain in a storm's first message, for a locked phone at night: what is wrong with the keys, what follows from
/// it, what else is wrong, and what to do. The rest is in `!why`.
pub fn brief(chain: &Chain) -> Page {
    let mut page = Page::default();
    for branch in &chain.branches {
        let Branch { symptom: of, verdict, place } = branch;
        let quiet = matches!(place, ChainPlace::Quiet | ChainPlace::Unknown);
        if quiet && *of != Symptom::Ke1 {
            continue;
        }
        verdict_line(&mut page, verdict);
        page.text(format!(" {} · {}", verdict.certainty.title(), symptom(*of)));
    }
    if troubles(chain) > 0 {
        page.gap();
        act(&mut page, chain.first());
    }
    page
}

/// How many troubles there are that follow from no other.
fn troubles(chain: &Chain) -> usize {
    let own = |branch: &&Branch| matches!(branch.place, ChainPlace::Root | ChainPlace::Independent);
    chain.branches.iter().filter(own).count()
}

/// The first line: the verdict to act on first, or that there is none.
fn summary(page: &mut Page, chain: &Chain) {
    let is_open = |branch: &Branch| branch.place == ChainPlace::Unknown;
    let open = chain.branches.iter().filter(|branch| is_open(branch)).count();
    if troubles(chain) > 0 || open == chain.branches.len() {
        verdict_line(page, chain.first());
    } else if open == 0 {
        page.line().text(format!("{HEALTHY} ")).strong("The server shows no problem.");
    } else {
        undecided_line(page, "No problem found, but not everything could be checked.");
    }
}

/// How many problems there are, and whether they belong together.
fn found(chain: &Chain) -> Option<String> {
    let follows = |branch: &&Branch| matches!(branch.place, ChainPlace::Follows(_));
    let follows = chain.branches.iter().filter(follows).count() as u64;
    let own = troubles(chain) as u64;
    let from = if own == 1 { "it" } else { "the first" };
    let own = match own {
        0 => return None,
        1 if follows > 0 => "1 root cause".to_owned(),
        1 => "1 problem".to_owned(),
        own => format!("{own} independent problems"),
    };
    match follows {
        0 => Some(own),
        1 => Some(format!("{own}, 1 problem follows from {from}")),
        follows => Some(format!("{own}, {follows} problems follow from {from}")),
    }
}

fn line(page: &mut Page, number: usize, branch: &Branch, alone: bool) {
    let Branch { symptom: of, verdict, place } = branch;
    let place_words = words(*place, alone).map(|words| format!(" · {words}")).unwrap_or_default();
    let certainty = verdict.certainty.words();
    page.line().strong(format!("{number}. {} · {certainty}{place_words}", symptom(*of)));
    match (place, verdict.missing.first()) {
        (ChainPlace::Unknown, Some(missing)) => {
            page.text(format!(" · Needed: {}. {}", missing.need, sentence(&missing.how)))
        }
        (ChainPlace::Unknown, None) => page,
        _ => page.text(format!(" · {}", verdict.id.headline())),
    };
}

/// A place as people say it; where nothing is decided, the certainty says so.
fn words(place: ChainPlace, alone: bool) -> Option<String> {
    match place {
        ChainPlace::Root => Some("root cause, start here".into()),
        ChainPlace::Follows(of) => Some(format!("follows from {}, resolved with it", symptom(of))),
        ChainPlace::Independent if alone => Some("start here".into()),
        ChainPlace::Independent => Some("independent".into()),
        ChainPlace::Quiet => Some("nothing to fix".into()),
        ChainPlace::Unknown => None,
    }
}

/// Every step of KE-1 and of the branches with a problem, and the queries behind them. On a phone each other branch is
/// one line, which says how to ask it alone.
pub fn chain_why(evidence: &Evidence, chain: &Chain, view: &View) -> Page {
    let mut page = Page::default();
    let quiet = |branch: &&Branch| matches!(branch.place, ChainPlace::Quiet | ChainPlace::Unknown);
    let at_length = |branch: &&Branch| branch.symptom == Symptom::Ke1 || !quiet(branch);
    for branch in chain.branches.iter().filter(at_length) {
        page.gap();
        head(&mut page, branch.symptom, &evidence.subject, &branch.verdict, view);
        walked(&mut page, &branch.verdict);
    }
    page.gap();
    let short = || chain.branches.iter().filter(|branch| !at_length(branch));
    for Branch { symptom: of, verdict, place } in short() {
        let name = of.name();
        page.line().strong(format!("{} · {}", symptom(*of), verdict.certainty.words()));
        if let Some(words) = words(*place, false) {
            page.text(format!(" · {words} · {}", verdict.id.headline()));
        }
        page.text(" · To see its path, send ").code(format!("!{name}")).text(".");
    }
    let cited: HashSet<&str> = chain
        .branches
        .iter()
        .filter(at_length)
        .flat_map(|branch| &branch.verdict.path)
        .flat_map(|step| step.evidence.iter().map(String::as_str))
        .collect();
    super::why::sources(&mut page, evidence, |id| cited.contains(id) || short().next().is_none());
    page
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::evidence::otk::Check;
    use crate::evidence::{DeviceRow, Fact, Gathered, Need, Shown, State};

    fn row(device: &str, keys: bool, next_key: Option<Check>, seen: i64) -> DeviceRow {
        DeviceRow {
            device: device.into(),
            display_name: None,
            last_seen: jiff::Timestamp::from_second(1_795_348_000 + seen).ok(),
            hidden: false,
            has_keys: Some(keys),
            one_time_keys: Some(50),
            next_key,
        }
    }

    #[test]
    fn where_a_device_was_chosen_each_with_keys_has_a_line() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/cases/all--otk-recreated--evicted/evidence.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let mut evidence: Evidence = serde_json::from_str(&text).unwrap();
        let view = View::in_zone(TimeZone::UTC);
        let plain = |evidence: &Evidence| {
            super::chain(evidence, &crate::diagnose::chain(evidence), &view).reply().plain
        };
        assert!(!plain(&evidence).contains("Judged"), "a device was named");
        let judged = evidence.device().unwrap().device.to_string();
        let mut rows = vec![row("LEFTOVER", false, None, 900)];
        rows.extend((0..8).map(|n| row(&format!("WELL{n}"), true, Some(Check::Verifies), n)));
        rows.push(row(&judged, true, Some(Check::Fails), 0));
        let what = String::new();
        let fact = Some(Fact::Devices(rows));
        let need = Need::DeviceList;
        let source = "database";
        let state = State::Found;
        evidence.gathered.push(Gathered::answered(
            need,
            source,
            state,
            Shown { what, query: String::new() },
            fact,
        ));
        let said = plain(&evidence);
        assert!(said.lines().nth(1).unwrap().contains(&judged), "{said}");
        let lines: Vec<_> = said
            .lines()
            .filter(|line| {
                line.starts_with("Checked device: ") || line.starts_with("Other device: ")
            })
            .collect();
        assert_eq!(lines.len(), DEVICES, "{said}");
        assert!(lines[0].starts_with(&format!("Checked device: {judged}")), "{said}");
        assert!(lines[0].ends_with("its next one-time key is from an old account"), "{said}");
        assert!(lines[1].starts_with("Other device: WELL7, seen 2026-"), "{said}");
        assert!(said.contains("3 more devices with keys.\n"), "{said}");
        assert!(said.contains("Not listed: 1 session without encryption keys.\n"), "{said}");
        assert!(!said.contains("LEFTOVER"), "{said}");
    }
}
