//! Every message about storms, whole, as people read it.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::render::snapshot_tests::{Sheet, utc};
use crate::render::{Page, lines};
use crate::storm::{Change, Confirmation, Event, Mute, Muted, StormKind, Trigger, Whose};

fn at(text: &str) -> Timestamp {
    format!("2026-11-25T{text}Z").parse().unwrap()
}

fn device() -> Whose {
    Whose::Device { user: ruma::user_id!("@u:example.org").into(), device: "DEV".into() }
}

fn event(kind: StormKind, whose: Whose, trigger: Trigger, change: Change) -> Event {
    let devices = if whose == Whose::Everybody { 37 } else { 1 };
    Event {
        at: at("11:22:00"),
        storm: 7,
        change,
        kind,
        whose,
        trigger,
        count: 62,
        devices,
        first: at("11:20:00"),
        last: at("11:21:58"),
    }
}

fn conflict(change: Change) -> Event {
    event(StormKind::OtkConflict, device(), Trigger::Key("signed_curve25519:AAAA".into()), change)
}

fn alert<'a>(event: &'a Event, sure: &'a Confirmation) -> Alert<'a> {
    Alert { event, sure, verdict: None, answer: None, late: None, cured: Cured::Unknown }
}

/// Each kind of storm that is distinguished.
fn kinds() -> Vec<(&'static str, StormKind, Whose, Trigger)> {
    let address = || Whose::Address("198.51.100.x".into());
    let key = || Trigger::Key("signed_curve25519:AAAA".into());
    vec![
        ("conflict", StormKind::OtkConflict, device(), key()),
        ("flood", StormKind::OtkFlood, device(), Trigger::Unnamed),
        ("old identity", StormKind::DeadIdentity, device(), Trigger::DeadIdentity),
        ("backlog", StormKind::Backlog, device(), Trigger::Backlog),
        ("delay, rate-limited", StormKind::Delay, address(), Trigger::RateLimited),
        ("delay, not found", StormKind::Delay, address(), Trigger::NotFound),
        ("delay, slow", StormKind::Delay, address(), Trigger::Slow),
        ("delay, unnamed", StormKind::Delay, address(), Trigger::Unnamed),
        ("delay, everybody", StormKind::Delay, Whose::Everybody, Trigger::Slow),
        ("fleet", StormKind::Fleet, Whose::Everybody, Trigger::Unnamed),
        ("fleet, old identities", StormKind::Fleet, Whose::Everybody, Trigger::DeadIdentity),
        ("fleet, backlog", StormKind::Fleet, Whose::Everybody, Trigger::Backlog),
        ("auth", StormKind::Auth, Whose::Server, Trigger::Unnamed),
    ]
}

#[test]
fn each_kind_starts_and_ends() {
    let mut sheet = Sheet::default();
    for (name, kind, whose, trigger) in kinds() {
        let started = event(kind, whose.clone(), trigger.clone(), Change::Started);
        let ended = event(kind, whose, trigger, Change::Ended);
        let start = root(&alert(&started, &Confirmation::Confirmed), &utc());
        sheet.plain(&format!("{name}, first message"), &start);
        sheet.plain(
            &format!("{name}, end"),
            &clear(&alert(&ended, &Confirmation::Confirmed), &utc()),
        );
    }
    insta::assert_snapshot!("kinds", sheet.all());
}

#[test]
fn one_storm_from_start_to_end() {
    let mut sheet = Sheet::default();
    let answer: Page = lines(["(the answer stands here)"]);
    let started = conflict(Change::Started);
    let unconfirmed = Confirmation::Unconfirmed("the database did not answer".into());
    let mut first = alert(&started, &Confirmation::Confirmed);
    first.answer = Some(answer.clone());
    sheet.plain("with an answer", &root(&first, &utc()));
    sheet.text("with an answer, HTML", &root(&first, &utc()).reply().html);
    let mut doubtful = alert(&started, &unconfirmed);
    doubtful.late = Some(SignedDuration::from_mins(12));
    doubtful.verdict = Some(("otk-recreated", "This device lost its keys"));
    sheet.plain("unconfirmed, late, with a verdict", &root(&doubtful, &utc()));
    for (name, change) in [
        ("worse", Change::Worse),
        ("spread", Change::Spread),
        ("cause revised", Change::Cause),
        ("resumed", Change::Resumed),
    ] {
        let mut news = conflict(change);
        news.devices = if change == Change::Spread { 2 } else { 1 };
        let mut update_of = alert(&news, &Confirmation::Confirmed);
        update_of.verdict = Some(("otk-concurrent", "Two clients share one session"));
        sheet.plain(&format!("update, {name}"), &update(&update_of, &utc()));
    }
    let ended = conflict(Change::Ended);
    for (name, cured) in [
        ("resolved", Cured::Yes),
        ("device signed out", Cured::SignedOut),
        (
            "not fixed",
            Cured::No("12 keys of the old account were claimed: log @u:example.org DEV out"),
        ),
        ("unknown", Cured::Unknown),
    ] {
        let mut end = alert(&ended, &Confirmation::Confirmed);
        (end.cured, end.answer) = (cured, Some(answer.clone()));
        end.verdict = Some(("otk-recreated", "This device lost its keys"));
        sheet.plain(&format!("end, {name}"), &clear(&end, &utc()));
        sheet.plain(&format!("first message after the end, {name}"), &root_cleared(&end, &utc()));
    }
    insta::assert_snapshot!("one_storm", sheet.all());
}

#[test]
fn lists_mutes_and_summaries() {
    let mut sheet = Sheet::default();
    let started = conflict(Change::Started);
    let ended = conflict(Change::Ended);
    let unconfirmed = Confirmation::Unconfirmed("no database is configured".into());
    let contradicted = Confirmation::Contradicted("the database has no such device".into());
    let link = Some("https://matrix.to/#/!r%3Ax/%24e");
    let verdict = Some("otk-recreated");
    let now = ListedStorm { event: &started, verdict, sure: Some(&unconfirmed), root: link };
    let past = ListedStorm { event: &ended, verdict: None, sure: None, root: None };
    let mute = |what| Mute { what, until: at("13:04:00"), by: "@admin:example.org".into() };
    let user = ruma::owned_user_id!("@u:example.org");
    let mutes = [mute(Muted::Storm(3)), mute(Muted::User(user)), mute(Muted::All)];
    sheet.plain("!storms, none", &list(&[], &[], &[], &utc()));
    sheet.plain("!storms", &list(&[now], &[past], &mutes, &utc()));
    sheet.text("!storms, HTML", &list(&[now], &[past], &mutes, &utc()).reply().html);
    sheet.plain("!storms, many", &list(&[now; 11], &[past; 11], &[], &utc()));
    for mute in &mutes {
        sheet.plain("!mute", &muted(mute, &utc()));
        sheet.plain("!unmute", &unmuted(&mute.what));
    }
    for count in [0, 1, 9] {
        let ended = vec![ended.clone(); count];
        let page = summary(&ended, at("10:00:00"), at("12:00:00"), &utc());
        sheet.plain(&format!("while offline, {count}"), &page);
    }
    let unsent = ListedStorm { sure: Some(&contradicted), root: None, ..now };
    sheet.plain("alerts not sent", &dropped(&[unsent], &utc()));
    insta::assert_snapshot!("lists", sheet.all());
}
