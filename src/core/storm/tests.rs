//! LogEvents one by one → what is told: beginnings, ends, crowds, floods, and what a restart keeps.

use jiff::{SignedDuration, Timestamp};
use ruma::{device_id, user_id};

use super::watch_state::WATCHED;
use super::{Change, Event, StormKind, StormWatch};
use crate::evidence::log_event::{Delay, LogEvent, What};
use crate::evidence::storm_thresholds::Thresholds;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_348_000 + seconds).unwrap()
}

fn see(watch: &mut StormWatch, seconds: i64, count: u64, what: What) -> Vec<Event> {
    watch.see(LogEvent { at: at(seconds), count, what })
}

fn refused(device: &str) -> What {
    let user = user_id!("@a:x").to_owned();
    let key = "signed_curve25519:AAAAAAAAAA0".to_owned();
    What::Refused { user, device: device.into(), key }
}

/// What is told, without the looks for another verdict.
fn changes(events: &[Event]) -> Vec<Change> {
    let all = events.iter().map(|event| event.change);
    all.filter(|change| *change != Change::Cause).collect()
}

#[test]
fn a_flood_ends_though_the_device_tops_up() {
    let mut watch = StormWatch::new(Thresholds::default());
    let of = || (user_id!("@a:x").to_owned(), device_id!("D").to_owned());
    let accepted = || What::Accepted { user: of().0, device: of().1 };
    assert_eq!(changes(&see(&mut watch, 0, 600, accepted())), [Change::Started]);
    let mut told = Vec::new();
    for minutes in 1..36 {
        let claimed = What::Claimed { user: of().0, device: of().1 };
        told.extend(see(&mut watch, minutes * 300 - 1, 1, claimed));
        told.extend(see(&mut watch, minutes * 300, 1, accepted()));
    }
    assert_eq!(changes(&told), [Change::Ended], "it goes on");
    assert!(watch.going_on().is_empty());
}

#[test]
fn repetition_is_a_storm_and_one_refusal_is_none() {
    let mut watch = StormWatch::new(Thresholds::default());
    assert!(see(&mut watch, 0, 1, refused("D")).is_empty());
    assert!(see(&mut watch, 30, 1, refused("D")).is_empty());
    let events = see(&mut watch, 60, 1, refused("D"));
    assert_eq!(changes(&events), [Change::Started]);
    assert_eq!((events[0].count, events[0].first), (3, at(0)));
    // It is over after ten quiet minutes, once.
    let mut events = watch.tick(at(600));
    events.extend(watch.tick(at(661)));
    events.extend(watch.tick(at(700)));
    assert_eq!(changes(&events), [Change::Ended]);
    let end = events.iter().find(|event| event.change == Change::Ended).unwrap();
    assert_eq!((end.count, end.last), (3, at(60)));
}

/// matrix-nio 0.26 makes fifty new keys at each failed try, so that each refusal names another key ID.
#[test]
fn a_device_that_names_another_key_each_time_is_a_storm() {
    let mut watch = StormWatch::new(Thresholds::default());
    let mut told = Vec::new();
    for n in 0..34 {
        let user = user_id!("@nio:x").into();
        let device = "NIO".into();
        let key = format!("signed_curve25519:AAAAAAAAA{}g", char::from(b'A' + n));
        told.extend(see(&mut watch, i64::from(n) * 20, 1, What::Refused { user, device, key }));
        assert_eq!(changes(&told).contains(&Change::Started), n >= 2, "{n}: {told:?}");
    }
    assert_eq!(told[0].count, 3);
    // Three within half an hour are none.
    let mut watch = StormWatch::new(Thresholds::default());
    for (minutes, key) in [(0, "a:1"), (12, "a:2"), (24, "a:3")] {
        let user = user_id!("@a:x").into();
        let device = "E".into();
        let fact = What::Refused { user, device, key: key.into() };
        assert!(see(&mut watch, minutes * 60, 1, fact).is_empty());
    }
}

