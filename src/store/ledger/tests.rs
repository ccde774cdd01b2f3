//! Steps, storms, messages and mutes through crashes, restarts and other versions.

use std::fs;

use jiff::Timestamp;
use ruma::{event_id, room_id, user_id};

use super::connection::FILE;
use super::*;
use kestrel_core::storm::{Change, Confirmation, Event, Mute, Muted, StormKind, Whose};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_348_000 + second).unwrap()
}

/// A storm of a device; what is new of it, and how many it counts.
fn event(storm: u64, change: Change, second: i64, count: u64) -> Event {
    Event {
        at: at(second),
        storm,
        change,
        kind: StormKind::OtkConflict,
        whose: Whose::Device { user: user_id!("@a:example.org").into(), device: "DEV".into() },
        trigger: "signed_curve25519:AAAAAAAAAA0".into(),
        count,
        devices: 1,
        first: at(0),
        last: at(second),
    }
}

fn ledger() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    (folder, ledger)
}

fn storms(ledger: &Ledger, events: &[Event]) {
    ledger.record(&Step { storms: events, ..Step::default() }).unwrap();
}

/// Everything in it, for comparing.
fn all(ledger: &Ledger) -> String {
    let places = ledger.places().unwrap();
    let watch = ledger.watch().unwrap();
    let storms = ledger.storms(5000).unwrap();
    let owed = ledger.owed().unwrap();
    format!("{places:?} {watch:?} {storms:?} {owed:?}")
}

/// A step that touches every table, with `round` all over it.
fn step(ledger: &Ledger, round: u64) {
    let places = [("log:main".to_owned(), format!("{{\"offset\":{round}}}"))];
    let storms = [event(1, Change::Worse, 0, round), event(round + 2, Change::Started, 0, round)];
    let owed = [Due::Words(round.to_string()), Due::Storm(event(1, Change::Worse, 0, round))];
    let state = format!("state {round} {}", "x".repeat(9000));
    let step = Step { places: &places, watch: Some(&state), storms: &storms, owed: &owed };
    ledger.record(&step).unwrap();
}

#[test]
fn a_step_outlives_the_process() {
    let (folder, ledger) = ledger();
    assert_eq!((ledger.watch().unwrap(), ledger.places().unwrap()), (None, Vec::new()));
    step(&ledger, 1);
    step(&ledger, 2);
    let told = all(&ledger);
    drop(ledger);
    let again = Ledger::open(folder.path()).unwrap();
    assert_eq!(all(&again), told);
    assert_eq!(again.places().unwrap(), [("log:main".into(), "{\"offset\":2}".into())]);
    assert!(again.watch().unwrap().unwrap().starts_with("state 2 x"));
}

#[test]
fn a_step_that_fails_leaves_everything_as_it_was() {
    let (_folder, ledger) = ledger();
    step(&ledger, 1);
    let told = all(&ledger);
    let places = [("log:main".to_owned(), "further".to_owned())];
    let storms = [event(1, Change::Ended, 9, 9), event(u64::MAX, Change::Started, 9, 9)];
    let owed = [Due::Words("lost".into())];
    let step = Step { places: &places, watch: Some("new"), storms: &storms, owed: &owed };
    let why = ledger.record(&step).unwrap_err().to_string();
    assert!(why.contains("cannot be kept"), "{why}");
    assert_eq!(all(&ledger), told);
    // What SQLite itself refuses, too.
    let refused = ledger.write(|tx| {
        tx.execute("DELETE FROM storm", [])?;
        tx.execute("INSERT INTO watch (one, state) VALUES (2, '')", [])?;
        Ok(())
    });
    assert!(refused.is_err());
    assert_eq!(all(&ledger), told);
}

