//! What is new of a storm → its messages: the first one, what follows in its thread, and the all-clear.
//!
//! The first line is what a locked phone shows, so it says which storm, of what, whose and how bad. Whether
//! and when anything is said is not decided here.

mod not_sent;

use jiff::{SignedDuration, Timestamp};

use super::View;
use super::answer::sentence;
use super::page::Page;
use super::plain_replies::lasting;
use crate::evidence::counted;
use crate::evidence::poll::COUNTED;
use crate::storm::{Change, Confirmation, Event, Mute, Muted, StormKind, Trigger, Whose};
pub use not_sent::dropped;

/// The reactions that a first message takes.
pub const AGAIN: &str = "🔁";
pub const WHY: &str = "❓";
pub const MUTE: &str = "🔕";

/// Storms that a summary names; the rest is counted, so that it has eight lines at the most.
const NAMED: usize = 6;
/// Storms and mutes that a list shows of each kind.
const LISTED: usize = 8;
const SIGNED_OUT: &str = "yes; the device was signed out, and its keys are gone with it.";

/// Everything a message about a storm says beside the verdict.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    pub event: &'a Event,
    pub sure: &'a Confirmation,
    /// The verdict's name and headline, where there is one.
    pub verdict: Option<(&'a str, &'a str)>,
    /// The whole answer of the triage or the survey, for the first message.
    pub answer: Option<Page>,
    /// It was raised so long before it could be sent.
    pub late: Option<SignedDuration>,
    /// For the all-clear.
    pub cured: Cured<'a>,
}

/// Whether what caused a storm is gone, now that it is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cured<'a> {
    Yes,
    /// The device is gone, and its keys with it.
    SignedOut,
    /// What is left, and who should act.
    No(&'a str),
    Unknown,
}

/// A storm as the list shows it.
#[derive(Debug, Clone, Copy)]
pub struct ListedStorm<'a> {
    pub event: &'a Event,
    pub verdict: Option<&'a str>,
    pub sure: Option<&'a Confirmation>,
    /// Where its thread is.
    pub root: Option<&'a str>,
}

/// The first message about a storm.
pub fn root(alert: &Alert, view: &View) -> Page {
    let mut page = Page::default();
    let unconfirmed = matches!(alert.sure, Confirmation::Unconfirmed(_)).then_some("unconfirmed");
    head(&mut page, alert.event, unconfirmed);
    page.text(format!(" · {}", kind(alert.event)));
    whose_now(&mut page, alert.event, view);
    so_far(&mut page, alert.event);
    caveats(&mut page, alert);
    match &alert.answer {
        Some(answer) => page.append(answer.clone()),
        None => verdict(&mut page, alert),
    }
    page.gap();
    page.line().text(format!("{AGAIN} run again · {WHY} why · {MUTE} how to mute"));
    page
}

/// What is new of it, in its thread: three lines at the most.
pub fn update(alert: &Alert, view: &View) -> Page {
    let event = alert.event;
    let mut page = Page::default();
    head(&mut page, event, Some(news(event.change)));
    whose_now(&mut page, event, view);
    if event.kind != StormKind::Fleet && event.devices > 1 {
        page.text(format!(" · {}", counted(event.devices, "device")));
    }
    so_far(&mut page, event);
    verdict(&mut page, alert);
    caveats(&mut page, alert);
    page
}

/// It is over, in its thread: how long it was, how much, and whether that cured it.
pub fn clear(alert: &Alert, view: &View) -> Page {
    let mut page = over(alert.event);
    page.label("Seen").text(view.span(alert.event.first, alert.event.last));
    if alert.event.devices > 1 {
        page.text(format!(", on {}", counted(alert.event.devices, "device")));
    }
    verdict(&mut page, alert);
    match alert.cured {
        Cured::Yes => page.label("Cured").text("yes; nothing is left to do."),
        Cured::SignedOut => page.label("Cured").text(SIGNED_OUT),
        Cured::No(left) => page.label("Not cured").text(sentence(left)),
        Cured::Unknown => page.label("Cured").text(format!(
            "unknown; silence alone is no cure. {AGAIN} on the first message looks again."
        )),
    };
    caveats(&mut page, alert);
    page
}