#[test]
fn what_came_before_it_was_a_storm_is_counted() {
    let mut watch = StormWatch::new(Thresholds::default());
    assert!(see(&mut watch, 0, 1, refused("D")).is_empty());
    let events = see(&mut watch, 1, 4, refused("D"));
    assert_eq!((events[0].count, events[0].first), (5, at(0)));
    // Another pause, another beginning.
    assert!(see(&mut watch, 0, 2, refused("E")).is_empty());
    let events = see(&mut watch, 700, 3, refused("E"));
    let started = events.iter().find(|event| event.change == Change::Started).unwrap();
    assert_eq!((started.count, started.first), (3, at(700)));
}

#[test]
fn a_day_of_storm_is_few_messages() {
    // A hundred a second for a day, and one that comes and goes every eleven minutes.
    for pause in [0, 660] {
        let mut watch = StormWatch::new(Thresholds::default());
        let mut events = Vec::new();
        let mut seen = 0;
        for second in 0..86_400 {
            if pause == 0 || second % (pause * 2) < pause {
                events.extend(see(&mut watch, second, 20, refused("D")));
                seen += 20;
            }
        }
        for second in (86_400..120_000).step_by(600) {
            events.extend(watch.tick(at(second)));
        }
        let looks = events.iter().filter(|event| event.change == Change::Cause).count();
        assert!((4..12).contains(&looks), "{looks}");
        events.retain(|event| event.change != Change::Cause);
        // A picture goes with the first.
        assert!(events.len() <= 5, "{:?}", changes(&events));
        assert_eq!(changes(&events).first(), Some(&Change::Started));
        assert!(events.iter().all(|event| event.storm == 1), "{events:?}");
        if pause == 0 {
            assert_eq!(changes(&events).last(), Some(&Change::Ended));
            assert_eq!(events.last().unwrap().count, seen, "counting stopped while quiet");
        }
    }
}

fn storm_of(watch: &mut StormWatch, seconds: i64, user: &str, device: &str) -> Vec<Event> {
    let user = user.try_into().unwrap();
    let device = device.into();
    let key = "a:1".to_owned();
    see(watch, seconds, 3, What::Refused { user, device, key })
}

#[test]
fn what_goes_on_was_never_told_to_be_over_last() {
    // Minutes of storm and of silence, over and over.
    for (storm, silence) in [(1, 11), (5, 21), (30, 12), (200, 15), (1, 45), (90, 59)] {
        let mut watch = StormWatch::new(Thresholds::default());
        let mut over = None;
        let mut told = 0;
        for second in (0..86_000).step_by(15) {
            let storms = second / 60 % (storm + silence) < storm;
            let events = if storms {
                see(&mut watch, second, 1 + second as u64, refused("D"))
            } else {
                watch.tick(at(second))
            };
            told += changes(&events).len();
            over = changes(&events).last().map(|last| *last == Change::Ended).or(over);
            assert!(!storms || over == Some(false) || second < 60, "{storm} {silence} {second}");
        }
        assert!(told <= 5, "{storm} {silence}: {told}");
        let last: Vec<_> =
            (86_000..95_000).step_by(60).flat_map(|second| watch.tick(at(second))).collect();
        assert!(over == Some(true) || changes(&last).contains(&Change::Ended));
    }
}

#[test]
fn made_up_addresses_push_no_device_out() {
    let mut watch = StormWatch::new(Thresholds::default());
    assert!(see(&mut watch, 0, 2, refused("D")).is_empty());
    let storm = |n| What::Delay { address: format!("203.0.113.{n}"), answer: Delay::Limited };
    for address in 0..20_000 {
        see(&mut watch, 1 + address / 100, 1, storm(address));
    }
    assert!(watch.watched.len() <= WATCHED);
    assert_eq!(changes(&see(&mut watch, 300, 1, refused("D"))), [Change::Started]);
    // A few addresses are remembered beside however many devices.
    for device in 0..20_000 {
        see(&mut watch, 301, 1, refused(&format!("invented-{device}")));
    }
    assert!(watch.watched.keys().any(|(kind, _)| *kind == StormKind::Delay));
}

