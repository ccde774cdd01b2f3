//! Recorded cases of KE-2, each with one thing changed → the verdict that is left. Above all: what proves
//! no more must not be called proven, and an empty inbox is no verdict.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use kestrel_core::diagnose::chain::{Branch, ChainPlace, chain};
use kestrel_core::diagnose::{Certainty, Verdict, diagnose};
use kestrel_core::evidence::client::Sign;
use kestrel_core::evidence::delay::Delayed;
use kestrel_core::evidence::key_log::Span;
use kestrel_core::evidence::to_device::{Again, Inbox, Live, ToDeviceLog};
use kestrel_core::evidence::visibility::{Logger, Visibility};
use kestrel_core::evidence::{ClientFacts, Evidence, Fact, Need, State, Symptom};

fn case(name: &str) -> Evidence {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = fs::read_to_string(file.join("evidence.json")).expect("the case is recorded");
    serde_json::from_str(&text).expect("evidence")
}

fn bend(evidence: &mut Evidence, mut change: impl FnMut(&mut Fact)) {
    evidence.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut()).for_each(&mut change);
}

fn bend_inbox(evidence: &mut Evidence, change: impl Fn(&mut Inbox)) {
    bend(evidence, |fact| {
        if let Fact::Inbox(inbox) = fact {
            change(inbox);
        }
    });
}

fn bend_log(evidence: &mut Evidence, change: impl Fn(&mut ToDeviceLog)) {
    bend(evidence, |fact| {
        if let Fact::ToDeviceLog(log) = fact {
            change(log);
        }
    });
}

fn bend_client(evidence: &mut Evidence, change: impl Fn(&mut ClientFacts)) {
    bend(evidence, |fact| {
        if let Fact::Client(client) = fact {
            change(client);
        }
    });
}

/// As if KE-1 had seen nothing.
fn calm(evidence: &mut Evidence) {
    bend(evidence, |fact| {
        if let Fact::KeyLog(log) = fact {
            log.refused.clear();
            log.doubtful.clear();
            log.unattributed = 0;
        }
    });
}

fn empty(evidence: &mut Evidence, need: Need) {
    for answer in evidence.gathered.iter_mut().filter(|answer| answer.need == need) {
        (answer.fact, answer.state) = (None, State::Empty);
    }
}

fn says(evidence: &Evidence) -> (&'static str, Certainty) {
    let verdict = diagnose(evidence);
    (verdict.id.name(), verdict.certainty)
}

fn missing(verdict: &Verdict) -> String {
    verdict.missing.iter().map(|missing| format!("{}: {}\n", missing.need, missing.how)).collect()
}

const NOTHING: (&str, Certainty) = ("inconclusive", Certainty::NotEnoughEvidence);

#[test]
fn one_stray_message_proves_no_dead_identity() {
    let mut evidence = case("ke2--media-dead-identity--mixed");
    assert_eq!(says(&evidence), ("media-dead-identity", Certainty::Consistent));
    let mut right = case("ke2--media-dead-identity--mixed");
    bend_inbox(&mut right, |inbox| {
        let sender = inbox.rows[0].sender.clone();
        inbox.rows.retain(|row| row.sender == sender);
    });
    assert_eq!(says(&right), ("media-dead-identity", Certainty::Proven));
    calm(&mut evidence);
    assert_eq!(says(&evidence), ("media-dead-identity", Certainty::Consistent));
    // Without the device's own key nothing tells for whom a message is.
    bend(&mut evidence, |fact| {
        if let Fact::DeviceKeys(keys) = fact {
            keys.curve25519 = None;
        }
    });
    assert_eq!(says(&evidence), NOTHING);
}

/// A stranger's messages for a key that he made up, to a device with nothing wrong.
fn junk(senders: &[&str]) -> Evidence {
    let mut evidence = case("ke2--media-validation--healthy");
    let mut rows = Vec::new();
    bend(&mut case("ke2--media-dead-identity--evicted"), |fact| {
        if let Fact::Inbox(inbox) = fact {
            rows = inbox.rows.clone();
        }
    });
    rows.truncate(senders.len());
    for (row, sender) in rows.iter_mut().zip(senders) {
        row.sender = Some((*sender).to_owned());
    }
    bend_inbox(&mut evidence, |inbox| inbox.rows.clone_from(&rows));
    evidence
}

#[test]
fn what_one_sender_made_up_proves_no_dead_identity() {
    for senders in [
        &["@eve:lab.local"][..],
        &["@eve:lab.local", "@eve:lab.local"],
        &["@eve:evil.org", "@adam:evil.org"],
    ] {
        let verdict = diagnose(&junk(senders));
        assert_eq!(verdict.id.name(), "media-dead-identity");
        assert_eq!(verdict.certainty, Certainty::Consistent, "{senders:?}");
        assert!(missing(&verdict).contains("a single sender"), "{}", missing(&verdict));
    }
    let agreed = junk(&["@bob:lab.local", "@carol:lab.local"]);
    assert_eq!(says(&agreed), ("media-dead-identity", Certainty::Proven));
}