/// A power cut leaves the write-ahead log torn at any byte. What is read then is the ledger after some
/// whole step.
#[test]
fn a_write_that_was_torn_is_a_step_that_never_was() {
    let (folder, ledger) = ledger();
    let mut states = vec![all(&ledger)];
    for round in 1..4 {
        step(&ledger, round);
        states.push(all(&ledger));
    }
    let main = fs::read(folder.path().join(FILE)).unwrap();
    let log = fs::read(folder.path().join("ledger.sqlite-wal")).unwrap();
    let mut seen = vec![0; states.len()];
    for cut in (0..=log.len()).step_by(2039).chain([log.len()]) {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join(FILE), &main).unwrap();
        fs::write(torn.path().join("ledger.sqlite-wal"), &log[..cut]).unwrap();
        let torn = Ledger::open(torn.path()).unwrap();
        let told = all(&torn);
        let state = states.iter().position(|state| *state == told);
        seen[state.unwrap_or_else(|| panic!("torn at {cut}: {told}"))] += 1;
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn a_terminal_reads_and_mutes_beside_the_bot() {
    let (folder, bot) = ledger();
    let terminal = Ledger::open(folder.path()).unwrap();
    step(&bot, 1);
    assert_eq!(all(&terminal), all(&bot));
    let mute = Mute { what: Muted::Storm(1), until: at(60), by: "terminal".into() };
    terminal.mute(&mute).unwrap();
    assert_eq!(bot.mutes(at(0)).unwrap(), [mute]);
    // Both at once, each waiting for the other.
    std::thread::scope(|scope| {
        scope.spawn(|| (2..40).for_each(|round| step(&bot, round)));
        for second in 0..40 {
            let by = "terminal".to_owned();
            let mute = Mute { what: Muted::All, until: at(1000 + second), by };
            terminal.mute(&mute).unwrap();
            let storms = terminal.storms(5000).unwrap();
            let rounds = storms.iter().find(|one| one.event.storm == 1).unwrap().event.count;
            assert_eq!(storms.len() as u64, rounds + 1, "half a step was seen");
        }
    });
    assert_eq!(bot.storms(5000).unwrap().len(), 40);
    drop(terminal);
    step(&bot, 40);
}

#[test]
fn a_storm_from_its_start_to_its_end_and_back() {
    let (_folder, ledger) = ledger();
    let room = room_id!("!ops:example.org");
    let root = event_id!("$root");
    storms(&ledger, &[event(7, Change::Started, 5, 3)]);
    ledger.judged(7, "otk-recreated", &Confirmation::Unconfirmed("no database".into())).unwrap();
    ledger.judged(7, "otk-recreated", &Confirmation::Confirmed).unwrap();
    ledger.rooted(7, room, root).unwrap();
    storms(&ledger, &[event(7, Change::Worse, 60, 40), event(7, Change::Ended, 900, 41)]);
    let known = ledger.storm(7).unwrap().unwrap();
    assert_eq!((known.started, known.ended), (at(5), Some(at(900))));
    assert_eq!(known.event, event(7, Change::Ended, 900, 41));
    assert_eq!(known.verdict.as_deref(), Some("otk-recreated"));
    assert_eq!(known.sure, Some(Confirmation::Confirmed));
    assert_eq!(known.root, Some((room.to_owned(), root.to_owned())));
    assert_eq!(ledger.storm_of(root).unwrap(), Some(7));
    storms(&ledger, &[event(7, Change::Resumed, 1200, 42)]);
    let known = ledger.storm(7).unwrap().unwrap();
    assert_eq!((known.ended, known.event.count), (None, 42));
    assert!(known.root.is_some(), "its thread was lost");
    // The watch's state was lost, and it counts from one again.
    let anew = Event { first: at(5000), ..event(7, Change::Started, 5005, 3) };
    storms(&ledger, std::slice::from_ref(&anew));
    let known = ledger.storm(7).unwrap().unwrap();
    assert_eq!((known.event, known.started, known.root), (anew, at(5005), None));
    assert_eq!((known.verdict, known.sure), (None, None));
}

#[test]
fn a_storm_that_is_not_known_is_no_fault() {
    let (_folder, ledger) = ledger();
    for number in [0, 7, u64::MAX] {
        ledger.judged(number, "otk-recreated", &Confirmation::Confirmed).unwrap();
        ledger.rooted(number, room_id!("!ops:example.org"), event_id!("$root")).unwrap();
        assert_eq!(ledger.storm(number).unwrap(), None);
    }
    assert_eq!(ledger.storm_of(event_id!("$root")).unwrap(), None);
    ledger.compose(3, "text").unwrap();
    ledger.settle(3).unwrap();
}

#[test]
fn the_newest_thousand_storms_are_kept() {
    let (_folder, ledger) = ledger();
    let events: Vec<_> = (1..=1010).map(|n| event(n, Change::Started, 0, 3)).collect();
    storms(&ledger, &events);
    assert_eq!(ledger.storm(10).unwrap(), None);
    assert!(ledger.storm(11).unwrap().is_some());
    let newest: Vec<_> = ledger.storms(3).unwrap().iter().map(|one| one.event.storm).collect();
    assert_eq!(newest, [1010, 1009, 1008]);
    assert_eq!(ledger.storms(usize::MAX).unwrap().len(), 1000);
}

#[test]
fn what_clients_wrote_comes_back_as_it_was() {
    let (folder, ledger) = ledger();
    let hostile = "D'); DROP TABLE storm; --\u{0}\u{1b}[2J\"\u{202e}\n%s ?1 :a \u{1f600}";
    // No user ID has a colon or a NUL in its first part.
    let user = format!("@{}:x", hostile.replace([':', '\0'], "")).try_into().unwrap();
    let device = Whose::Device { user, device: hostile.into() };
    let started =
        Event { whose: device, trigger: hostile.into(), ..event(1, Change::Started, 0, 3) };
    let places = [(hostile.to_owned(), hostile.to_owned())];
    let owed = [Due::Words(hostile.into()), Due::Storm(started.clone())];
    let storms = [started.clone()];
    let step = Step { places: &places, watch: Some(hostile), storms: &storms, owed: &owed };
    ledger.record(&step).unwrap();
    ledger.judged(1, hostile, &Confirmation::Contradicted(hostile.into())).unwrap();
    ledger.compose(1, hostile).unwrap();
    let user = user_id!("@o'brien\"--:example.org").to_owned();
    let mute = Mute { what: Muted::User(user), until: at(60), by: hostile.into() };
    ledger.mute(&mute).unwrap();
    drop(ledger);
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.places().unwrap(), places);
    assert_eq!(ledger.watch().unwrap().as_deref(), Some(hostile));
    let known = ledger.storm(1).unwrap().unwrap();
    assert_eq!((known.event, known.verdict.as_deref()), (started, Some(hostile)));
    assert_eq!(known.sure, Some(Confirmation::Contradicted(hostile.into())));
    let due = ledger.owed().unwrap();
    assert_eq!(due.iter().map(|one| one.due.clone()).collect::<Vec<_>>(), owed);
    assert_eq!(due[0].text.as_deref(), Some(hostile));
    assert_eq!(ledger.mutes(at(0)).unwrap(), std::slice::from_ref(&mute));
    assert!(ledger.unmute(&mute.what).unwrap());
}

