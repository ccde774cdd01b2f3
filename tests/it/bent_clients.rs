//! Recorded cases with a client's own file put beside them → where the two meet, and where they do not: a
//! client's word alone never proves, and is never more than its own.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use kestrel_core::client_files;
use kestrel_core::diagnose::{Certainty, Verdict, diagnose};
use kestrel_core::evidence::client::{ClientDelays, ClientRefusal, DelayMinute, Noted, Sign, Skew};
use kestrel_core::evidence::client_file::Limits;
use kestrel_core::evidence::delay::{DelayLog, Minute};
use kestrel_core::evidence::key_log::Refused;
use kestrel_core::evidence::{ClientFacts, Evidence, Fact, Gathered, KeyLog, KeyView, Need, State};

fn case(name: &str) -> Evidence {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = fs::read_to_string(file.join("evidence.json")).expect("the case is recorded");
    serde_json::from_str(&text).expect("evidence")
}

fn fixture(name: &str) -> ClientFacts {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/client").join(name);
    let bytes = fs::read(file).expect("a fixture");
    let mut parcel = client_files::take_in(name, &bytes, &Limits::default()).expect("it is read");
    parcel.artefacts.remove(0).facts
}

/// The file of the user asked about.
fn beside(evidence: &Evidence, facts: ClientFacts) -> Evidence {
    let user = evidence.subject.user().map(|user| user.to_string());
    let device = evidence.device().map(|subject| subject.device.to_string());
    let mut evidence = evidence.clone();
    evidence.gathered.retain(|answer| answer.need != Need::Client);
    evidence.gathered.push(Gathered::client("file", ClientFacts { user, device, ..facts }));
    evidence
}

/// As if no log had been given.
fn without_log(evidence: &mut Evidence) {
    for answer in evidence.gathered.iter_mut().filter(|one| Need::OF_LOGS.contains(&one.need)) {
        answer.state = State::NotAsked("no log is configured".into());
        answer.fact = None;
    }
}

fn key_log(evidence: &mut Evidence) -> &mut KeyLog {
    let mut facts = evidence.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut());
    let log = facts.find_map(|fact| match fact {
        Fact::KeyLog(log) => Some(&mut **log),
        _ => None,
    });
    log.expect("a log of keys")
}

fn delay_log(evidence: &mut Evidence) -> &mut DelayLog {
    let mut facts = evidence.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut());
    let log = facts.find_map(|fact| match fact {
        Fact::DelayLog(log) => Some(&mut **log),
        _ => None,
    });
    log.expect("a log of delays")
}

fn says(verdict: &Verdict) -> (&'static str, Certainty) {
    (verdict.id.name(), verdict.certainty)
}

const NOTHING: (&str, Certainty) = ("inconclusive", Certainty::NotEnoughEvidence);

/// What a client saw of the log's first refusal, so many times.
fn seen(refused: &Refused, times: u64) -> ClientFacts {
    let (key, old, new) = (refused.key.clone(), refused.old.clone(), refused.new.clone());
    let refusal = ClientRefusal::once(key, old, new);
    let refusal = ClientRefusal { at: Some(refused.span.first), again: times - 1, ..refusal };
    ClientFacts { refused: vec![refusal], ..ClientFacts::default() }
}

#[test]
fn refusals_that_a_client_saw_count_where_the_database_holds_the_key() {
    let mut evidence = case("ke1--otk-same-account--twice");
    let refused = key_log(&mut evidence).refused[0].clone();
    without_log(&mut evidence);
    assert_eq!(says(&diagnose(&evidence)), NOTHING);
    let verdict = diagnose(&beside(&evidence, seen(&refused, 3)));
    assert_eq!(says(&verdict), ("otk-same-account", Certainty::Consistent));
    let because = verdict.because.join("; ");
    assert!(because.contains("is exactly the key in the database"), "{because}");
    assert!(verdict.missing.iter().any(|missing| missing.need == "the Synapse log"));
    // Once may be a race; another key in the way, or another user's word, is nothing.
    assert_eq!(says(&diagnose(&beside(&evidence, seen(&refused, 1)))), NOTHING);
    let mut forged = seen(&refused, 3);
    forged.refused[0].old = KeyView::from_raw("made up".into());
    assert_eq!(says(&diagnose(&beside(&evidence, forged))), NOTHING);
    let mut evidence = beside(&evidence, seen(&refused, 3));
    for fact in evidence.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut()) {
        if let Fact::Client(client) = fact {
            client.user = Some("@somebody:else".into());
        }
    }
    assert_eq!(says(&diagnose(&evidence)), NOTHING);
}

