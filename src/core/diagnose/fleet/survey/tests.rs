//! Surveys of made-up servers.

use jiff::Timestamp;

use super::*;
use crate::diagnose::certainty::Certainty;
use crate::diagnose::fleet::Suggests;
use crate::evidence::fleet::{Confirmed, RemovedDevice};
use crate::evidence::key_log::{Coverage, Format};
use crate::evidence::{
    About, Fact, Gathered, SCHEMA, ServerSubject, Shown, State, Symptom, Window,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_348_800 + seconds).unwrap()
}

fn uploader(name: &str, first: i64, count: u64, agent: &str) -> Uploader {
    let span = Span { first: at(first), last: at(3590), count };
    Uploader {
        user: format!("@{name}:s").try_into().unwrap(),
        device: "DEV".into(),
        refused: Some(span),
        keys: 1,
        too_large: None,
        accepted: 0,
        accepted_last: None,
        repeated: false,
        before: None,
        read_to: None,
        agent: Some(agent.into()),
        conflict: None,
    }
}

fn holder(name: &str, one_time_keys: u64, older: u64, next_key: Option<Check>) -> Holder {
    Holder {
        user: format!("@{name}:s").try_into().unwrap(),
        device: "DEV".into(),
        last_seen: None,
        identity: Some(at(-100_000)),
        one_time_keys,
        older,
        next_key,
        dehydrated: None,
    }
}

fn evidence(log: Option<Vec<Uploader>>, rows: Option<FleetRows>) -> Evidence {
    let answer = |need, state, fact| {
        Gathered::answered(need, "x", state, Shown { what: "".into(), query: "".into() }, fact)
    };
    let coverage = Coverage {
        source: "main".into(),
        span: Some((at(0), at(3600))),
        whole: true,
        lines: 1,
        format: Format::Text,
        zone: "UTC".into(),
        notes: Vec::new(),
        visible: None,
    };
    let log =
        log.map(|devices| FleetLog { coverage: vec![coverage], devices, ..FleetLog::default() });
    let unread = || State::Failed("it is down".into());
    let of_log = match log {
        Some(log) => answer(Need::FleetLog, State::Found, Some(Fact::FleetLog(Box::new(log)))),
        None => answer(Need::FleetLog, unread(), None),
    };
    let of_rows = match rows {
        Some(rows) => answer(Need::FleetRows, State::Found, Some(Fact::FleetRows(rows))),
        None => answer(Need::FleetRows, unread(), None),
    };
    Evidence {
        schema: SCHEMA,
        symptom: Symptom::Fleet,
        subject: About::Server(ServerSubject { server: None }),
        window: Window { from: at(0), to: at(3600) },
        now: at(3600),
        gathered: vec![of_log, of_rows],
    }
}

fn names(fleet: &Fleet) -> Vec<String> {
    let causes = |of: &Affected| {
        of.troubles.iter().map(|trouble| trouble.cause.name()).collect::<Vec<_>>().join("+")
    };
    fleet.affected.iter().map(|of| format!("{} {}", of.user.localpart(), causes(of))).collect()
}

#[test]
fn the_worst_come_first() {
    let mut stopped = uploader("stopped", 1000, 9, "a");
    stopped.refused = Some(Span { first: at(1000), last: at(2000), count: 9 });
    let mut race = uploader("race", 1000, 1, "a");
    race.refused = Some(Span::once(at(1000)));
    race.accepted = 1;
    let log =
        vec![uploader("slow", 1000, 90, "a"), uploader("fast", 1000, 9000, "a"), stopped, race];
    let rows = FleetRows {
        read: 50,
        keyless: 7,
        devices: vec![
            holder("gone", 0, 0, None),
            holder("full", 501, 0, None),
            holder("dead", 50, 20, Some(Check::Fails)),
            holder("fast", 50, 50, Some(Check::Fails)),
            holder("anew", 50, 20, Some(Check::Verifies)),
            Holder { dehydrated: Some(true), ..holder("pickled", 0, 0, None) },
            Holder { identity: None, ..holder("bot", 0, 0, None) },
        ],
        ..FleetRows::default()
    };
    let fleet = fleet(&evidence(Some(log), Some(rows)));
    assert_eq!(
        names(&fleet),
        [
            "fast conflict+dead-identity",
            "slow conflict",
            "dead dead-identity",
            "stopped conflict",
            "full flood",
            "gone exhausted",
            "bot keyless"
        ]
    );
    assert_eq!(fleet.causes[0], (Cause::Conflict, 3));
    assert_eq!(fleet.causes[4], (Cause::Keyless, 7));
    assert_eq!(fleet.agents, [("a".to_owned(), 3)]);
    assert!(fleet.findings[0].contains("1 with a single rejected upload"), "{:?}", fleet.findings);
    assert_eq!(fleet.certainty(), Certainty::Consistent);
    assert!(fleet.together.is_none());
}