#[test]
fn many_devices_at_once_are_one_alert() {
    let mut watch = StormWatch::new(Thresholds::default());
    let mut events = Vec::new();
    for n in 0..37 {
        events.extend(storm_of(&mut watch, n, &format!("@u{n}:x"), "D"));
    }
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let alone = StormKind::OtkConflict;
    assert_eq!(kinds, [alone, alone, alone, StormKind::Fleet], "those behind it are part of it");
    assert_eq!((events[3].devices, events[3].first), (10, at(0)));
    let now = watch.going_on();
    assert_eq!((now[0].kind, now[0].devices, now[0].count), (StormKind::Fleet, 37, 37));
    assert_eq!(watch.members(events[3].storm).len(), 37);
    let drawn = watch.timeline(events[3].storm).unwrap();
    assert_eq!(drawn.curves[0].counts.iter().sum::<u32>(), 37);
    // It continues as long as any of them does; those told alone hear of their own end.
    let goes_on = (1..10).flat_map(|n| storm_of(&mut watch, n * 300, "@u20:x", "D"));
    assert_eq!(changes(&goes_on.collect::<Vec<_>>()), [Change::Ended; 3]);
    assert_eq!(changes(&watch.tick(at(3300))), [Change::Ended]);
    // Behind its end one of them is a storm of its own.
    assert_eq!(storm_of(&mut watch, 3400, "@u20:x", "D")[0].kind, StormKind::OtkConflict);
}

#[test]
fn what_might_become_a_crowd_is_held_back() {
    let mut watch = StormWatch::new(Thresholds::default());
    let mut events = Vec::new();
    for n in 0..6 {
        events.extend(storm_of(&mut watch, n, &format!("@u{n}:x"), "D"));
    }
    assert_eq!(events.len(), 3);
    assert!(watch.tick(at(200)).is_empty());
    let told = watch.tick(at(310));
    let held: Vec<_> = told.iter().filter(|event| event.storm > 3).collect();
    let held: Vec<_> = held.iter().map(|event| (event.storm, event.change)).collect();
    let started = Change::Started;
    assert_eq!(held, [(4, started), (5, started), (6, started)], "no crowd came");
    // Their verdicts are looked at again a pause after that, as of any other storm.
    for n in 3..6 {
        let told = storm_of(&mut watch, 500 + n, &format!("@u{n}:x"), "D");
        assert!(told.iter().all(|event| event.storm < 4), "{told:?}");
    }
    let again = watch.tick(at(611));
    let again = again.iter().filter(|event| event.change == Change::Cause);
    assert_eq!(again.map(|event| event.storm).filter(|storm| *storm > 3).count(), 3);
}

#[test]
fn what_is_held_back_is_told_before_it_is_over() {
    // An end comes sooner here than a crowd is waited for.
    let quiet = SignedDuration::from_secs(10);
    let mut watch = StormWatch::new(Thresholds { quiet, ..Thresholds::default() });
    for n in 0..4 {
        storm_of(&mut watch, 0, &format!("@u{n}:x"), "D");
    }
    let before: Vec<_> = (1..300).flat_map(|second| watch.tick(at(second))).collect();
    assert!(before.iter().all(|event| event.storm < 4), "{before:?}");
    let told: Vec<_> = (300..4000).flat_map(|second| watch.tick(at(second))).collect();
    let told: Vec<_> = told.into_iter().filter(|event| event.storm == 4).collect();
    assert_eq!(changes(&told), [Change::Started, Change::Ended]);
}

#[test]
fn at_the_end_of_a_log_what_is_held_back_is_told() {
    let mut watch = StormWatch::new(Thresholds::default());
    for n in 0..5 {
        storm_of(&mut watch, n, &format!("@u{n}:x"), "D");
    }
    let held = watch.release();
    let told: Vec<_> = held.iter().map(|event| (event.storm, event.change)).collect();
    assert_eq!(told, [(4, Change::Started), (5, Change::Started)]);
    assert_eq!((held[0].count, held[0].at), (3, at(4)));
    assert!(watch.release().is_empty());
    assert!(watch.tick(at(400)).iter().all(|event| event.change == Change::Cause));
}

