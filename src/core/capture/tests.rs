//! Sessions as they happen, and as nobody would wish.

use jiff::{SignedDuration, Timestamp};
use ruma::{OwnedUserId, user_id};

use super::session::{MARK_TEXT, MOST_MARKS};
use super::*;
use crate::evidence::Window;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_763_820_000 + second).unwrap()
}

fn admin() -> OwnedUserId {
    user_id!("@admin:example.org").to_owned()
}

fn begin(minutes: i64) -> (Session, Vec<Effect>) {
    let asked = CaptureRequest {
        user: user_id!("@a:example.org").to_owned(),
        device: Some("DEV".into()),
        by: admin(),
        length: SignedDuration::from_mins(minutes),
    };
    Session::begin(asked, at(0))
}

fn mark(text: &str) -> Input {
    Input::Marked { text: text.into(), by: admin() }
}

fn tick(step: Step) -> Input {
    Input::Ticked { step, by: admin() }
}

fn round_trip(session: &Session) -> Session {
    serde_json::from_str(&serde_json::to_string(session).unwrap()).unwrap()
}

#[test]
fn it_begins_with_the_checklist_a_reminder_and_a_first_look() {
    let (session, effects) = begin(30);
    assert_eq!(
        effects,
        [
            Effect::Say(Said::Began),
            Effect::Remind(Reminder::RaiseLoggers),
            Effect::Poll,
            Effect::Sample
        ]
    );
    assert!(session.items.iter().all(|item| item.ticked.is_none()));
    assert_eq!(session.until, at(1800));
    assert_eq!(begin(0).0.until, at(60));
    assert_eq!(begin(10_000).0.until, at(4 * 3600));
}

#[test]
fn steps_are_ticked_once_by_whoever_did_them() {
    let (mut session, _) = begin(30);
    let effects = session.take(tick(Step::RaiseLoggers), at(0));
    assert_eq!(effects, [Effect::Tick(Step::RaiseLoggers)]);
    assert_eq!(session.take(tick(Step::RaiseLoggers), at(0)), []);
    assert_eq!(
        session.take(Input::Unticked(Step::RaiseLoggers), at(0)),
        [Effect::Tick(Step::RaiseLoggers)]
    );
    // Nobody ticks for the bot, and nobody unticks what it saw.
    assert_eq!(session.take(tick(Step::Inbox), at(0)), []);
    assert_eq!(session.take(Input::Polled, at(0)), [Effect::Tick(Step::Inbox)]);
    assert_eq!(session.take(Input::Unticked(Step::Inbox), at(0)), []);
    let received = Input::Received { name: "report.json".into(), step: Step::Report };
    assert_eq!(session.take(received, at(0)), [Effect::Tick(Step::Report)]);
    let ticked: Vec<_> =
        session.items.iter().filter(|item| item.ticked.is_some()).map(|item| item.step).collect();
    assert_eq!(ticked, [Step::Inbox, Step::Report]);
}

#[test]
fn marks_are_of_one_line_clipped_and_bounded() {
    let (mut session, _) = begin(30);
    let effects = session.take(mark(" audio\ncut\u{1b}[31m "), at(0));
    assert_eq!(effects, [Effect::Say(Said::Marked(1)), Effect::Tick(Step::Mark)]);
    assert_eq!(session.marks[0].text, "audio cut [31m");
    assert_eq!(session.marks[0].at, at(0));
    for _ in 0..MOST_MARKS + 5 {
        session.take(mark(&"ä".repeat(4000)), at(0));
    }
    assert_eq!(session.marks.len(), MOST_MARKS);
    assert_eq!(session.marks[1].text.chars().count(), MARK_TEXT);
    assert_eq!(session.take(mark("more"), at(0)), [Effect::Say(Said::MarksFull)]);
}

#[test]
fn it_looks_at_its_own_pace_however_often_it_is_told_the_time() {
    let (mut session, effects) = begin(30);
    let mut all = effects;
    for tenth in 0..600 {
        all.extend(session.take(Input::Clock, at(tenth / 10)));
    }
    let count = |effect: Effect| all.iter().filter(|one| **one == effect).count();
    assert_eq!((count(Effect::Poll), count(Effect::Sample)), (60, 4));
    // A long silence makes one look, not many.
    assert_eq!(session.take(Input::Clock, at(600)), [Effect::Poll, Effect::Sample]);
}

#[test]
fn a_stop_ends_it_once_and_the_bundle_is_the_last_thing() {
    let (mut session, _) = begin(30);
    session.take(mark("audio"), at(10));
    let effects = session.take(Input::Stopped { by: admin() }, at(60));
    assert_eq!(
        effects,
        [
            Effect::Say(Said::Ended(End::Stopped)),
            Effect::Remind(Reminder::RevertLoggers),
            Effect::Finish(End::Stopped)
        ]
    );
    assert_eq!(session.window(), Window { from: at(0), to: at(60) });
    assert_eq!(session.due(), None);
    for late in [mark("late"), Input::Stopped { by: admin() }] {
        assert_eq!(session.take(late, at(61)), [Effect::Say(Said::IsOver)]);
    }
    assert_eq!(session.take(Input::Clock, at(4000)), []);
    // A crash before the bundle stood: it is made again.
    let mut again = round_trip(&session);
    assert_eq!(again.take(Input::Restarted, at(4001)), [Effect::Finish(End::Stopped)]);
    assert_eq!(again.take(Input::Bundled, at(4002)), [Effect::Tick(Step::Bundle)]);
    assert!(again.is_done());
    assert_eq!(again.take(Input::Restarted, at(4003)), []);
    assert_eq!(
        again.take(tick(Step::RevertLoggers), at(4004)),
        [Effect::Tick(Step::RevertLoggers)]
    );
    assert_eq!(again.window(), session.window());
}