#[test]
fn two_files_of_one_client_do_not_count_a_refusal_twice() {
    let mut evidence = case("ke1--otk-same-account--twice");
    let refused = key_log(&mut evidence).refused[0].clone();
    without_log(&mut evidence);
    let mut both = beside(&evidence, seen(&refused, 1));
    let again = beside(&evidence, seen(&refused, 1)).gathered.pop().expect("the file");
    both.gathered.push(again);
    assert_eq!(says(&diagnose(&both)), NOTHING);
}

#[test]
fn a_client_that_saw_what_the_log_has_changes_no_verdict_and_is_told() {
    for name in ["ke1--otk-recreated--evict", "ke1--otk-same-account--twice"] {
        let mut evidence = case(name);
        let alone = diagnose(&evidence);
        let refused = key_log(&mut evidence).refused[0].clone();
        let with = diagnose(&beside(&evidence, seen(&refused, 9)));
        assert_eq!(says(&with), says(&alone), "{name}");
        let storms = (with.storm.map(|it| it.span.count), alone.storm.map(|it| it.span.count));
        assert_eq!(storms.0, storms.1, "{name}");
        let because = with.because.join("; ");
        assert!(because.contains("shows the same rejected upload as the log"), "{because}");
    }
}

#[test]
fn the_key_that_a_client_lacks_is_the_key_in_the_way() {
    let mut evidence = case("ke2--media-link-ke1--lacks-key");
    let key = "AFsahSIymiovxLK51iwjxJ0ggk1znOnwjiCLBfLePng";
    let lacks = |key: &str| {
        let key = Some(key.to_owned());
        let noted = Noted { sign: Sign::MissingOneTimeKey, count: 4, span: None, key };
        ClientFacts { signs: vec![noted], ..ClientFacts::default() }
    };
    let other = diagnose(&beside(&evidence, lacks(key)));
    assert_eq!(says(&other), ("media-link-ke1", Certainty::Consistent));
    assert!(!other.because.join("; ").contains("is exactly the key"));
    for refused in &mut key_log(&mut evidence).refused {
        let check = refused.old.check;
        refused.old = KeyView::from_raw(serde_json::json!({"key": key, "signatures": {}}));
        refused.old.check = check;
    }
    let met = diagnose(&beside(&evidence, lacks(key)));
    assert_eq!(says(&met), ("media-link-ke1", Certainty::Consistent));
    let because = met.because.join("; ");
    assert!(
        because.contains("the one-time key that it does not have, AFsahSIy…, is exactly the key"),
        "{because}"
    );
}

/// Timeouts in one minute, by a clock that is so much ahead.
fn timed_out(minute: Timestamp, ahead: i64) -> ClientFacts {
    let ahead_of = minute.checked_add(SignedDuration::from_millis(ahead)).expect("a time");
    let delays = ClientDelays { count: 9, timed_out: 3, refused: 0, gone: 0, slowest: 3.5 };
    let late = DelayMinute { at: ahead_of, count: 9, timed_out: 3, refused: 0, slowest: 3.5 };
    ClientFacts {
        delays: Some(delays),
        minutes: vec![late],
        skew: Some(Skew { millis: ahead, pairs: 40, spread: 100 }),
        ..ClientFacts::default()
    }
}