#[test]
fn what_is_due_is_sent_in_order_and_once() {
    let (folder, ledger) = ledger();
    let words = |text: &str| Due::Words(text.into());
    let ids = |ledger: &Ledger| -> Vec<_> {
        ledger.owed().unwrap().into_iter().map(|one| (one.id, one.text)).collect()
    };
    let first = [words("a"), words("b")];
    ledger.record(&Step { owed: &first, ..Step::default() }).unwrap();
    ledger.compose(2, "as it will be sent").unwrap();
    let composed = Some("as it will be sent".to_owned());
    assert_eq!(ids(&ledger), [(1, None), (2, composed.clone())]);
    ledger.settle(2).unwrap();
    ledger.settle(1).unwrap();
    ledger.settle(1).unwrap();
    assert!(ids(&ledger).is_empty());
    drop(ledger);
    // A number that was given is not given again: a transaction id may be made of it.
    let ledger = Ledger::open(folder.path()).unwrap();
    ledger.record(&Step { owed: &[words("c")], ..Step::default() }).unwrap();
    assert_eq!(ids(&ledger), [(3, None)]);
}

#[test]
fn mutes_end() {
    let (_folder, ledger) = ledger();
    let mute = |what, second| Mute { what, until: at(second), by: "@op:example.org".into() };
    let user = || Muted::User(user_id!("@a:example.org").to_owned());
    ledger.mute(&mute(Muted::All, 10)).unwrap();
    ledger.mute(&mute(user(), 90)).unwrap();
    ledger.mute(&mute(Muted::Storm(3), 20)).unwrap();
    // Said again: the later word holds, though it is shorter.
    ledger.mute(&mute(user(), 30)).unwrap();
    let what = |second| -> Vec<_> {
        ledger.mutes(at(second)).unwrap().into_iter().map(|mute| mute.what).collect()
    };
    assert_eq!(what(0), [Muted::All, Muted::Storm(3), user()]);
    assert_eq!(what(10), [Muted::Storm(3), user()]);
    assert_eq!(what(0), [Muted::Storm(3), user()], "it was not forgotten");
    assert!(!ledger.unmute(&Muted::All).unwrap());
    assert!(ledger.unmute(&Muted::Storm(3)).unwrap());
    assert_eq!(ledger.unmute_everything().unwrap(), 1);
    assert!(what(0).is_empty());
}

/// `cargo test --lib -- --ignored --nocapture how_long`: a figure, no test.
#[test]
#[ignore = "a figure for a person to read"]
fn how_long_a_step_takes() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    for kilobytes in [1, 100, 4000] {
        let mut times = Vec::new();
        for round in 0..200 {
            // Another state each time: SQLite writes no page that stays as it was.
            let state = char::from(b'0' + (round % 10) as u8).to_string().repeat(kilobytes << 10);
            let storms = [event(1 + round, Change::Started, 0, 3)];
            let owed = [Due::Storm(storms[0].clone())];
            let watch = Some(state.as_str());
            let places = &[("log".into(), round.to_string())];
            let step = Step { places, watch, storms: &storms, owed: &owed };
            #[expect(clippy::disallowed_methods)]
            let began = std::time::Instant::now();
            ledger.record(&step).unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        println!("{kilobytes} KiB: median {:?}, slowest {:?}", times[100], times[199]);
    }
}
