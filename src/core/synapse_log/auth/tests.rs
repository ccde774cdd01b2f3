//! Real lines of servers with Matrix Authentication Service, up and down, and lines that only look like it.

use jiff::Timestamp;

use crate::carriers::Wrappings;
use crate::evidence::auth::{AuthLog, By};
use crate::evidence::key_log::Format;
use crate::evidence::log_event::{Delay, What};
use crate::evidence::{About, Subject, Window};
use crate::synapse_log::attribution::Attribution;
use crate::synapse_log::auth::AuthTally;
use crate::synapse_log::readers::Readers;
use crate::synapse_log::record::{Record, Stamp};
use crate::synapse_log::record_view::RecordView;
use crate::synapse_log::zone::Clock;

const DOWN: &str = include_str!("../../../../tests/fixtures/log/mas-down.log");
const REMOVAL: &str = include_str!("../../../../tests/fixtures/log/mas-removal.log");
const TERSE: &str = include_str!("../../../../tests/fixtures/log/mas.jsonl");
const LEGACY: &str = include_str!("../../../../tests/fixtures/log/mas-legacy.log");

fn read(text: &str, user: &str, device: &str, reach: bool) -> AuthLog {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let subject = Subject { user: user.try_into().unwrap(), device: device.into() };
    let mut tally = AuthTally::new(&About::Device(subject), window);
    for line in text.lines() {
        let Some(record) = Record::parse(line) else { continue };
        let (Stamp::Local(at) | Stamp::Utc(at)) = record.stamp else { continue };
        let at = Timestamp::from_millisecond(at).unwrap();
        let line = line.as_bytes();
        let format = record.format;
        tally.see(&RecordView { line, at, process: 0, reach, forged: false, format });
    }
    tally.finish(Vec::new())
}

fn log(text: &str) -> AuthLog {
    read(text, "@gus:quay.example", "cD9PlWW5i5", false)
}

#[test]
fn a_service_that_is_down_is_seen_in_each_format() {
    let outage = log(DOWN).outage.unwrap();
    assert_eq!((outage.span.count, outage.uploads, outage.delays), (5, 3, 1));
    assert_eq!(outage.format, Format::Text);
    let outage = log(TERSE).outage.unwrap();
    assert_eq!((outage.span.count, outage.uploads, outage.format), (1, 1, Format::Json));
    // msc3861 of Synapse 1.120.2 says it in the same words.
    let legacy = log(LEGACY);
    assert!(legacy.outage.is_some_and(|outage| outage.uploads > 0), "{legacy:?}");
    assert!(legacy.mas.is_some(), "MAS used the admin API");
    // At WARNING the error is the only line.
    let errors: Vec<_> = DOWN.lines().filter(|line| line.contains(" - ERROR - ")).collect();
    assert_eq!(log(&errors.join("\n")).outage.unwrap().span.count, 4);
    assert!(log(REMOVAL).outage.is_none());
    // An expired token is everyday, and no outage.
    let expired =
        DOWN.replace("503 - Unable to introspect the access token", "401 - Token is not active");
    let expired: Vec<_> = expired.lines().filter(|line| !line.contains(" - ERROR - ")).collect();
    assert!(log(&expired.join("\n")).outage.is_none());
}

#[test]
fn a_client_that_left_is_no_outage() {
    let gone = |took: &str| {
        let closed = DOWN.replace(" 503 \"", " 503! \"");
        let times = ["0.121sec/0.001sec", "0.002sec/0.000sec", "0.002sec/0.001sec"];
        times.iter().fold(closed, |text, time| text.replace(time, took))
    };
    let left = log(&gone("0.020sec/-0.010sec"));
    // The one that hung for three minutes, and that the client gave up, stays.
    assert_eq!(left.outage.unwrap().span.count, 1, "{left:?}");
    assert_eq!(log(&gone("30.020sec/-0.010sec")).outage.unwrap().span.count, 5);
    // Synapse cancels the check of a client that is gone, and logs the same error.
    let cancelled =
        TERSE.replace("\"exc_type\":\"RuntimeError\"", "\"exc_type\":\"CancelledError\"");
    let error = cancelled.lines().find(|line| line.contains("CancelledError")).unwrap();
    let answer = cancelled.lines().find(|line| line.contains("503 - Unable")).unwrap();
    assert!(log(&format!("{error}\n{answer}")).outage.is_none());
}