#[test]
fn the_database_confirms_what_the_log_says() {
    let log = ["held", "there", "made-up"].map(|name| uploader(name, 1000, 9, "a")).to_vec();
    let row = |name: &str, holds_old_key| Confirmed {
        user: format!("@{name}:s").try_into().unwrap(),
        device: "DEV".into(),
        holds_old_key,
        identity: None,
    };
    let confirmed = Some(vec![row("held", true), row("there", false)]);
    let rows = FleetRows { read: 3, confirmed, ..FleetRows::default() };
    let fleet = fleet(&evidence(Some(log.clone()), Some(rows)));
    let standing =
        |name: &str| fleet.affected.iter().find(|of| of.user.localpart() == name).unwrap().standing;
    assert_eq!(standing("held"), Standing::Proven);
    assert_eq!(standing("there"), Standing::Exists);
    assert_eq!(standing("made-up"), Standing::Absent);
    assert_eq!(fleet.affected[2].user.localpart(), "made-up", "what nobody confirms comes last");
    let blind = super::fleet(&evidence(Some(log), None));
    assert!(blind.affected.iter().all(|of| of.standing == Standing::Unasked));
    assert_eq!(blind.unread, ["the database: it is down"]);
}

#[test]
fn a_common_beginning_suggests_its_cause() {
    let many = |agent: fn(i64) -> &'static str, step: i64| {
        let of = |n: i64| uploader(&format!("u{n}"), 1000 + n * step, 99, agent(n));
        fleet(&evidence(Some((0..12).map(of).collect()), None)).together
    };
    let release = many(|n| if n == 0 { "Other/1" } else { "Element/2" }, 20).unwrap();
    assert_eq!(release.suggests, Suggests::Release("Element/2".into()));
    assert_eq!((release.devices, release.from, release.to), (12, at(1000), at(1220)));
    let kinds = |n: i64| ["A/1", "B/2", "C/3"][n as usize % 3];
    assert_eq!(many(kinds, 20).unwrap().suggests, Suggests::Database);
    assert!(many(kinds, 100).is_none(), "spread over twenty minutes");
    // What continued when the log began did not begin then.
    let old = (0..12).map(|n| uploader(&format!("u{n}"), n, 99, "A/1")).collect();
    assert!(fleet(&evidence(Some(old), None)).together.is_none());
    // Nor did what comes every ten minutes, and came a quarter of an hour in.
    let rare = (0..12).map(|n| uploader(&format!("u{n}"), 900 + n, 5, "A/1")).collect();
    assert!(fleet(&evidence(Some(rare), None)).together.is_none());
}

#[test]
fn nothing_read_is_not_nothing_wrong() {
    let nothing = fleet(&evidence(None, None));
    assert_eq!(nothing.certainty(), Certainty::NotEnoughEvidence);
    assert_eq!(nothing.unread.len(), 2);
    let quiet =
        fleet(&evidence(Some(Vec::new()), Some(FleetRows { read: 9, ..Default::default() })));
    assert_eq!(quiet.certainty(), Certainty::Consistent);
    assert!(quiet.affected.is_empty());
    assert_eq!(quiet.read.len(), 2, "{:?}", quiet.read);
}

#[test]
fn invented_devices_begin_nothing_together() {
    let log: Vec<_> = (0..12).map(|n| uploader(&format!("u{n}"), 1000 + n, 99, "A/1")).collect();
    let rows = FleetRows { read: 3, confirmed: Some(Vec::new()), ..FleetRows::default() };
    let fleet = fleet(&evidence(Some(log), Some(rows)));
    assert!(fleet.affected.iter().all(|of| of.standing == Standing::Absent));
    assert!(fleet.together.is_none(), "{:?}", fleet.together);
}

#[test]
fn numbers_that_a_hand_wrote_do_no_harm() {
    let mut none = uploader("none", 1000, 0, "a");
    none.keys = 64;
    assert_eq!(fleet(&evidence(Some(vec![none]), None)).affected.len(), 1);
}

/// Removed at second 2000, and back since 2001.
fn removed_at(name: &str, second: i64, sure: bool) -> RemovedDevice {
    let user = format!("@{name}:s").try_into().unwrap();
    RemovedDevice { user, device: "DEV".into(), at: at(second), sure }
}

fn confirmed_at(name: &str, second: i64) -> Confirmed {
    let user = format!("@{name}:s").try_into().unwrap();
    let identity = Some(at(second));
    Confirmed { user, device: "DEV".into(), holds_old_key: false, identity }
}