#[test]
fn at_its_length_it_ends_and_says_when_it_was_abandoned() {
    let (mut session, _) = begin(30);
    let soon = session.take(Input::Clock, at(1500));
    assert!(soon.contains(&Effect::Remind(Reminder::EndsSoon)), "{soon:?}");
    let mut touched = round_trip(&session);
    touched.take(tick(Step::Call), at(1501));
    for (mut session, end) in [(session, End::Abandoned), (touched, End::Length)] {
        let effects = session.take(mark("too late"), at(5000));
        assert_eq!(effects.first(), Some(&Effect::Say(Said::Ended(end))));
        assert_eq!(effects.last(), Some(&Effect::Finish(end)));
        // It ended when it was to end, whenever that was noticed.
        assert_eq!(session.ended, Some((at(1800), end)));
        assert!(session.marks.is_empty());
    }
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let (mut session, _) = begin(30);
    session.take(mark("audio"), at(10));
    session.take(Input::Place { source: "log:main".into(), position: "{}".into() }, at(11));
    session.take(Input::Clocks { source: "database".into(), millis: -1500 }, at(11));
    let mut again = round_trip(&session);
    assert_eq!(again, session);
    let effects = again.take(Input::Restarted, at(71));
    let away = SignedDuration::from_secs(60);
    assert_eq!(effects, [Effect::Say(Said::WentOn(away)), Effect::Poll, Effect::Sample]);
    assert_eq!(again.until, at(1800));
    assert_eq!(again.marks, session.marks);
    assert_eq!(again.notes.len(), 2);
}

#[test]
fn the_manifest_lists_every_file_by_its_hash() {
    let (mut session, _) = begin(30);
    let files = || {
        vec![BundledFile::from_content("ke1.json", b"{}"), BundledFile::from_content("a.log", b"")]
    };
    assert_eq!(Manifest::for_session(&session, "0.5.0", files()), None);
    session.take(mark("audio"), at(10));
    session.take(Input::Stopped { by: admin() }, at(60));
    let manifest = Manifest::for_session(&session, "0.5.0", files()).unwrap();
    let names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.log", "ke1.json"]);
    assert_eq!(manifest.files[0].length, 0);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(manifest.files[0].sha256, empty);
    let text = serde_json::to_string(&manifest).unwrap();
    assert_eq!(Manifest::read(&text).unwrap(), manifest);
    assert_eq!(manifest.check("ke1.json", b"{}"), Ok(()));
    assert!(manifest.check("ke1.json", b"{ }").unwrap_err().contains("changed or truncated"));
    assert!(manifest.check("other", b"").unwrap_err().contains("not listed"));
    let newer = text.replacen("\"schema\":1", "\"schema\":2", 1);
    assert!(Manifest::read(&newer).unwrap_err().contains("has schema 2"));
    assert!(Manifest::read("{").is_err());
    assert_eq!(folder_name("2026-11-22T09:05:07.9Z".parse().unwrap()), "2026-11-22T09-05-07Z");
}

/// Anything in any order, with clocks that stand, jump and go back, and a restart at any point.
#[test]
fn whatever_happens_it_ends_exactly_once() {
    // A linear congruential generator (Knuth): the sequences are the same in each run.
    let mut state = 5_u64;
    let mut dice = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % sides
    };
    for _ in 0..2000 {
        let (mut session, begun) = begin(dice(300) as i64);
        assert!(!begun.iter().any(|effect| matches!(effect, Effect::Finish(_))));
        let mut second = 0_i64;
        let mut ends = 0;
        let mut finishes = 0;
        let mut restarts = 0;
        for _ in 0..dice(80) {
            second += [0, 0, 1, 2, 60, 900, -500][dice(7) as usize];
            let step = Step::ALL[dice(14) as usize];
            let input = match dice(40) {
                0 => Input::Stopped { by: admin() },
                1 => Input::Bundled,
                2..=4 => Input::Restarted,
                5..=10 => mark("x\u{202e}"),
                11..=15 => tick(step),
                16..=18 => Input::Unticked(step),
                19..=21 => Input::Place { source: "log".into(), position: "p".into() },
                22..=24 => Input::Clocks { source: "db".into(), millis: i64::MIN },
                25..=27 => Input::Received { name: "f".into(), step },
                28..=30 => Input::Polled,
                31..=33 => Input::Sampled,
                _ => Input::Clock,
            };
            restarts += usize::from(input == Input::Restarted);
            let mut twin = round_trip(&session);
            assert_eq!(twin, session);
            let effects = session.take(input.clone(), at(second));
            assert_eq!(twin.take(input, at(second)), effects);
            ends += effects.iter().filter(|e| matches!(e, Effect::Say(Said::Ended(_)))).count();
            finishes += effects.iter().filter(|e| matches!(e, Effect::Finish(_))).count();
            assert_eq!(session.is_over(), ends == 1);
            assert!(ends <= 1 && finishes <= ends + restarts);
            let window = session.window();
            assert!(window.from <= window.to && window.to <= session.until);
            session = twin;
        }
        // Left alone, it ends by itself.
        let mut turns = 0;
        while let Some(due) = session.due() {
            let effects = session.take(Input::Clock, due.max(session.until));
            ends += effects.iter().filter(|e| matches!(e, Effect::Say(Said::Ended(_)))).count();
            turns += 1;
            assert!(turns < 3);
        }
        assert_eq!(ends, 1);
        assert!(session.is_over() && session.due().is_none());
    }
}