/// The first message as it reads once the storm is over: the all-clear, and below it the newest answer.
pub fn root_cleared(alert: &Alert, view: &View) -> Page {
    let mut page = clear(alert, view);
    if let Some(answer) = &alert.answer {
        page.append(answer.clone());
    }
    page.gap();
    page.line().text(format!("{AGAIN} run again · {WHY} why"));
    page
}

/// Storms that began and ended while nobody was reading, worst first.
pub fn summary(ended: &[Event], from: Timestamp, to: Timestamp, view: &View) -> Page {
    let mut page = Page::default();
    let many = match ended.len() {
        0 => "no storm came and went.".to_owned(),
        1 => "one storm came and went:".to_owned(),
        count => format!("{count} storms came and went:"),
    };
    page.line().text(format!("While I was not reading ({}) {many}", view.span(from, to)));
    let mut worst: Vec<_> = ended.iter().collect();
    worst.sort_by_key(|event| std::cmp::Reverse((event.devices, event.count)));
    for event in worst.iter().take(NAMED) {
        past(&mut page, event, None, view);
    }
    more(&mut page, ended.len(), NAMED);
    page
}

/// What goes on, what ended lately, and what is muted.
pub fn list(going_on: &[ListedStorm], ended: &[ListedStorm], mutes: &[Mute], view: &View) -> Page {
    let mut page = Page::default();
    page.line().text(match going_on.len() {
        0 => "No storm is going on.".to_owned(),
        1 => "One storm is going on:".to_owned(),
        count => format!("{count} storms are going on:"),
    });
    for storm in going_on.iter().take(LISTED) {
        name(page.line(), storm.event, storm.root);
        page.text(format!(" · {}", kind(storm.event)));
        whose_now(&mut page, storm.event, view);
        so_far(&mut page, storm.event);
        page.text(format!(" · since {}", minute(storm.event.first, view)));
        known(&mut page, storm);
    }
    more(&mut page, going_on.len(), LISTED);
    if !ended.is_empty() {
        page.gap();
        page.line().text("Ended lately:");
    }
    for storm in ended.iter().take(LISTED) {
        past(&mut page, storm.event, storm.root, view);
        known(&mut page, storm);
    }
    more(&mut page, ended.len(), LISTED);
    if !mutes.is_empty() {
        page.gap();
    }
    for mute in mutes.iter().take(LISTED) {
        page.label("Muted");
        what(&mut page, &mute.what);
        page.text(format!(" until {}, by ", minute(mute.until, view))).code(&mute.by);
    }
    more(&mut page, mutes.len(), LISTED);
    page
}

/// Somebody asked not to hear of something.
pub fn muted(mute: &Mute, view: &View) -> Page {
    let mut page = Page::default();
    page.line().text(format!("Muted until {}: ", minute(mute.until, view)));
    what(&mut page, &mute.what);
    page.text(", asked for by ").code(&mute.by);
    page.text(". I go on counting; ").usage("!storms").text(" lists what goes on.");
    page
}

/// A mute was taken back.
pub fn unmuted(muted: &Muted) -> Page {
    let mut page = Page::default();
    page.line().text("No longer muted: ");
    what(&mut page, muted);
    page.text(".");
    page
}

/// Its number, and what a locked phone should show right after it.
fn head(page: &mut Page, event: &Event, mark: Option<&str>) {
    page.line().strong(format!("Storm {}", event.storm));
    if let Some(mark) = mark {
        page.text(" · ").strong(mark);
    }
}

/// The head of a storm that is over.
fn over(event: &Event) -> Page {
    let mut page = Page::default();
    head(&mut page, event, Some("over"));
    page.text(format!(" · {}", kind(event)));
    whose(&mut page, event);
    page.text(format!(" · {}", in_all(event)));
    page
}

/// A storm that is over, in one line.
fn past(page: &mut Page, event: &Event, root: Option<&str>, view: &View) {
    name(page.line(), event, root);
    page.text(format!(" · {}", kind(event)));
    whose(page, event);
    page.text(format!(" · {}, ended {}", in_all(event), minute(event.last, view)));
}

/// Its number, as the way to its thread where there is one.
fn name(page: &mut Page, event: &Event, root: Option<&str>) {
    let name = format!("Storm {}", event.storm);
    match root {
        Some(url) => page.link(name, url),
        None => page.strong(name),
    };
}

