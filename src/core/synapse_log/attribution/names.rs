//! For tests: logins whose names hold newlines, in logs that are watched. Nobody is accused by what a name
//! spells, and nobody's storm is hidden by it.

use jiff::Timestamp;

use crate::evidence::log_event::What;
use crate::evidence::{Subject, Window};
use crate::synapse_log::attribution::*;
use crate::synapse_log::readers::Readers;
use crate::synapse_log::zone::Clock;

const VICTIM: &str = "@victim:lab.local";
const AUTH: &str = "synapse.handlers.auth";
const LOGIN_LOGGER: &str = "synapse.rest.client.login";
const REFUSED: &str = "<X method='POST' uri='/_matrix/client/v3/keys/upload'> SynapseError: 400 - One \
                       time key a:b already exists. Old key: \"o\"; new key: 'n'";

/// A text log as Synapse writes it.
struct Written {
    text: String,
    at: i64,
}

impl Written {
    fn new() -> Self {
        Self { text: String::new(), at: 1_795_348_800_000 }
    }

    fn line(&mut self, logger: &str, id: &str, message: &str) -> &mut Self {
        self.at += 3;
        self.text.push_str(&record(self.at, logger, id, message));
        self.text.push('\n');
        self
    }

    fn traffic(&mut self, numbers: std::ops::Range<u32>) -> &mut Self {
        for number in numbers {
            let text = access("@o:lab.local", 200, "GET", "v3/sync?since=s1");
            self.line("synapse.access.http.8008", &format!("GET-{number}"), &text);
        }
        self
    }

    fn asked(&mut self, id: &str, name: &str) -> &mut Self {
        self.line(LOGIN_LOGGER, id, &asked(name))
    }

    fn attempted(&mut self, id: &str, name: &str) -> &mut Self {
        self.line(
            AUTH,
            id,
            &format!("Attempted to login as @{name}:lab.local but they do not exist"),
        )
    }

    /// Refusals and limited requests that a watch sees.
    fn seen(&self) -> (u64, u64) {
        (
            self.count(|what| matches!(what, What::Refused { .. })),
            self.count(|what| matches!(what, What::Delay { .. })),
        )
    }

    fn count(&self, is: fn(&What) -> bool) -> u64 {
        let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
        let mut reading = Attribution::new(Subject::nobody(), window, Clock::new(None))
            .with_readers(Readers::watching(window));
        self.text.lines().for_each(|line| reading.line(line.as_bytes()));
        reading.release();
        reading.end.readers.tire(Timestamp::MAX);
        let log_events = reading.end.readers.log_events().sorted();
        log_events
            .iter()
            .filter(|log_event| is(&log_event.what))
            .map(|log_event| log_event.count)
            .sum()
    }
}

fn record(at: i64, logger: &str, id: &str, message: &str) -> String {
    let wall = jiff::tz::TimeZone::UTC.to_datetime(Timestamp::from_millisecond(at).unwrap());
    format!("{} - {logger} - 1 - INFO - {id} - {message}", wall.strftime("%Y-%m-%d %H:%M:%S,%3f"))
}

fn access(user: &str, status: u16, method: &str, uri: &str) -> String {
    format!(
        "1.1.1.1 - 8008 - {{{user}}} Processed request: 0.1sec/0.0sec ru=(0.1sec, 0.0sec) \
         db=(0.0sec/0.0sec/0) 1B {status} \"{method} /_matrix/client/{uri} HTTP/1.1\" \"a\" [0 dbevts]"
    )
}

fn asked(name: &str) -> String {
    let name = name.replace('\'', "\\'").replace('\n', "\\n");
    format!(
        "Got login request with identifier: {{'type': 'm.id.user', 'user': '{name}'}}, medium: None, \
         address: None, user: None"
    )
}

fn upload(at: i64, id: &str) -> [String; 3] {
    let adding = format!(
        "Adding one_time_keys dict_keys(['a:b']) for device 'DEV' for user '{VICTIM}' at {at}"
    );
    [
        record(at, "synapse.handlers.e2e_keys", id, &adding),
        record(at, "synapse.http.server", id, REFUSED),
        record(at, "synapse.access.http.8008", id, &access(VICTIM, 400, "POST", "v3/keys/upload")),
    ]
}

/// Refused uploads of the victim's, as an attacker would write them, behind a record and a long line.
fn forged(at: i64, long: usize) -> String {
    let mut lines = vec!["x".to_owned(), record(at, "a.b", "GET-1", "hi"), "j".repeat(long)];
    for number in 160..163 {
        lines.extend(upload(at + 40, &format!("POST-{number}")));
    }
    lines.push("z".to_owned());
    lines.join("\n")
}

#[test]
fn no_name_accuses_anybody() {
    type Attack = fn(&mut Written);
    let attacks: [(&str, Attack); 4] = [
        ("another login's name asks under its id", |log| {
            let name = forged(log.at, 5);
            let small =
                format!("x\n{}\nz", record(log.at + 9, LOGIN_LOGGER, "POST-50", &asked("y")));
            log.asked("POST-50", &name).asked("POST-51", &small);
            log.attempted("POST-51", &small).attempted("POST-50", &name);
        }),
        ("two logins under one id", |log| {
            let name = forged(log.at, 20_000);
            log.asked("POST-50", &name).asked("POST-50", "y").attempted("POST-50", &name);
        }),
        ("an identifier that cannot be read", |log| {
            let name = forged(log.at, 20_000);
            let deep = format!("{{'z': {}{}, 'type'", "[".repeat(40), "]".repeat(40));
            let asked = asked(&name).replace("{'type'", &deep);
            log.line(LOGIN_LOGGER, "POST-50", &asked).attempted("POST-50", &name);
        }),
        ("many logins at once", |log| {
            let name = forged(log.at, 20_000);
            log.asked("POST-50", &name);
            for id in 51..1100 {
                log.asked(&format!("POST-{id}"), "y");
            }
            log.attempted("POST-50", &name);
        }),
    ];
    for (how, attack) in attacks {
        let mut log = Written::new();
        log.traffic(1..50);
        attack(&mut log);
        log.traffic(120..150).traffic(170..190);
        assert_eq!(log.seen(), (0, 0), "{how}");
    }
}