#[test]
fn a_device_that_came_back_is_not_stale() {
    let name = "ke2--media-stale-device--json-blind";
    assert_eq!(says(&case(name)), ("media-stale-device", Certainty::Proven));
    let mut evidence = case(name);
    let now = evidence.now;
    bend_log(&mut evidence, |log| log.stored = Some(Span::once(now)));
    assert_eq!(says(&evidence), NOTHING);
    let mut evidence = case(name);
    bend(&mut evidence, |fact| {
        if let Fact::KeyLog(log) = fact {
            log.accepted.uploads = Some(Span::once(now));
        }
    });
    assert_eq!(says(&evidence), NOTHING);
}

#[test]
fn a_made_up_identity_follows_from_no_other_trouble() {
    let mut evidence = junk(&["@eve:lab.local"]);
    evidence.symptom = Symptom::All;
    bend(&mut evidence, |fact| {
        if let Fact::OneTimeKeys(keys) = fact {
            keys.total = 900;
        }
    });
    let chain = chain(&evidence);
    let places: Vec<_> = chain.branches.iter().map(|branch| branch.verdict.id.name()).collect();
    let follows =
        |branch: &Branch| matches!(branch.place, ChainPlace::Follows(_) | ChainPlace::Root);
    assert!(places.contains(&"otk-flood") && places.contains(&"media-dead-identity"), "{places:?}");
    assert!(!chain.branches.iter().any(follows), "{places:?}");
}

#[test]
fn a_healthy_device_has_a_verdict_though_calls_stay_open() {
    let mut evidence = case("ke1--otk-healthy--healthy");
    evidence.symptom = Symptom::All;
    let chain = chain(&evidence);
    assert_eq!(chain.first().id.name(), "otk-healthy");
    assert_eq!(diagnose(&evidence).certainty, Certainty::Consistent);
}

#[test]
fn timeouts_of_another_day_are_no_trouble_of_this_one() {
    let mut evidence = case("ke4--delay-client--report");
    assert_eq!(says(&evidence), ("delay-client", Certainty::Consistent));
    bend_client(&mut evidence, |client| {
        let past = Timestamp::UNIX_EPOCH;
        client.span = Some((past, past));
        client.signs.iter_mut().for_each(|noted| noted.span = Some((past, past)));
    });
    assert_eq!(says(&evidence), ("delay-healthy", Certainty::Consistent));
}

#[test]
fn a_database_of_another_server_does_not_turn_delays_off() {
    let mut evidence = case("ke4--delay-healthy--calm");
    for answer in &mut evidence.gathered {
        if answer.need == Need::DelayedEvents {
            let absent = Delayed { absent: true, rows: Vec::new() };
            (answer.state, answer.fact) = (State::Found, Some(Fact::DelayedEvents(absent)));
        }
    }
    let verdict = diagnose(&evidence);
    assert_ne!(verdict.id.name(), "delay-off");
    assert!(verdict.findings.join(" ").contains("is it this server's database"));
}

#[test]
fn a_key_that_is_none_names_no_identity() {
    let mut evidence = case("ke2--media-dead-identity--evicted");
    bend_inbox(&mut evidence, |inbox| {
        inbox.rows.iter_mut().for_each(|row| row.recipients = vec!["<b>not a key</b>".into()]);
    });
    assert_eq!(says(&evidence), NOTHING);
    let mut evidence = case("ke2--media-dead-identity--evicted");
    bend_inbox(&mut evidence, |inbox| {
        inbox.rows.iter_mut().for_each(|row| row.kind = Some("m.room_key_request".into()));
    });
    assert_eq!(says(&evidence), NOTHING);
}

#[test]
fn an_empty_inbox_is_no_verdict() {
    let mut evidence = case("ke2--media-not-drained--away");
    empty(&mut evidence, Need::Inbox);
    assert_eq!(says(&evidence), NOTHING);
    bend_log(&mut evidence, |log| log.debug = true);
    let verdict = diagnose(&evidence);
    assert_eq!(verdict.id.name(), "inconclusive");
    let missing = missing(&verdict);
    assert!(missing.contains("live 60s") && missing.contains("report"), "{missing}");
    assert!(!missing.contains("9533_debug"), "{missing}");
    for quiet in ["not sent", "healthy"] {
        assert!(verdict.because.iter().all(|why| !why.contains(quiet)), "{quiet}");
    }
}