#[test]
fn a_user_s_devices_are_one_storm() {
    let mut watch = StormWatch::new(Thresholds::default());
    assert_eq!(changes(&storm_of(&mut watch, 0, "@a:x", "D")), [Change::Started]);
    assert!(storm_of(&mut watch, 10, "@a:x", "E").is_empty());
    assert_eq!(changes(&storm_of(&mut watch, 20, "@ab:x", "F")), [Change::Started]);
    let events: Vec<_> = (1..8).flat_map(|n| storm_of(&mut watch, n * 100, "@a:x", "E")).collect();
    let spread = events.iter().find(|event| event.change == Change::Spread).unwrap();
    assert_eq!((spread.storm, spread.devices, spread.count), (1, 2, 24));
    let ends = watch.tick(at(1400));
    let ends: Vec<_> = ends.iter().filter(|event| event.change == Change::Ended).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
}

#[test]
fn another_verdict_is_looked_for_and_told_within_the_bounds() {
    let mut watch = StormWatch::new(Thresholds::default());
    storm_of(&mut watch, 0, "@a:x", "D");
    let mut looks = 0;
    let mut told = 0;
    for second in (10..40_000).step_by(10) {
        let events = storm_of(&mut watch, second, "@a:x", "D");
        looks += events.iter().filter(|event| event.change == Change::Cause).count();
        let may =
            events.iter().any(|event| event.change == Change::Cause) && watch.spend(1, at(second));
        told += usize::from(may);
    }
    assert!(looks >= 6, "{looks}");
    assert!((1..=3).contains(&told), "{told}");
    assert!(!watch.spend(2, at(50_000)), "no such storm");
}

#[test]
fn floods_and_delays_have_their_own_measure() {
    let mut watch = StormWatch::new(Thresholds::default());
    let accepted = || {
        let user = user_id!("@a:x").into();
        let device = "D".into();
        What::Accepted { user, device }
    };
    // A healthy device: what is claimed is topped up.
    for round in 0..40 {
        assert!(see(&mut watch, round, 50, accepted()).is_empty());
        let user = user_id!("@a:x").into();
        let device = "D".into();
        see(&mut watch, round, 50, What::Claimed { user, device });
    }
    let mut events = Vec::new();
    for round in 40..60 {
        events.extend(see(&mut watch, round, 50, accepted()));
    }
    assert_eq!(
        events.iter().map(|e| (e.kind, e.change)).collect::<Vec<_>>(),
        [(StormKind::OtkFlood, Change::Started)]
    );
    let delay = |answer| What::Delay { address: "203.0.113.7".into(), answer };
    let answers = [Delay::Slow, Delay::Fast, Delay::Slow, Delay::Slow];
    let told: Vec<_> =
        answers.into_iter().map(|answer| see(&mut watch, 70, 1, delay(answer)).len()).collect();
    assert_eq!(told, [0, 0, 0, 1], "two in a row");
}

#[test]
fn a_restart_goes_on_and_made_up_users_cost_no_memory() {
    let mut watch = StormWatch::new(Thresholds::default());
    for _ in 0..3 {
        see(&mut watch, 0, 1, refused("D"));
    }
    let kept = serde_json::to_string(&watch).unwrap();
    let mut watch: StormWatch = serde_json::from_str(&kept).unwrap();
    assert!(see(&mut watch, 1, 1, refused("D")).is_empty(), "a second root");
    for invented in 0..50_000 {
        see(&mut watch, 2, 1, refused(&format!("invented-{invented}")));
    }
    assert!(watch.watched.len() <= WATCHED);
    assert_eq!(watch.going_on().len(), 1, "the storm was forgotten for made-up users");
}