#[test]
fn the_client_is_blamed_only_where_the_server_was_fast_in_its_minutes() {
    let mut evidence = case("ke4--delay-client--report");
    let log = delay_log(&mut evidence);
    let (first, last) = log.coverage[0].span.expect("a span");
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second() / 60 * 60).expect("a time");
    let (before, at) = (whole(first), whole(last));
    assert!(before < at, "{before} {at}");
    let minute = |at, slow, longest| Minute { at, count: 5, slow, longest };
    log.minutes = vec![minute(before, 0, 9), minute(at, 0, 14)];
    log.stalls.clear();
    let verdict = diagnose(&beside(&evidence, timed_out(at, 90_000)));
    assert_eq!(says(&verdict), ("delay-client", Certainty::Consistent));
    let because = verdict.because.join("; ");
    assert!(because.contains("the server's longest restart took 14 ms"), "{because}");
    assert!(because.contains("the client's clock is 90.0 s ahead"), "{because}");
    // In a minute that the log does not have, nobody knows.
    let far = at.checked_add(SignedDuration::from_hours(-3)).expect("a time");
    let verdict = diagnose(&beside(&evidence, timed_out(far, 0)));
    assert_eq!(says(&verdict), NOTHING);
    let how = &verdict.missing[0].how;
    assert!(how.contains("Synapse's log of 2026-11-22"), "{how}");
    // A minute without any restart: they did not arrive.
    delay_log(&mut evidence).minutes = vec![minute(far, 0, 9)];
    assert_eq!(says(&diagnose(&beside(&evidence, timed_out(at, 0)))), NOTHING);
}

#[test]
fn slow_restarts_of_nobody_known_meet_a_client_s_timeouts() {
    let mut evidence = case("ke4--delay-client--report");
    let log = delay_log(&mut evidence);
    let (_, last) = log.coverage[0].span.expect("a span");
    let at = Timestamp::from_second(last.as_second() / 60 * 60).expect("a time");
    log.minutes = vec![Minute { at, count: 5, slow: 2, longest: 4010 }];
    // The user's own restarts were fast meanwhile: it is not the homeserver.
    let verdict = diagnose(&beside(&evidence, timed_out(at, 0)));
    assert_eq!(says(&verdict), ("delay-client", Certainty::Consistent));
    let findings = verdict.findings.join("; ");
    assert!(findings.contains("2 restarts, counting all users, took 2 s or longer"), "{findings}");
    // None is known to be the user's: two witnesses of one minute fit, and prove nothing.
    let log = delay_log(&mut evidence);
    log.handled.clear();
    log.stalls.clear();
    let verdict = diagnose(&beside(&evidence, timed_out(at, 0)));
    assert_eq!(says(&verdict), ("delay-homeserver-slow", Certainty::Consistent));
    let hours_before = at.checked_add(SignedDuration::from_hours(-2)).expect("a time");
    let verdict = diagnose(&beside(&evidence, timed_out(hours_before, 0)));
    assert_eq!(says(&verdict), NOTHING);
}

#[test]
fn without_a_log_the_minutes_to_fetch_are_named() {
    let mut evidence = case("ke4--delay-client--report");
    without_log(&mut evidence);
    let at: Timestamp = "2026-11-22T11:51:00Z".parse().expect("a time");
    let verdict = diagnose(&beside(&evidence, timed_out(at, 1200)));
    assert_eq!(says(&verdict), NOTHING);
    let how = verdict.missing.iter().find(|missing| missing.need == "the log").expect("the log");
    let wanted =
        "Synapse's log of 2026-11-22 11:51 to 11:52 UTC; the client's clock is 1.2 s ahead";
    assert!(how.how.starts_with(wanted), "{}", how.how);
}

#[test]
fn refusals_of_a_real_client_are_counted_by_their_moments() {
    let native = fixture("rust-sdk.log");
    assert_eq!(native.count(Sign::AlreadyExists), 6);
    let [refusal] = &native.refused[..] else { panic!("{:?}", native.refused) };
    assert_eq!(refusal.again, 5);
    assert!(refusal.last > refusal.at);
    // A browser's console has no times: its lines may be of one refusal.
    let console = fixture("console.log");
    assert!(console.refused.iter().all(|refusal| refusal.again == 0));
}