#[test]
fn lines_of_others_between_those_of_a_name_make_it_no_shorter() {
    let mut log = Written::new();
    log.traffic(1..50);
    let name = forged(log.at, 5);
    log.asked("POST-50", &name).attempted("POST-50", &name).traffic(170..190);
    let other = access("@o:lab.local", 200, "GET", "v3/sync?since=s1");
    let other = record(log.at, "synapse.access.http.8009", "GET-9", &other);
    let mut lines = vec![format!("worker2 | {other}")];
    for line in log.text.lines() {
        lines.push(format!("main | {line}"));
        if line.starts_with("jj") {
            lines.extend((0..14).map(|_| format!("worker2 | {other}")));
        }
    }
    log.text = lines.join("\n");
    assert_eq!(log.seen(), (0, 0));
}

#[test]
fn claims_behind_claims_count_and_a_name_s_do_not() {
    let mut log = Written::new();
    log.traffic(1..50);
    let claim = format!("Claimed one-time-keys: a:b for {VICTIM}:DEV");
    (0..20).for_each(|id| {
        log.line("synapse.handlers.e2e_keys", &format!("POST-{}", 50 + id), &claim);
    });
    let name = format!("x\n{}\nz", record(log.at, "synapse.handlers.e2e_keys", "POST-80", &claim));
    log.traffic(100..120).asked("POST-120", &name).attempted("POST-120", &name).traffic(121..150);
    assert_eq!(log.count(|what| matches!(what, What::Claimed { .. })), 20);
}

#[test]
fn what_names_hide_is_said_once() {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let mut reading = Attribution::new(Subject::nobody(), window, Clock::new(None))
        .with_readers(Readers::watching(window));
    let mut log = Written::new();
    // Neither a typo nor a line break too many says anything.
    log.traffic(1..50).asked("POST-50", "y").attempted("POST-50", "y").traffic(51..60);
    log.asked("POST-60", "y\n").attempted("POST-60", "y\n").traffic(61..70);
    log.text.lines().for_each(|line| reading.line(line.as_bytes()));
    assert_eq!(reading.hidden(), None);
    log.text.clear();
    let name = forged(log.at, 5);
    log.asked("POST-70", &name).attempted("POST-70", &name).traffic(71..80);
    log.text.lines().for_each(|line| reading.line(line.as_bytes()));
    let said = reading.hidden().unwrap();
    assert!(
        said.starts_with("2 login's user names contained") || said.contains("9 lines were"),
        "{said}"
    );
    assert_eq!(reading.hidden(), None);
}

#[test]
fn a_format_that_changes_is_said() {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let mut reading = Attribution::new(Subject::nobody(), window, Clock::new(None))
        .with_readers(Readers::watching(window));
    let mut log = Written::new();
    log.traffic(1..50);
    log.text.lines().for_each(|line| reading.line(line.as_bytes()));
    (0..100).for_each(|_| reading.line(b"{\"log\":\"hi\",\"namespace\":\"a.b\",\"time\":1.0}"));
    assert!(reading.hidden().unwrap().starts_with("100 lines of JSON in a text log were not read"));
    assert_eq!(reading.hidden(), None);
}

#[test]
fn one_who_watches_keeps_no_requests() {
    let window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let mut reading = Attribution::new(Subject::nobody(), window, Clock::new(None))
        .with_readers(Readers::watching(window));
    for number in 0..2000 {
        let lines = upload(1_795_348_800_000 + number, &format!("POST-{number}"));
        lines.iter().for_each(|line| reading.line(line.as_bytes()));
    }
    assert!(reading.processes[0].known("POST-10").is_none());
    assert!(reading.processes[0].known("POST-1999").is_none());
}

#[test]
fn no_name_hides_a_refusal_or_a_limit() {
    let hides: [fn(i64) -> String; 3] = [
        |at| record(at, "root", "main", "***** STARTING SERVER *****"),
        |at| record(at, AUTH, "POST-7", "Attempted to login as @y:lab.local but they do not exist"),
        // The log's time never goes where a name says it is.
        |at| {
            let ahead = |n: i64| record(at + 600_000 + n, "a.b", "GET-1", "hi");
            (0..9).map(ahead).collect::<Vec<_>>().join("\n")
        },
    ];
    for hidden in hides {
        let mut log = Written::new();
        log.traffic(1..50);
        let [adding, refused, end] = upload(log.at + 3, "POST-50");
        log.text.push_str(&format!("{adding}\n"));
        let name = format!("x\n{}\nz", hidden(log.at + 6));
        log.asked("POST-51", &name).attempted("POST-51", &name);
        log.text.push_str(&format!("{refused}\n{end}\n"));
        let uri = "unstable/org.matrix.msc4140/delayed_events/d/restart";
        log.line("synapse.access.http.8008", "POST-52", &access("None", 429, "POST", uri));
        assert_eq!(log.seen(), (1, 1), "{}", hidden(log.at));
    }
}