#[test]
fn a_client_cannot_write_an_outage_or_a_removal() {
    let doubtful = read(DOWN, "@gus:quay.example", "cD9PlWW5i5", true);
    assert!(doubtful.outage.is_none() && doubtful.doubtful > 0, "{doubtful:?}");
    // In another logger's message, or in the middle of a text, the words say nothing.
    for changed in [
        DOWN.replace("synapse.api.auth.mas", "synapse.handlers.auth")
            .replace("synapse.http.server", "synapse.handlers.auth"),
        DOWN.replace("Failed to introspect token", "said: Failed to introspect token")
            .replace("SynapseError: 503", "SynapseError: 404"),
    ] {
        assert!(log(&changed).outage.is_none());
    }
    assert!(read(REMOVAL, "@gus:quay.example", "cD9PlWW5i5", true).removed.is_empty());
}

#[test]
fn a_removal_names_who_did_it() {
    let by = |text: &str, user: &str, device: &str| {
        let log = read(text, user, device, false);
        let last = log.removed.last().unwrap_or_else(|| panic!("{user}: {log:?}"));
        (last.by.clone(), log.added_after(last.at).is_some())
    };
    let admin = || By::Admin("@root1:quay.example".into());
    assert_eq!(by(REMOVAL, "@gus:quay.example", "cD9PlWW5i5"), (admin(), true));
    assert_eq!(by(REMOVAL, "@kim:quay.example", "WTHRtDIrpF"), (admin(), true));
    assert_eq!(by(REMOVAL, "@hana:quay.example", "rRSsBXMShw"), (By::Deactivation, false));
    assert_eq!(by(TERSE, "@cyd:quay.example", "Vi8XrN6EtB"), (By::Mas, false));
    assert_eq!(by(TERSE, "@gus:quay.example", "cD9PlWW5i5"), (admin(), false));
    // An id that holds a newline is a Python literal there.
    assert_eq!(by(REMOVAL, "@jun:quay.example", "A\nB").0, By::Unknown);
    let log = read(REMOVAL, "@gus:quay.example", "ANOTHER", false);
    assert!(log.removed.is_empty() && log.mas.is_some(), "{log:?}");
}

/// What a watch sees of a log.
fn log_events(text: &str) -> Vec<What> {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let clock = Clock::new(Some(jiff::tz::TimeZone::UTC));
    let mut reading = Attribution::new(Subject::nobody(), window, clock);
    reading = reading.with_readers(Readers::watching(window));
    reading.next_file(!text.starts_with('{'), Wrappings::default());
    text.lines().for_each(|line| reading.line(line.as_bytes()));
    reading.log_events().sorted().into_iter().map(|log_event| log_event.what).collect()
}

#[test]
fn a_watch_sees_each_failed_check_and_no_fast_restart() {
    let seen = log_events(DOWN);
    assert_eq!(seen.iter().filter(|what| **what == What::AuthFailed).count(), 4, "{seen:?}");
    let answers: Vec<_> = (seen.iter())
        .filter_map(|what| match what {
            What::Delay { answer, .. } => Some(*answer),
            _ => None,
        })
        .collect();
    // 503 with a token; 200 without one and with one that was known.
    assert_eq!(answers, [Delay::Refused, Delay::Fast], "{seen:?}");
    assert_eq!(log_events(TERSE), [What::AuthFailed]);
    // A restart with a token that had expired is not a fast one either.
    assert!(
        log_events(&DOWN.replace("71B 503", "79B 401"))
            .contains(&What::Delay { address: "192.0.2.10".into(), answer: Delay::Refused })
    );
}
