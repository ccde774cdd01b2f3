//! Storms → the very words that people read.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use ruma::user_id;

use super::words::pace;
use super::*;
use crate::evidence::poll::COUNTED;
use crate::render::View;
use crate::render::plain_replies::lasting;
use crate::storm::{Change, Confirmation, Event, Mute, Muted, StormKind, Trigger, Whose};

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
    Whose::Device { user: user_id!("@u:server").into(), device: "DEV".into() }
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
    alert.answer = Some(crate::render::lines(["KE-1 · proven", "Do: log it out"]));
    assert_eq!(
        root(&alert, &view()).reply().plain,
        "🔴 Storm 7 · one-time key uploads rejected · @u:server DEV · 62 so far, 31 per minute\n\
         KE-1 · proven\n\
         Do: log it out\n\
         🔁 check again · ❓ why · 🔕 how to mute"
    );
}

#[test]
fn doubt_and_lateness_stand_in_the_first_two_lines() {
    let event = conflict(Change::Started);
    let sure = Confirmation::Unconfirmed("the database did not answer".into());
    let mut alert = alert(&event, &sure);
    alert.late = Some(SignedDuration::from_mins(12));
    alert.verdict = Some(("otk-recreated", "This device lost its keys"));
    assert_eq!(
        root(&alert, &view()).reply().plain,
        "🟠 Storm 7 · unconfirmed · one-time key uploads rejected · @u:server DEV · 62 so far, 31 per minute\n\
         Unconfirmed: The database did not answer. Detected 12 min ago; the alert could not be sent sooner.\n\
         Verdict: This device lost its keys. (otk-recreated)\n\
         🔁 check again · ❓ why · 🔕 how to mute"
    );
    alert.sure = &Confirmation::Confirmed;
    let plain = root(&alert, &view()).reply().plain;
    assert_eq!(
        plain.lines().nth(1),
        Some("Detected 12 min ago; the alert could not be sent sooner.")
    );
}