fn kind(event: &Event) -> &'static str {
    match (event.kind, &event.trigger) {
        (StormKind::Fleet, Trigger::DeadIdentity) | (StormKind::DeadIdentity, _) => {
            "keys of a dead identity"
        }
        (StormKind::Fleet, Trigger::Backlog) | (StormKind::Backlog, _) => {
            "to-device messages pile up"
        }
        (StormKind::OtkConflict | StormKind::Fleet, _) => "one-time keys refused",
        (StormKind::OtkFlood, _) => "flood of one-time keys",
        (StormKind::Auth, _) => "access tokens cannot be checked (503)",
        (StormKind::Delay, Trigger::RateLimited) => "delayed events refused (429)",
        (StormKind::Delay, Trigger::NotFound) => "delayed events not found (404)",
        (StormKind::Delay, Trigger::Slow) => "delayed events slow",
        (StormKind::Delay, _) => "delayed events failing",
    }
}

/// Whose storm.
fn whose(page: &mut Page, event: &Event) {
    page.text(" · ");
    match &event.whose {
        Whose::Device { user, device } => page.code(user).text(" ").code(device),
        Whose::Address(address) => page.text("clients at ").code(address),
        Whose::Everybody if event.kind == StormKind::Delay => {
            page.text(format!("clients at {} addresses", event.devices))
        }
        Whose::Everybody => page.text(counted(event.devices, "device")),
        Whose::Server => page.text("the whole homeserver"),
    };
}

/// Whose storm that goes on. Many devices at once have a cause in common, and there are two that make it.
fn whose_now(page: &mut Page, event: &Event, view: &View) {
    whose(page, event);
    if event.whose == Whose::Everybody {
        let since = clock(event.first, event.at, view);
        // Keys have two causes in common; messages that nobody fetches may have any.
        let cause = match (event.kind, &event.trigger) {
            (StormKind::Delay, _) | (_, Trigger::Backlog) => "",
            _ => ": restored database or client release?",
        };
        page.text(format!(" since {since}{cause}"));
    }
}

/// How bad it is. An alert about everybody counts devices, which it has named.
fn so_far(page: &mut Page, event: &Event) {
    match event.kind {
        _ if event.whose == Whose::Everybody => {}
        StormKind::Fleet | StormKind::DeadIdentity => {}
        StormKind::Backlog => {
            page.text(format!(" · {}", waiting(event.count)));
        }
        StormKind::OtkConflict | StormKind::OtkFlood | StormKind::Delay | StormKind::Auth => {
            let pace = pace(event).map(|pace| format!(", {pace}")).unwrap_or_default();
            page.text(format!(" · {} so far{pace}", event.count));
        }
    }
}

fn in_all(event: &Event) -> String {
    let length = lasting(event.last.duration_since(event.first));
    match event.kind {
        _ if event.whose == Whose::Everybody => length,
        StormKind::Fleet | StormKind::DeadIdentity => length,
        StormKind::Backlog if event.count > 0 => {
            format!("{length}, {} still", waiting(event.count))
        }
        StormKind::Backlog => length,
        _ => format!("{} in {length}", event.count),
    }
}

/// A backlog as it was counted, up to a limit.
fn waiting(count: u64) -> String {
    match count {
        1 => "one waits".into(),
        COUNTED.. => format!("more than {} wait", COUNTED - 1),
        count => format!("{count} wait"),
    }
}

fn verdict(page: &mut Page, alert: &Alert) {
    if let Some((name, headline)) = alert.verdict {
        page.label("Verdict").text(sentence(headline)).text(" (").code(name).text(")");
    }
}

/// What to know before believing it, in one line.
fn caveats(page: &mut Page, alert: &Alert) {
    match alert.sure {
        Confirmation::Confirmed if alert.late.is_none() => return,
        Confirmation::Confirmed => page.line(),
        Confirmation::Unconfirmed(why) => page.label("Unconfirmed").text(sentence(why)),
        Confirmation::Contradicted(why) => {
            page.label("The database says otherwise").text(sentence(why))
        }
    };
    if let Some(late) = alert.late {
        let space = if *alert.sure == Confirmation::Confirmed { "" } else { " " };
        page.text(format!("{space}Raised {} ago: I could not send it sooner.", lasting(late)));
    }
}

