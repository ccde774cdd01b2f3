//! Who is affected → an answer for a phone: the worst few with the command that goes on from there.

use super::answer::{about, also, besides, rate_words, sentence, symptom};
use super::page::Page;
use super::view::View;
use crate::diagnose::Fleet;
use crate::diagnose::fleet::{Affected, Cause, Standing, Trouble};
use crate::evidence::quoted_device::quoted_device;
use crate::evidence::{Evidence, Symptom, counted};

/// The worst that a phone shows.
const WORST: usize = 4;
/// Clients that a phone shows.
const CLIENTS: usize = 4;
/// Devices that `!why` lists: a Matrix event takes 64 KiB. The JSON has them all.
const LISTED: usize = 80;

/// Formats the survey for a phone.
pub fn fleet(evidence: &Evidence, fleet: &Fleet, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence, fleet);
    page.gap();
    page.label("Window").text(view.span(fleet.window.from, fleet.window.to));
    groups(&mut page, fleet, view);
    page.gap();
    let worst: Vec<_> = fleet.affected.iter().filter(|of| is_troubled(of)).collect();
    for of in worst.iter().take(WORST) {
        device(&mut page, of, view);
    }
    page.gap();
    also(&mut page, &fleet.also);
    if !fleet.cut.is_empty() {
        page.label("Cut").text(sentence(&fleet.cut.join("; ")));
    }
    if !fleet.unread.is_empty() {
        page.label("Not read").text(sentence(&fleet.unread.join("; ")));
    }
    if !fleet.read.is_empty() && worst.is_empty() {
        page.label("Read").text(sentence(&fleet.read.join("; ")));
    }
    let more = worst.len().saturating_sub(WORST);
    if more > 0 {
        page.line().text(format!("And {more} more: "));
    } else {
        page.line();
    }
    page.code(view.why).text(" shows everybody and every query.");
    page
}

/// Everybody affected, and every query.
pub fn fleet_why(evidence: &Evidence, fleet: &Fleet, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence, fleet);
    page.label("Window").text(view.span(fleet.window.from, fleet.window.to));
    groups(&mut page, fleet, view);
    fleet.also.iter().for_each(|also| besides(&mut page, also));
    for finding in &fleet.findings {
        page.label("Also").text(finding);
    }
    for read in &fleet.read {
        page.label("Read").text(read);
    }
    for unread in &fleet.unread {
        page.label("Not read").text(unread);
    }
    for cut in &fleet.cut {
        page.label("Cut").text(cut);
    }
    page.gap();
    for of in fleet.affected.iter().take(LISTED) {
        device(&mut page, of, view);
    }
    if fleet.affected.len() > LISTED {
        let more = fleet.affected.len() - LISTED;
        page.line().text(format!("And {more} more: evidence.json has them."));
    }
    super::why::sources(&mut page, evidence, |_| true);
    page
}

fn head(page: &mut Page, evidence: &Evidence, fleet: &Fleet) {
    // What the database does not have may be somebody's invention, and is no trouble by itself.
    let absent = |of: &&Affected| of.standing == Standing::Absent;
    let known = || fleet.affected.iter().filter(|of| is_troubled(of) && !absent(of));
    let troubled = known().count();
    let goes_on = known().filter(|of| of.goes_on()).count();
    let mut said = match (fleet.read.is_empty(), troubled, goes_on) {
        (true, ..) => "not enough evidence: no log and no database was read".to_owned(),
        (_, 0, _) if !fleet.also.is_empty() => {
            "not enough evidence: none seen, and the log could not show any".to_owned()
        }
        (_, 0, _) => "no device in trouble, as far as was read".to_owned(),
        (_, 1, 0) => "one device in trouble".to_owned(),
        (_, count, 0) => format!("{count} devices in trouble"),
        (_, count, on) => {
            format!("{} in trouble, {on} with refusals right now", counted(count as u64, "device"))
        }
    };
    let absent = fleet.affected.iter().filter(absent).count();
    if absent > 0 {
        said.push_str(&format!("; {absent} that the database does not have"));
    }
    page.line().strong(symptom(Symptom::Fleet)).text(" · ");
    about(page, &evidence.subject);
    page.text(" · ").strong(sentence(&said));
}