#[test]
fn an_alert_that_was_not_sent_is_listed_with_its_reason() {
    let event = conflict(Change::Started);
    let sure = Confirmation::Contradicted("the database has no such device".into());
    let verdict = Some("unknown-device");
    let root = None;
    let listed = [ListedStorm { event: &event, verdict, sure: Some(&sure), root }];
    assert_eq!(
        dropped(&listed, &view()).reply().plain,
        "Alerts not sent:\n\
         Storm 7 · one-time key uploads rejected · @u:server DEV · 2026-11-25 11:20:00 to 11:21:58 UTC · \
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
    assert!(plain.contains("Resolved: the device was signed out"), "{plain}");
    assert!(!plain.contains("Contradicted"), "{plain}");
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
        ("limited", "delayed events rate-limited (429)"),
        ("gone", "delayed events not found (404)"),
        ("slow", "delayed events slow"),
        ("", "delayed events failing"),
    ] {
        delay.trigger = trigger.into();
        let shown =
            format!("🔴 Storm 7 · {words} · clients at 198.51.100.x · 62 so far, 31 per minute");
        assert_eq!(first(&delay), shown);
    }
    let flood = storm(StormKind::OtkFlood, device(), Change::Started);
    assert_eq!(
        first(&flood),
        "🔴 Storm 7 · too many one-time keys · @u:server DEV · 62 so far, 31 per minute"
    );
    let mut fleet = storm(StormKind::Fleet, Whose::Everybody, Change::Started);
    (fleet.devices, fleet.count) = (37, 37);
    assert_eq!(
        first(&fleet),
        "🔴 Storm 7 · one-time key uploads rejected · 37 devices since 11:20 (restored database or client \
         release?)"
    );
    let plain = clear(&alert(&fleet, &Confirmation::Confirmed), &view()).reply().plain;
    assert_eq!(
        plain.lines().next(),
        Some("🟠 Storm 7 · stopped · one-time key uploads rejected · 37 devices · 2 min")
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
    assert_eq!(first(&dead), "🔴 Storm 7 · keys of an old identity · @u:server DEV");
    let mut backlog = storm(StormKind::Backlog, device(), Change::Started);
    for (count, words) in
        [(163, "163 messages undelivered"), (COUNTED, "more than 1000 messages undelivered")]
    {
        backlog.count = count;
        let shown = format!("🔴 Storm 7 · growing to-device backlog · @u:server DEV · {words}");
        assert_eq!(first(&backlog), shown);
    }
    for (trigger, words) in [
        (
            Trigger::DeadIdentity,
            "keys of an old identity · 12 devices since 11:20 (restored database or client release?)",
        ),
        (Trigger::Backlog, "growing to-device backlog · 12 devices since 11:20"),
    ] {
        let mut fleet = storm(StormKind::Fleet, Whose::Everybody, Change::Started);
        (fleet.devices, fleet.count, fleet.trigger) = (12, 12, trigger);
        assert_eq!(first(&fleet), format!("🔴 Storm 7 · {words}"));
    }
    let over = |event: &Event| {
        let plain = clear(&alert(event, &Confirmation::Confirmed), &view()).reply().plain;
        plain.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        over(&dead),
        "🟠 Storm 7 · stopped · keys of an old identity · @u:server DEV · 2 min"
    );
    let head = "🟠 Storm 7 · stopped · growing to-device backlog · @u:server DEV · 2 min";
    for (count, left) in
        [(0, ""), (1, ", 1 message undelivered"), (40, ", 40 messages undelivered")]
    {
        backlog.count = count;
        assert_eq!(over(&backlog), format!("{head}{left}"));
    }
}

#[test]
fn updates_say_what_is_new_in_three_lines() {
    let sure = Confirmation::Unconfirmed("no database is configured".into());
    for (change, words) in [
        (Change::Worse, "10 times as many as in the last alert"),
        (Change::Spread, "spread to another device"),
        (Change::Cause, "cause revised"),
        (Change::Resumed, "ongoing again"),
    ] {
        let mut event = conflict(change);
        event.devices = if change == Change::Spread { 2 } else { 1 };
        let mut alert = alert(&event, &sure);
        alert.verdict = Some(("otk-concurrent", "Two clients share one session"));
        alert.late = Some(SignedDuration::from_secs(7200));
        let devices = if change == Change::Spread { " · 2 devices" } else { "" };
        assert_eq!(
            update(&alert, &view()).reply().plain,
            format!(
                "🟠 Storm 7 · {words} · @u:server DEV{devices} · 62 so far, 31 per minute\n\
                 Verdict: Two clients share one session. (otk-concurrent)\n\
                 Unconfirmed: No database is configured. Detected 2 h ago; the alert could not be sent \
                 sooner."
            )
        );
    }
}

#[test]
fn the_all_clear_says_who_should_act() {
    let event = conflict(Change::Ended);
    let mut alert = alert(&event, &Confirmation::Confirmed);
    alert.cured = Cured::No("12 keys of the old account were claimed: log @u:server DEV out");
    alert.verdict = Some(("otk-recreated", "This device lost its keys"));
    let head = "🟠 Storm 7 · stopped, not fixed · one-time key uploads rejected · @u:server DEV · 62 in 2 min";
    assert_eq!(
        clear(&alert, &view()).reply().plain,
        format!(
            "{head}\n\
             Observed: 2026-11-25 11:20:00 to 11:21:58 UTC\n\
             Verdict: This device lost its keys. (otk-recreated)\n\
             Not fixed: 12 keys of the old account were claimed: log @u:server DEV out."
        )
    );
    let last = |cured| {
        let alert = Alert { cured, ..alert.clone() };
        clear(&alert, &view()).reply().plain.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(Cured::Yes), "Resolved: nothing is left to do.");
    assert_eq!(
        last(Cured::Unknown),
        "Unknown: it stopped, but that does not mean it is fixed. 🔁 on the first message checks again."
    );
    alert.answer = Some(crate::render::lines(["KE-1 · proven"]));
    let after = root_cleared(&alert, &view()).reply().plain;
    assert_eq!(after.lines().next(), Some(head), "{after}");
    assert!(after.ends_with("KE-1 · proven\n🔁 check again · ❓ why"), "{after}");
}

#[test]
fn a_summary_names_the_worst_in_eight_lines() {
    let from = "2026-11-25T10:00:00Z".parse().unwrap();
    let to = "2026-11-25T12:00:00Z".parse().unwrap();
    let ended: Vec<_> =
        (1..=9).map(|n| Event { storm: n, count: n * 10, ..conflict(Change::Ended) }).collect();
    let plain = summary(&ended, from, to, &view()).reply().plain;
    let lines: Vec<_> = plain.lines().collect();
    assert_eq!(lines.len(), 8, "{plain}");
    assert_eq!(
        lines[0],
        "While Kestrel was offline (2026-11-25 10:00:00 to 12:00:00 UTC), 9 storms started and ended:"
    );
    assert_eq!(
        lines[1],
        "Storm 9 · one-time key uploads rejected · @u:server DEV · 90 in 2 min, ended 2026-11-25 11:21 UTC"
    );
    assert_eq!(lines[7], "and 3 more");
    let none = summary(&[], from, to, &view()).reply().plain;
    assert!(none.ends_with("UTC), no storm both started and ended."), "{none}");
}

#[test]
fn the_list_leads_to_the_threads() {
    let event = conflict(Change::Started);
    let over = conflict(Change::Ended);
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
        "1 ongoing storm:\n\
         Storm 7 (https://matrix.to/#/!r%3Ax/%24e) · one-time key uploads rejected · @u:server DEV · 62 so \
         far, 31 per minute · since 2026-11-25 11:20 UTC · otk-recreated · unconfirmed\n\
         Ended recently:\n\
         Storm 7 · one-time key uploads rejected · @u:server DEV · 62 in 2 min, ended 2026-11-25 11:21 UTC\n\
         Muted: storm 3 until 2026-11-25 13:04 UTC, by @admin:x"
    );
    assert!(page.html.contains("<a href=\"https://matrix.to/#/!r%3Ax/%24e\">Storm 7</a>"));
    assert_eq!(list(&[], &[], &[], &view()).reply().plain, "No ongoing storms.");
    assert_eq!(
        muted(&mute, &view()).reply().plain,
        "Muted until 2026-11-25 13:04 UTC: storm 3, by @admin:x. Counting continues; \
         !storms lists ongoing storms."
    );
    assert_eq!(unmuted(&Muted::All).reply().plain, "No longer muted: all storms.");
}

#[test]
fn foreign_names_are_never_markup() {
    let mut event = conflict(Change::Started);
    let user = "@<b>\u{202e}:x".try_into().unwrap();
    event.whose = Whose::Device { user, device: "D\n@room".repeat(40).into() };
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
    assert_eq!(pace_of(981, 10).as_deref(), Some("98 per second"));
    assert_eq!(pace_of(16, 10).as_deref(), Some("1.5 per second"));
    assert_eq!(pace_of(5, 120).as_deref(), Some("2 per minute"));
    assert_eq!(pace_of(3, 36_000).as_deref(), Some("0.2 per hour"));
    assert_eq!((pace_of(2, 10), pace_of(9, 0)), (None, None));
    let words = |seconds| lasting(SignedDuration::from_secs(seconds));
    let said = [-5, 40, 119, 3600, 12_000, 200_000].map(words).join(", ");
    assert_eq!(said, "0 s, 40 s, 2 min, 1 h, 3 h 20 min, 2 d 7 h");
}