/// What the list knows of a storm beside its counts.
fn known(page: &mut Page, storm: &ListedStorm) {
    if let Some(verdict) = storm.verdict {
        page.text(" · ").code(verdict);
    }
    match storm.sure {
        Some(Confirmation::Unconfirmed(_)) => page.text(" · unconfirmed"),
        Some(Confirmation::Contradicted(_)) => page.text(" · the database says otherwise"),
        Some(Confirmation::Confirmed) | None => page,
    };
}

fn news(change: Change) -> &'static str {
    match change {
        Change::Started => "began",
        Change::Worse => "ten times as many",
        Change::Spread => "spread to another device",
        Change::Cause => "another cause than told",
        Change::Resumed => "back again",
        Change::Ended => "over",
    }
}

fn what(page: &mut Page, muted: &Muted) {
    match muted {
        Muted::Storm(number) => page.text(format!("storm {number}")),
        Muted::User(user) => page.code(user.as_str()),
        Muted::All => page.text("all storms"),
    };
}

fn more(page: &mut Page, count: usize, shown: usize) {
    if count > shown {
        page.line().text(format!("and {} more", count - shown));
    }
}

/// How fast it came, as a label. Two have no rate.
fn pace(event: &Event) -> Option<String> {
    let seconds = event.last.duration_since(event.first).as_secs_f64();
    let rate = (event.count.saturating_sub(1)) as f64 / seconds;
    let short = |rate: f64| match rate {
        rate if rate >= 9.95 => format!("{rate:.0}"),
        rate => format!("{rate:.1}").trim_end_matches(".0").to_owned(),
    };
    (event.count > 2 && seconds > 0.0).then(|| match rate {
        rate if rate >= 1.0 => format!("{} a second", short(rate)),
        rate if rate * 60.0 >= 1.0 => format!("{} a minute", short(rate * 60.0)),
        rate => format!("{} an hour", short(rate * 3600.0)),
    })
}