/// By cause, by client, and by when it began.
fn groups(page: &mut Page, fleet: &Fleet, view: &View) {
    let told = |(cause, count): &(Cause, u64)| match cause {
        Cause::Keyless => format!("{} ({count}, mostly bots; not counted)", cause.words()),
        cause => format!("{} ({count})", cause.words()),
    };
    let causes: Vec<_> = fleet.causes.iter().map(told).collect();
    if !causes.is_empty() {
        page.label("Causes").text(causes.join(", "));
    }
    let clients: Vec<_> = (fleet.agents.iter().take(CLIENTS))
        .map(|(agent, count)| format!("{agent} ({count})"))
        .collect();
    if !clients.is_empty() {
        let more = fleet.agents.len().saturating_sub(CLIENTS);
        let more = if more > 0 { format!(", {more} others") } else { String::new() };
        page.label("Clients").text(format!("{}{more}", clients.join(", ")));
    }
    if let Some(together) = &fleet.together {
        page.label("Together").text(format!(
            "{} devices began {}, {}.",
            together.devices,
            view.span(together.from, together.to),
            together.suggests.words()
        ));
    }
}

/// A keyless device is only counted: most are bots and bridges.
fn is_troubled(of: &Affected) -> bool {
    !of.has(Cause::Keyless)
}

/// One device: what to paste, what is wrong, since when.
fn device(page: &mut Page, of: &Affected, view: &View) {
    page.line().command(&format!("!ke1 {} {}", of.user, quoted_device(of.device.as_str())));
    let troubles: Vec<_> = of.troubles.iter().map(trouble).collect();
    page.text(format!(" · {}", troubles.join(", ")));
    match (of.since, of.or_before, of.last_seen) {
        (Some(since), false, _) => page.text(format!("; since {}", view.moment(since))),
        (Some(since), true, _) => page.text(format!("; since {} or before", view.moment(since))),
        (None, _, Some(seen)) => page.text(format!("; last seen {}", view.moment(seen))),
        (None, _, None) => page,
    };
    if let Some(agent) = &of.agent {
        page.text(format!("; {agent}"));
    }
    page.text(match of.standing {
        Standing::Proven | Standing::Exists => "",
        Standing::Absent => "; unconfirmed: the database has no such device",
        Standing::Unasked => "; unconfirmed: the database was not asked",
    });
}

fn trouble(trouble: &Trouble) -> String {
    let Trouble { cause, count, rate, goes_on } = trouble;
    let words = match cause {
        Cause::Conflict => return refusals("conflict", *count, *rate, *goes_on),
        Cause::Flood if rate.is_some() => return refusals("flood", *count, *rate, *goes_on),
        cause => cause.words(),
    };
    match cause {
        Cause::DeadIdentity => format!("{words} ({count} stored before the present one)"),
        Cause::Flood => format!("{words} ({count} or more)"),
        _ => words.to_owned(),
    }
}

fn refusals(of: &str, count: u64, rate: Option<f64>, goes_on: bool) -> String {
    let rate = rate.map_or(String::new(), |rate| format!(", {}", rate_words(rate)));
    let now = if goes_on { "going on" } else { "quiet now" };
    format!("{of}: {}{rate}, {now}", counted(count, "refusal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{About, ServerSubject, Window};

    #[test]
    fn an_invented_device_is_in_no_trouble() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let window = Window { from: at, to: at };
        let trouble = Trouble { cause: Cause::Conflict, count: 9, rate: None, goes_on: true };
        let of = Affected {
            user: "@a:x".try_into().unwrap(),
            device: "DEV".into(),
            troubles: vec![trouble],
            since: None,
            or_before: false,
            last_seen: None,
            agent: None,
            standing: Standing::Absent,
        };
        let (causes, agents, together) = Default::default();
        let (findings, unread, cut, also) = Default::default();
        let affected = vec![of];
        let read = vec!["log".to_owned()];
        let fleet =
            Fleet { window, affected, causes, agents, together, findings, read, unread, cut, also };
        let evidence = Evidence {
            schema: 1,
            symptom: Symptom::Fleet,
            subject: About::Server(ServerSubject { server: None }),
            window,
            now: at,
            gathered: Vec::new(),
        };
        let view = View { zone: jiff::tz::TimeZone::UTC, why: "!why" };
        let page = super::fleet(&evidence, &fleet, &view).reply().plain;
        let head = page.lines().next().unwrap();
        assert!(head.contains("No device in trouble"), "{head}");
        assert!(head.contains("1 that the database does not have"), "{head}");
    }
}