/// The devices that are affected, each with whether it is ongoing.
fn surveyed(log: FleetLog, confirmed: Option<Vec<Confirmed>>) -> (Fleet, Vec<(String, bool)>) {
    let rows = FleetRows { read: 9, confirmed, ..FleetRows::default() };
    let mut evidence = evidence(Some(Vec::new()), Some(rows));
    if let Some(Fact::FleetLog(known)) = &mut evidence.gathered[0].fact {
        (known.devices, known.removed) = (log.devices, log.removed);
    }
    let fleet = fleet(&evidence);
    let of = |of: &Affected| (of.user.localpart().to_owned(), of.goes_on());
    let all = fleet.affected.iter().map(of).collect();
    (fleet, all)
}

#[test]
fn a_cured_device_is_not_affected() {
    let until = |name: &str, last: i64| {
        let span = Span { first: at(1000), last: at(last), count: 9 };
        Uploader {
            refused: Some(span),
            accepted_last: Some(at(3400)),
            ..uploader(name, 1000, 9, "a")
        }
    };
    let devices = vec![until("cured", 3300), until("ill", 3590), until("forged", 3300)];
    let removed = ["cured", "ill", "forged"].map(|name| removed_at(name, 3350, true)).to_vec();
    let log = FleetLog { devices, removed, ..FleetLog::default() };
    // The identity of the third is older than the removal that a line reports.
    let rows =
        vec![confirmed_at("cured", 3351), confirmed_at("ill", 3351), confirmed_at("forged", 900)];
    let (fleet, all) = surveyed(log.clone(), Some(rows));
    assert_eq!(all, [("ill".to_owned(), true), ("forged".to_owned(), false)]);
    assert!(
        fleet.findings.iter().any(|said| said.contains("1 device resolved")),
        "{:?}",
        fleet.findings
    );
    // Without the database a line that a client may have written ends nothing.
    let unsure =
        log.removed.iter().map(|one| RemovedDevice { sure: false, ..one.clone() }).collect();
    let (_, all) = surveyed(FleetLog { removed: unsure, ..log.clone() }, None);
    assert_eq!(all.len(), 3);
    assert_eq!(surveyed(log, None).1, [("ill".to_owned(), true)]);
}

#[test]
fn an_identity_newer_than_the_last_refusal_goes_on_no_more() {
    let devices = vec![uploader("renewed", 1000, 9, "a"), uploader("ill", 1000, 9, "a")];
    let log = FleetLog { devices, ..FleetLog::default() };
    let rows = vec![confirmed_at("renewed", 3595), confirmed_at("ill", 1000)];
    let (_, all) = surveyed(log, Some(rows));
    assert_eq!(all, [("ill".to_owned(), true), ("renewed".to_owned(), false)]);
}

#[test]
fn ever_new_ids_are_a_conflict() {
    let mut nio = uploader("nio", 1000, 34, "aiohttp");
    (nio.keys, nio.repeated) = (34, true);
    let mut race = uploader("race", 1000, 1, "a");
    (race.refused, race.accepted, race.accepted_last) =
        (Some(Span::once(at(3590))), 1, Some(at(900)));
    let log = FleetLog { devices: vec![nio, race.clone()], ..FleetLog::default() };
    let (_, all) = surveyed(log, None);
    assert_eq!(all.len(), 2, "the upload that was taken came before the refusal: {all:?}");
    race.accepted_last = Some(at(3592));
    let log = FleetLog { devices: vec![race], ..FleetLog::default() };
    assert!(surveyed(log, None).1.is_empty());
}

#[test]
fn quiet_is_counted_to_the_log_s_newest_record() {
    let mut refused = uploader("a", 1000, 9, "a");
    refused.refused = Some(Span { first: at(1000), last: at(2000), count: 9 });
    let mut evidence = evidence(Some(vec![refused]), None);
    assert!(!fleet(&evidence).affected[0].goes_on());
    // The log ends right after the last refusal: nobody knows whether it continued.
    if let Some(Fact::FleetLog(log)) = &mut evidence.gathered[0].fact {
        log.coverage[0].span = Some((at(0), at(2010)));
    }
    assert!(fleet(&evidence).affected[0].goes_on());
}

#[test]
fn nobody_in_a_log_that_could_not_show_any_is_not_enough() {
    let mut evidence = evidence(Some(Vec::new()), Some(FleetRows::default()));
    assert_eq!(fleet(&evidence).certainty(), Certainty::Consistent);
    if let Some(Fact::FleetLog(log)) = &mut evidence.gathered[0].fact {
        log.coverage[0].visible = Some(Default::default());
    }
    let fleet = fleet(&evidence);
    assert_eq!(fleet.certainty(), Certainty::NotEnoughEvidence);
    assert_eq!(fleet.also[0].id.name(), "log-blind-to");
    assert!(fleet.unread[0].contains("synapse.http.server: {level: INFO}"), "{:?}", fleet.unread);
}