/// A moment to the minute, with its date and zone.
fn minute(at: Timestamp, view: &View) -> String {
    at.to_zoned(view.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A moment on the clock, with its date where that is another than today's.
fn clock(at: Timestamp, now: Timestamp, view: &View) -> String {
    let (at, now) = (at.to_zoned(view.zone.clone()), now.to_zoned(view.zone.clone()));
    let form = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn view() -> View {
        View::in_zone(TimeZone::UTC)
    }

    fn storm(kind: StormKind, whose: Whose, change: Change) -> Event {
        let at = |text: &str| text.parse().unwrap();
        Event {
            at: at("2026-11-25T11:22:00Z"),
            storm: 7,
            change,
            kind,
            whose,
            trigger: Trigger::Unnamed,
            count: 62,
            devices: 1,
            first: at("2026-11-25T11:20:00Z"),
            last: at("2026-11-25T11:21:58Z"),
        }
    }

    fn device() -> Whose {
        Whose::Device { user: "@u:server".into(), device: "DEV".into() }
    }

    fn conflict(change: Change) -> Event {
        storm(StormKind::OtkConflict, device(), change)
    }

    fn alert<'a>(event: &'a Event, sure: &'a Confirmation) -> Alert<'a> {
        Alert { event, sure, verdict: None, answer: None, late: None, cured: Cured::Unknown }
    }

    #[test]
    fn the_first_line_is_for_a_locked_phone() {
        let event = conflict(Change::Started);
        let mut alert = alert(&event, &Confirmation::Confirmed);
        alert.answer = Some(super::super::lines(["KE-1 · proven", "Do: log it out"]));
        assert_eq!(
            root(&alert, &view()).reply().plain,
            "Storm 7 · one-time keys refused · @u:server DEV · 62 so far, 31 a minute\n\
             KE-1 · proven\n\
             Do: log it out\n\
             🔁 run again · ❓ why · 🔕 how to mute"
        );
    }

    #[test]
    fn doubt_and_lateness_stand_in_the_first_two_lines() {
        let event = conflict(Change::Started);
        let sure = Confirmation::Unconfirmed("the database did not answer".into());
        let mut alert = alert(&event, &sure);
        alert.late = Some(SignedDuration::from_mins(12));
        alert.verdict = Some(("otk-recreated", "the store was wiped or evicted"));
        assert_eq!(
            root(&alert, &view()).reply().plain,
            "Storm 7 · unconfirmed · one-time keys refused · @u:server DEV · 62 so far, 31 a minute\n\
             Unconfirmed: The database did not answer. Raised 12 min ago: I could not send it sooner.\n\
             Verdict: The store was wiped or evicted. (otk-recreated)\n\
             🔁 run again · ❓ why · 🔕 how to mute"
        );
        alert.sure = &Confirmation::Confirmed;
        let plain = root(&alert, &view()).reply().plain;
        assert_eq!(plain.lines().nth(1), Some("Raised 12 min ago: I could not send it sooner."));
    }

    #[test]
    fn an_alert_that_was_not_sent_is_listed_with_its_reason() {
        let event = conflict(Change::Started);
        let sure = Confirmation::Contradicted("the database has no such device".into());
        let (verdict, root) = (Some("unknown-device"), None);
        let listed = [ListedStorm { event: &event, verdict, sure: Some(&sure), root }];
        assert_eq!(
            dropped(&listed, &view()).reply().plain,
            "Alerts not sent:\n\
             Storm 7 · one-time keys refused · @u:server DEV · 2026-11-25 11:20:00 to 11:21:58 UTC · \
             The database has no such device."
        );
        assert!(dropped(&[], &view()).reply().plain.is_empty());
    }

    #[test]
    fn a_storm_whose_device_is_gone_is_cured_and_not_contradicted() {
        let event = conflict(Change::Ended);
        let mut alert = alert(&event, &Confirmation::Confirmed);
        alert.cured = Cured::SignedOut;
        let plain = clear(&alert, &view()).reply().plain;
        assert!(plain.contains("Cured: yes; the device was signed out"), "{plain}");
        assert!(!plain.contains("otherwise"), "{plain}");
    }

    #[test]
    fn every_kind_has_its_name() {
        let first = |event: &Event| {
            let plain = root(&alert(event, &Confirmation::Confirmed), &view()).reply().plain;
            plain.lines().next().unwrap().to_owned()
        };
        let address = || Whose::Address("198.51.100.x".into());
        let mut delay = storm(StormKind::Delay, address(), Change::Started);
        for (trigger, words) in [
            ("limited", "delayed events refused (429)"),
            ("gone", "delayed events not found (404)"),
            ("slow", "delayed events slow"),
            ("", "delayed events failing"),
        ] {
            delay.trigger = trigger.into();
            let shown =
                format!("Storm 7 · {words} · clients at 198.51.100.x · 62 so far, 31 a minute");
            assert_eq!(first(&delay), shown);
        }
        let flood = storm(StormKind::OtkFlood, device(), Change::Started);
        assert_eq!(
            first(&flood),
            "Storm 7 · flood of one-time keys · @u:server DEV · 62 so far, 31 a minute"
        );
        let mut fleet = storm(StormKind::Fleet, Whose::Everybody, Change::Started);
        (fleet.devices, fleet.count) = (37, 37);
        assert_eq!(
            first(&fleet),
            "Storm 7 · one-time keys refused · 37 devices since 11:20: restored database or client \
             release?"
        );
        let plain = clear(&alert(&fleet, &Confirmation::Confirmed), &view()).reply().plain;
        assert_eq!(
            plain.lines().next(),
            Some("Storm 7 · over · one-time keys refused · 37 devices · 2 min")
        );
    }

    #[test]
    fn what_the_database_shows_is_told_in_its_own_words() {
        let first = |event: &Event| {
            let plain = root(&alert(event, &Confirmation::Confirmed), &view()).reply().plain;
            plain.lines().next().unwrap().to_owned()
        };
        let mut dead = storm(StormKind::DeadIdentity, device(), Change::Started);
        dead.count = 1;
        assert_eq!(first(&dead), "Storm 7 · keys of a dead identity · @u:server DEV");
        let mut backlog = storm(StormKind::Backlog, device(), Change::Started);
        for (count, words) in [(163, "163 wait"), (COUNTED, "more than 1000 wait")] {
            backlog.count = count;
            let shown = format!("Storm 7 · to-device messages pile up · @u:server DEV · {words}");
            assert_eq!(first(&backlog), shown);
        }
        for (trigger, words) in [
            (
                Trigger::DeadIdentity,
                "keys of a dead identity · 12 devices since 11:20: restored database or client release?",
            ),
            (Trigger::Backlog, "to-device messages pile up · 12 devices since 11:20"),
        ] {
            let mut fleet = storm(StormKind::Fleet, Whose::Everybody, Change::Started);
            (fleet.devices, fleet.count, fleet.trigger) = (12, 12, trigger);
            assert_eq!(first(&fleet), format!("Storm 7 · {words}"));
        }
        let over = |event: &Event| {
            let plain = clear(&alert(event, &Confirmation::Confirmed), &view()).reply().plain;
            plain.lines().next().unwrap().to_owned()
        };
        assert_eq!(over(&dead), "Storm 7 · over · keys of a dead identity · @u:server DEV · 2 min");
        let head = "Storm 7 · over · to-device messages pile up · @u:server DEV · 2 min";
        for (count, left) in [(0, ""), (1, ", one waits still"), (40, ", 40 wait still")] {
            backlog.count = count;
            assert_eq!(over(&backlog), format!("{head}{left}"));
        }
    }

    #[test]
    fn updates_say_what_is_new_in_three_lines() {
        let sure = Confirmation::Unconfirmed("no database is configured".into());
        for (change, words) in [
            (Change::Worse, "ten times as many"),
            (Change::Spread, "spread to another device"),
            (Change::Cause, "another cause than told"),
            (Change::Resumed, "back again"),
        ] {
            let mut event = conflict(change);
            event.devices = if change == Change::Spread { 2 } else { 1 };
            let mut alert = alert(&event, &sure);
            alert.verdict = Some(("otk-concurrent", "two clients run on one session"));
            alert.late = Some(SignedDuration::from_secs(7200));
            let devices = if change == Change::Spread { " · 2 devices" } else { "" };
            assert_eq!(
                update(&alert, &view()).reply().plain,
                format!(
                    "Storm 7 · {words} · @u:server DEV{devices} · 62 so far, 31 a minute\n\
                     Verdict: Two clients run on one session. (otk-concurrent)\n\
                     Unconfirmed: No database is configured. Raised 2 h ago: I could not send it \
                     sooner."
                )
            );
        }
    }

    #[test]
    fn the_all_clear_says_who_should_act() {
        let event = conflict(Change::Ended);
        let mut alert = alert(&event, &Confirmation::Confirmed);
        alert.cured = Cured::No("12 dead keys were handed out: log @u:server DEV out");
        alert.verdict = Some(("otk-recreated", "the store was wiped or evicted"));
        let head = "Storm 7 · over · one-time keys refused · @u:server DEV · 62 in 2 min";
        assert_eq!(
            clear(&alert, &view()).reply().plain,
            format!(
                "{head}\n\
                 Seen: 2026-11-25 11:20:00 to 11:21:58 UTC\n\
                 Verdict: The store was wiped or evicted. (otk-recreated)\n\
                 Not cured: 12 dead keys were handed out: log @u:server DEV out."
            )
        );
        let last = |cured| {
            let alert = Alert { cured, ..alert.clone() };
            clear(&alert, &view()).reply().plain.lines().last().unwrap().to_owned()
        };
        assert_eq!(last(Cured::Yes), "Cured: yes; nothing is left to do.");
        assert_eq!(
            last(Cured::Unknown),
            "Cured: unknown; silence alone is no cure. 🔁 on the first message looks again."
        );
        alert.answer = Some(crate::render::lines(["KE-1 · proven"]));
        let after = root_cleared(&alert, &view()).reply().plain;
        assert_eq!(after.lines().next(), Some(head));
        assert!(after.ends_with("KE-1 · proven\n🔁 run again · ❓ why"), "{after}");
    }

    #[test]
    fn a_summary_names_the_worst_in_eight_lines() {
        let (from, to) =
            ("2026-11-25T10:00:00Z".parse().unwrap(), "2026-11-25T12:00:00Z".parse().unwrap());
        let ended: Vec<_> =
            (1..=9).map(|n| Event { storm: n, count: n * 10, ..conflict(Change::Ended) }).collect();
        let plain = summary(&ended, from, to, &view()).reply().plain;
        let lines: Vec<_> = plain.lines().collect();
        assert_eq!(lines.len(), 8, "{plain}");
        assert_eq!(
            lines[0],
            "While I was not reading (2026-11-25 10:00:00 to 12:00:00 UTC) 9 storms came and went:"
        );
        assert_eq!(
            lines[1],
            "Storm 9 · one-time keys refused · @u:server DEV · 90 in 2 min, ended 2026-11-25 11:21 UTC"
        );
        assert_eq!(lines[7], "and 3 more");
        let none = summary(&[], from, to, &view()).reply().plain;
        assert!(none.ends_with("UTC) no storm came and went."), "{none}");
    }

    #[test]
    fn the_list_leads_to_the_threads() {
        let (event, over) = (conflict(Change::Started), conflict(Change::Ended));
        let sure = Confirmation::Unconfirmed("no database".into());
        let root = Some("https://matrix.to/#/!r%3Ax/%24e");
        let going_on =
            ListedStorm { event: &event, verdict: Some("otk-recreated"), sure: Some(&sure), root };
        let ended = ListedStorm { event: &over, verdict: None, sure: None, root: None };
        let until = "2026-11-25T13:04:00Z".parse().unwrap();
        let mute = Mute { what: Muted::Storm(3), until, by: "@admin:x".into() };
        let page = list(&[going_on], &[ended], std::slice::from_ref(&mute), &view()).reply();
        assert_eq!(
            page.plain,
            "One storm is going on:\n\
             Storm 7 (https://matrix.to/#/!r%3Ax/%24e) · one-time keys refused · @u:server DEV · 62 so \
             far, 31 a minute · since 2026-11-25 11:20 UTC · otk-recreated · unconfirmed\n\
             Ended lately:\n\
             Storm 7 · one-time keys refused · @u:server DEV · 62 in 2 min, ended 2026-11-25 11:21 UTC\n\
             Muted: storm 3 until 2026-11-25 13:04 UTC, by @admin:x"
        );
        assert!(page.html.contains("<a href=\"https://matrix.to/#/!r%3Ax/%24e\">Storm 7</a>"));
        assert_eq!(list(&[], &[], &[], &view()).reply().plain, "No storm is going on.");
        assert_eq!(
            muted(&mute, &view()).reply().plain,
            "Muted until 2026-11-25 13:04 UTC: storm 3, asked for by @admin:x. I go on counting; \
             !storms lists what goes on."
        );
        assert_eq!(unmuted(&Muted::All).reply().plain, "No longer muted: all storms.");
    }

    #[test]
    fn foreign_names_are_never_markup() {
        let mut event = conflict(Change::Started);
        event.whose =
            Whose::Device { user: "@<b>\u{202e}:x".into(), device: "D\n@room".repeat(40) };
        let sure = Confirmation::Unconfirmed("<i>\nno".into());
        let reply = root(&alert(&event, &sure), &view()).reply();
        assert!(reply.html.contains("<code>@&lt;b&gt;\\u{202e}:x</code> <code>D\\u{a}@room"));
        assert!(!reply.html.contains("<i>") && !reply.plain.contains('\u{202e}'));
        assert_eq!(reply.plain.lines().count(), 3, "{}", reply.plain);
        assert!(reply.plain.lines().next().unwrap().chars().count() < 200);
    }

    #[test]
    fn rates_and_lengths_read_as_people_say_them() {
        let mut event = conflict(Change::Worse);
        let mut pace_of = |count, seconds| {
            event.count = count;
            event.last = event.first + SignedDuration::from_secs(seconds);
            pace(&event)
        };
        assert_eq!(pace_of(981, 10).as_deref(), Some("98 a second"));
        assert_eq!(pace_of(16, 10).as_deref(), Some("1.5 a second"));
        assert_eq!(pace_of(5, 120).as_deref(), Some("2 a minute"));
        assert_eq!(pace_of(3, 36_000).as_deref(), Some("0.2 an hour"));
        assert_eq!((pace_of(2, 10), pace_of(9, 0)), (None, None));
        let words = |seconds| lasting(SignedDuration::from_secs(seconds));
        let said = [-5, 40, 119, 3600, 12_000, 200_000].map(words).join(", ");
        assert_eq!(said, "0 s, 40 s, 2 min, 1 h, 3 h 20 min, 2 d 7 h");
    }
}