#[test]
fn a_backlog_that_does_not_grow_is_no_verdict() {
    let name = "ke2--media-not-drained--away";
    let again = |came, stands| Some(Again { after: 2000, came, stands });
    for (change, expected) in [(again(0, true), false), (again(5, false), false), (None, false)] {
        let mut evidence = case(name);
        bend_inbox(&mut evidence, |inbox| inbox.again = change);
        assert_eq!(says(&evidence).0 == "media-not-drained", expected, "{change:?}");
    }
    let mut evidence = case(name);
    bend(&mut evidence, |fact| {
        if let Fact::Dehydrated(dehydrated) = fact {
            *dehydrated = true;
        }
    });
    assert_eq!(says(&evidence), NOTHING);
    // A device that was just seen: only a minute of watching tells that it fetches nothing.
    let mut evidence = case(name);
    let now = evidence.now;
    bend(&mut evidence, |fact| {
        if let Fact::Devices(rows) = fact {
            rows.iter_mut().for_each(|row| row.last_seen = Some(now));
        }
    });
    assert_eq!(says(&evidence), NOTHING);
    for (seconds, expected) in [(30, "inconclusive"), (60, "media-not-drained")] {
        let from = now - SignedDuration::from_secs(seconds);
        let live = Some(Live { from, to: now, polls: 50, clipped: false });
        bend_inbox(&mut evidence, |inbox| inbox.live = live);
        assert_eq!(says(&evidence).0, expected, "{seconds}");
    }
}

#[test]
fn drops_prove_only_where_nobody_can_forge_them() {
    let mut evidence = case("ke2--media-stale-device--json-blind");
    assert_eq!(says(&evidence), ("media-stale-device", Certainty::Proven));
    bend_log(&mut evidence, |log| log.dropped_in_text = true);
    assert_eq!(says(&evidence), ("media-stale-device", Certainty::Consistent));
    let mut evidence = case("ke2--media-stale-device--json");
    bend_log(&mut evidence, |log| log.dropped = None);
    // A saved case that was not searched for removals: the database alone decides.
    assert_eq!(says(&evidence), ("unknown-device", Certainty::Proven));
    bend(&mut evidence, |fact| {
        let Fact::KeyLog(log) = fact else { return };
        for part in &mut log.coverage {
            let loggers = Logger::ALL.to_vec();
            part.visible = Some(Visibility {
                info: part.span,
                wrote_info: true,
                loggers,
                ..Visibility::default()
            });
        }
    });
    // The log shows the device for some seconds only: a database that denies it may be late.
    assert_eq!(says(&evidence), ("unknown-device", Certainty::Consistent));
    evidence.now += SignedDuration::from_mins(1);
    assert_eq!(says(&evidence), ("unknown-device", Certainty::Proven));
    // The device is there again, and was sent something since: the drops are past.
    let mut evidence = case("ke2--media-stale-device--back");
    let now = evidence.now;
    bend_log(&mut evidence, |log| log.stored = Some(Span::once(now)));
    let verdict = diagnose(&evidence);
    assert_eq!((verdict.id.name(), verdict.certainty), NOTHING);
    assert!(verdict.findings.iter().any(|finding| finding.contains("came back at")));
}

#[test]
fn what_could_only_be_counted_asks_for_the_grants() {
    let mut evidence = case("ke2--media-dead-identity--evicted");
    for answer in evidence.gathered.iter_mut().filter(|answer| answer.need == Need::Inbox) {
        answer.state = State::Failed("run the SQL from `kestrel grants` again".into());
    }
    bend_inbox(&mut evidence, |inbox| {
        inbox.rows.clear();
        inbox.unread = true;
    });
    let verdict = diagnose(&evidence);
    assert_eq!((verdict.id.name(), verdict.certainty), NOTHING);
    assert!(verdict.figures.iter().any(|figure| figure.text.starts_with("3 undelivered")));
    assert!(missing(&verdict).contains("kestrel grants"), "{}", missing(&verdict));
}

#[test]
fn a_report_counts_for_its_own_device_and_time() {
    let other = |client: &mut ClientFacts| client.device = Some("ANOTHER".into());
    let long_ago = |client: &mut ClientFacts| {
        let then = Timestamp::UNIX_EPOCH;
        client.signs.iter_mut().for_each(|noted| noted.span = Some((then, then)));
    };
    for name in [
        "ke2--media-link-ke1--wedged",
        "ke2--media-sfu--silent",
        "ke2--media-validation--refused",
        "ke2--media-dead-identity--no-part",
    ] {
        assert_ne!(says(&case(name)), NOTHING, "{name}");
        let mut evidence = case(name);
        bend_client(&mut evidence, other);
        assert_eq!(says(&evidence), NOTHING, "{name}, of another device");
        let mut evidence = case(name);
        bend_client(&mut evidence, long_ago);
        assert_eq!(says(&evidence), NOTHING, "{name}, long ago");
    }
    let mut evidence = case("ke2--media-sfu--silent");
    bend_client(&mut evidence, |client| {
        let missing = client.signs[0].clone();
        client
            .signs
            .push(kestrel_core::evidence::client::Noted { sign: Sign::MissingMediaKey, ..missing });
    });
    assert_eq!(says(&evidence), NOTHING);
}
