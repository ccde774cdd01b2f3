//! Who is affected → an answer for a phone: the worst few devices, each with the command for its details.

use super::answer::{about, also, besides, rate_words, sentence, symptom};
use super::glyph::{ACTIVE, HEALTHY, UNDECIDED, UNSETTLED};
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
    head(&mut page, evidence, fleet, view);
    page.gap();
    groups(&mut page, fleet, view);
    page.gap();
    let worst: Vec<_> = fleet.affected.iter().filter(|of| is_troubled(of)).collect();
    for of in worst.iter().take(WORST) {
        device(&mut page, of, view);
    }
    page.gap();
    also(&mut page, &fleet.also);
    if !fleet.cut.is_empty() {
        page.label("Incomplete").text(sentence(&fleet.cut.join("; ")));
    }
    if !fleet.unread.is_empty() {
        page.label("Unknown").text(sentence(&fleet.unread.join("; ")));
    }
    if !fleet.read.is_empty() && worst.is_empty() {
        page.label("Checked").text(sentence(&fleet.read.join("; ")));
    }
    let more = worst.len().saturating_sub(WORST);
    if more > 0 {
        page.line().text(format!("{more} more: "));
    } else {
        page.line();
    }
    page.code(view.why).text(" lists every device and every query.");
    page
}

/// Every affected device, and every query.
pub fn fleet_why(evidence: &Evidence, fleet: &Fleet, view: &View) -> Page {
    let mut page = Page::default();
    head(&mut page, evidence, fleet, view);
    groups(&mut page, fleet, view);
    fleet.also.iter().for_each(|also| besides(&mut page, also));
    for finding in &fleet.findings {
        page.label("Also").text(finding);
    }
    for read in &fleet.read {
        page.label("Checked").text(read);
    }
    for unread in &fleet.unread {
        page.label("Unknown").text(unread);
    }
    for cut in &fleet.cut {
        page.label("Incomplete").text(cut);
    }
    page.gap();
    for of in fleet.affected.iter().take(LISTED) {
        device(&mut page, of, view);
    }
    if fleet.affected.len() > LISTED {
        let more = fleet.affected.len() - LISTED;
        page.line().text(format!("{more} more are in evidence.json."));
    }
    super::why::sources(&mut page, evidence, |_| true);
    page
}

fn head(page: &mut Page, evidence: &Evidence, fleet: &Fleet, view: &View) {
    // A device that the database does not have may be invented: it does not count as affected.
    let absent = |of: &&Affected| of.standing == Standing::Absent;
    let known = || fleet.affected.iter().filter(|of| is_troubled(of) && !absent(of));
    let troubled = known().count();
    let goes_on = known().filter(|of| of.goes_on()).count();
    let blind = !fleet.also.is_empty();
    let affected = counted(troubled as u64, "device");
    let mut said = match (fleet.read.is_empty(), troubled, goes_on) {
        (true, ..) => "Not enough evidence. Needed: a Synapse log or the database.".to_owned(),
        (_, 0, _) if blind => {
            "Not enough evidence. No affected device was seen, but the log could not show any."
                .to_owned()
        }
        (_, 0, _) => "No affected device found in the checked sources.".to_owned(),
        (_, _, 0) => format!("{affected} affected."),
        (_, _, on) => format!("{affected} affected, {on} with rejected uploads now."),
    };
    let absent = fleet.affected.iter().filter(absent).count();
    if absent > 0 {
        let more = counted(absent as u64, "more device");
        let verb = if absent == 1 { "is" } else { "are" };
        said.push_str(&format!(" {more} {verb} in the log but not in the database."));
    }
    let proven = known().any(|of| of.goes_on() && of.standing == Standing::Proven);
    let glyph = match troubled {
        0 if fleet.read.is_empty() || blind => UNDECIDED,
        0 => HEALTHY,
        _ if proven => ACTIVE,
        _ => UNSETTLED,
    };
    page.line().text(format!("{glyph} ")).strong(said);
    about(page.line(), &evidence.subject);
    let certainty = fleet.certainty().title();
    let window = view.span(fleet.window.from, fleet.window.to);
    let symptom = symptom(Symptom::Fleet);
    page.line().text(format!("{certainty} · {symptom} · log window {window}"));
}

/// By cause, by client, and by when the trouble started.
fn groups(page: &mut Page, fleet: &Fleet, view: &View) {
    let told = |(cause, count): &(Cause, u64)| match cause {
        Cause::Keyless => format!("{} ({count}, mostly bots, not counted)", cause.words()),
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
        page.label("Started together").text(format!(
            "{} devices, {}. {}",
            together.devices,
            view.span(together.from, together.to),
            sentence(&together.suggests.words())
        ));
    }
}

/// A device without keys is only counted: most are bots and bridges.
fn is_troubled(of: &Affected) -> bool {
    !of.has(Cause::Keyless)
}

/// One device: the command to paste, what is wrong, and since when.
fn device(page: &mut Page, of: &Affected, view: &View) {
    page.line().command(&format!("!ke1 {} {}", of.user, quoted_device(of.device.as_str())));
    let troubles: Vec<_> = of.troubles.iter().map(trouble).collect();
    page.text(format!(" · {}", troubles.join(", ")));
    match (of.since, of.or_before, of.last_seen) {
        (Some(since), false, _) => page.text(format!("; since {}", view.moment(since))),
        (Some(since), true, _) => page.text(format!("; since {} or earlier", view.moment(since))),
        (None, _, Some(seen)) => page.text(format!("; last seen {}", view.moment(seen))),
        (None, _, None) => page,
    };
    if let Some(agent) = &of.agent {
        page.text(format!("; {agent}"));
    }
    page.text(match of.standing {
        Standing::Proven | Standing::Exists => "",
        Standing::Absent => "; unconfirmed: the database has no such device",
        Standing::Unasked => "; unconfirmed: the database was not queried",
    });
}

fn trouble(trouble: &Trouble) -> String {
    let Trouble { cause, count, rate, goes_on } = trouble;
    let words = match cause {
        Cause::Conflict => return refusals(cause.words(), *count, *rate, *goes_on),
        Cause::Flood if rate.is_some() => return refusals(cause.words(), *count, *rate, *goes_on),
        cause => cause.words(),
    };
    match cause {
        Cause::DeadIdentity => format!("{words} ({count} stored before the current identity)"),
        Cause::Flood => format!("{words} ({count} or more)"),
        _ => words.to_owned(),
    }
}

fn refusals(of: &str, count: u64, rate: Option<f64>, goes_on: bool) -> String {
    let rate = rate.map_or(String::new(), |rate| format!(", {}", rate_words(rate)));
    let now = if goes_on { "ongoing" } else { "stopped" };
    format!("{of}: {}{rate}, {now}", counted(count, "rejected upload"))
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
        assert!(head.contains("No affected device"), "{head}");
        assert!(head.contains("1 more device is in the log but not in the database"), "{head}");
    }
}
