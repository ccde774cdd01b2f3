//! Blocks, searched for words → the same facts as from every line, parsed one by one: on recorded logs, on cuts and
//! shuffles of them, and for each reader.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::evidence::key_log::Coverage;
use crate::evidence::{About, Need, Subject, Window};
use crate::synapse_log::attribution::Attribution;
use crate::synapse_log::readers::Readers;
use crate::synapse_log::zone::Clock;

const LOGS: [&str; 16] = [
    include_str!("../../../tests/fixtures/log/healthy.log"),
    include_str!("../../../tests/fixtures/log/injection.log"),
    include_str!("../../../tests/fixtures/log/ke1-claimed-then-reused.log"),
    include_str!("../../../tests/fixtures/log/ke1-eviction-heals-after-claims.log"),
    include_str!("../../../tests/fixtures/log/ke1-eviction-silent.log"),
    include_str!("../../../tests/fixtures/log/ke1-eviction-storm.log"),
    include_str!("../../../tests/fixtures/log/ke1-rollback.log"),
    include_str!("../../../tests/fixtures/log/ke1-two-clients.log"),
    include_str!("../../../tests/fixtures/log/ke2-to-device-debug.log"),
    include_str!("../../../tests/fixtures/log/main.docker.log"),
    include_str!("../../../tests/fixtures/log/main.gcp.jsonl"),
    include_str!("../../../tests/fixtures/log/main.terse.jsonl"),
    include_str!("../../../tests/fixtures/log/mas-down.log"),
    include_str!("../../../tests/fixtures/log/mas-removal.log"),
    include_str!("../../../tests/fixtures/log/mas.jsonl"),
    include_str!("../../../tests/fixtures/log/traceback.log"),
];

const NEEDS: [&[Need]; 4] = [
    &[Need::KeyLog],
    &[Need::KeyLog, Need::ToDeviceLog, Need::AuthLog],
    &[Need::FleetLog],
    &[Need::DelayLog, Need::AuthLog],
];

/// Everybody who uploads keys in these logs, and their devices.
fn subjects(text: &str) -> Vec<Subject> {
    let mut found: Vec<Subject> = Vec::new();
    for line in text.lines().filter(|line| line.contains("Adding one_time_keys")) {
        let part = |name: &str| Some(line.split_once(name)?.1.split('\'').next()?.to_owned());
        let Some((user, device)) = part("for user '").zip(part("for device '")) else { continue };
        let Ok(user) = user.try_into() else { continue };
        let subject = Subject { user, device: device.into() };
        if !found.contains(&subject) {
            found.push(subject);
        }
    }
    found.truncate(4);
    found.push(Subject::nobody());
    found
}

fn window() -> Window {
    Window {
        from: "2026-11-01T00:00:00Z".parse().unwrap(),
        to: "2026-12-31T00:00:00Z".parse().unwrap(),
    }
}

/// What comes of a log, in blocks of these lengths; of `None` every line is parsed.
fn facts(text: &[u8], subject: &Subject, needs: &[Need], blocks: Option<usize>) -> Value {
    let about = About::Device(subject.clone());
    let readers = Readers::new(needs, &about, window());
    let mut reading = Attribution::new(subject.clone(), window(), Clock::new(Some(TimeZone::UTC)))
        .with_readers(readers);
    match blocks {
        None => {
            reading.parse_every_line();
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            text.split(|byte| *byte == b'\n').for_each(|line| reading.line(line));
        }
        Some(length) => {
            let mut rest = text;
            while !rest.is_empty() {
                let most = length.min(rest.len());
                let end =
                    memchr::memchr(b'\n', &rest[most - 1..]).map_or(rest.len(), |at| most + at);
                reading.block(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    let (log, end) = reading.finish(false);
    let visible = end.visible.finish(end.zone_known);
    let coverage = Coverage {
        source: "main".into(),
        span: end.span,
        whole: true,
        lines: end.lines,
        format: end.format,
        zone: end.zone.clone(),
        notes: end.notes.clone(),
        visible: Some(visible),
    };
    let told: Vec<_> = end
        .readers
        .finish(&coverage)
        .into_iter()
        .map(|told| json!([told.what, told.fact]))
        .collect();
    json!({"log": log, "lines": end.lines, "span": end.span, "zone": end.zone, "told": told})
}

fn below(state: &mut u64, most: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 33) as usize % most.max(1)
}

#[test]
fn a_search_finds_what_parsing_every_line_finds() {
    for text in LOGS {
        for subject in subjects(text) {
            for needs in NEEDS {
                let every = facts(text.as_bytes(), &subject, needs, None);
                for length in [1, 4096, usize::MAX] {
                    let found = facts(text.as_bytes(), &subject, needs, Some(length));
                    assert_eq!(found, every, "{subject:?} {needs:?} {length}");
                }
            }
        }
    }
}

/// Lines of several logs mixed, cut, doubled and damaged.
#[test]
fn the_same_of_logs_that_nobody_wrote() {
    let mut state = 11_u64;
    for round in 0..150 {
        let text = LOGS[below(&mut state, LOGS.len())];
        let other: Vec<_> = LOGS[below(&mut state, LOGS.len())].lines().collect();
        let mut bytes = Vec::new();
        for line in text.lines() {
            match below(&mut state, 40) {
                0 => continue,
                1 => bytes.extend_from_slice(other[below(&mut state, other.len())].as_bytes()),
                2 => bytes.extend_from_slice(&line.as_bytes()[..below(&mut state, line.len() + 1)]),
                _ => bytes.extend_from_slice(line.as_bytes()),
            }
            bytes.push(b'\n');
        }
        for _ in 0..below(&mut state, 60) {
            let at = below(&mut state, bytes.len());
            bytes[at] = b"\n\r'\"{}-, 0\xff"[below(&mut state, 11)];
        }
        let subjects = subjects(text);
        let subject = &subjects[below(&mut state, subjects.len())];
        let needs = NEEDS[below(&mut state, NEEDS.len())];
        let every = facts(&bytes, subject, needs, None);
        let length = 1 + below(&mut state, 20_000);
        let found = facts(&bytes, subject, needs, Some(length));
        assert_eq!(found, every, "round {round}");
    }
}
