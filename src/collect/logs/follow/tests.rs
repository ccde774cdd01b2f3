//! Each way in which a log is rotated, one by one.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::test_reader::Reader;
use super::test_writer::{BEGIN, Writer};
use super::{Follower, Round};
use crate::config::LogSource;
use kestrel_core::evidence::log_event::What;

/// A server and its reader, live.
fn live() -> (Writer, Reader) {
    let mut writer = Writer::new(true);
    writer.uploads(3);
    let mut reader = Reader::new(&writer.path());
    reader.catch_up();
    reader.save();
    (writer, reader)
}

fn check(writer: &Writer, reader: &mut Reader) {
    reader.catch_up();
    let expected: HashMap<u64, u64> = writer.written.iter().map(|number| (*number, 1)).collect();
    let counted: HashMap<u64, u64> = reader.counted().iter().map(|(a, b)| (*a, *b)).collect();
    assert_eq!(counted, expected);
}

fn silent(reader: &mut Reader) {
    assert!(reader.notes().is_empty(), "{:?}", reader.notes());
}

#[test]
fn what_comes_counts_once() {
    let (mut writer, mut reader) = live();
    writer.uploads(5);
    check(&writer, &mut reader);
    silent(&mut reader);
}

#[test]
fn a_carried_log_is_followed_too() {
    let carriers: [fn(&str) -> String; 3] = [
        |line| format!("2026-11-22T12:00:00.246000417+00:00 stderr F {line}"),
        |line| format!("synapse-1  | synapse_main | {line}"),
        |line| {
            let time = "2026-11-22T12:00:00.246000417Z";
            format!("{}\n", serde_json::json!({"log": line, "stream": "stderr", "time": time}))
        },
    ];
    for carrier in carriers {
        let mut writer = Writer::new(true);
        // The file is empty when it is opened.
        let mut reader = Reader::new(&writer.path());
        reader.catch_up();
        writer.carrier = carrier;
        writer.uploads(5);
        check(&writer, &mut reader);
        reader.kill();
        writer.uploads(3);
        check(&writer, &mut reader);
        writer.rename();
        writer.reopen();
        writer.uploads(2);
        check(&writer, &mut reader);
        silent(&mut reader);
    }
}

#[test]
fn a_log_that_is_gone_is_not_silent() {
    let (mut writer, mut reader) = live();
    let aside = writer.folder.path().join("aside");
    fs::rename(writer.path(), &aside).unwrap();
    reader.look(250);
    assert!(!reader.is_blind(), "it may be in the middle of a rotation");
    reader.look(6_000);
    reader.look(6_000);
    assert!(reader.is_blind());
    fs::rename(&aside, writer.path()).unwrap();
    writer.uploads(2);
    check(&writer, &mut reader);
    reader.look(250);
    assert!(!reader.is_blind());
}

#[test]
fn half_a_line_waits_for_its_rest() {
    let (mut writer, mut reader) = live();
    writer.begin();
    writer.line(0, Some(40));
    reader.catch_up();
    reader.save();
    reader.kill();
    writer.end();
    check(&writer, &mut reader);
}

#[test]
fn a_renamed_log_may_get_late_lines() {
    let (mut writer, mut reader) = live();
    writer.begin();
    writer.line(0, None);
    writer.rename();
    reader.look(250);
    writer.line(0, None);
    fs::write(writer.path(), "").unwrap();
    reader.look(250);
    writer.line(0, None);
    reader.look(250);
    assert_eq!(reader.counted().len(), 4, "a late line waits for nothing");
    writer.reopen();
    writer.uploads(2);
    check(&writer, &mut reader);
    reader.look(70_000);
    silent(&mut reader);
}

#[test]
fn a_cut_log_s_rest_is_in_the_copy() {
    for packed in [false, true] {
        let (mut writer, mut reader) = live();
        writer.uploads(2);
        writer.copytruncate();
        if packed {
            writer.compress();
        }
        writer.uploads(40);
        check(&writer, &mut reader);
        silent(&mut reader);
    }
}

#[test]
fn a_log_that_is_cut_while_its_first_line_was_half_written_is_read_from_the_copy() {
    let (mut writer, mut reader) = live();
    writer.rename();
    writer.reopen();
    writer.begin();
    writer.line(0, Some(80));
    reader.catch_up();
    writer.end();
    writer.copytruncate();
    writer.uploads(2);
    check(&writer, &mut reader);
    silent(&mut reader);
}

#[test]
fn a_log_that_is_cut_and_grows_beyond_is_noticed_after_a_restart() {
    let (mut writer, mut reader) = live();
    writer.begin();
    writer.line(0, None);
    reader.catch_up();
    reader.save();
    reader.kill();
    writer.line(0, None);
    writer.copytruncate();
    writer.compress();
    writer.end();
    writer.uploads(40);
    check(&writer, &mut reader);
    silent(&mut reader);
}

#[test]
fn several_rotations_while_away_are_read_in_order() {
    let (mut writer, mut reader) = live();
    reader.kill();
    for _ in 0..4 {
        writer.begin();
        writer.line(0, None);
        writer.rename();
        writer.reopen();
        writer.end();
        writer.uploads(3);
        writer.compress();
    }
    check(&writer, &mut reader);
    silent(&mut reader);
}

#[test]
fn a_deleted_log_is_read_to_its_end_and_missed_after_a_restart() {
    let (mut writer, mut reader) = live();
    writer.uploads(2);
    writer.recreate();
    writer.uploads(2);
    check(&writer, &mut reader);
    silent(&mut reader);
    writer.uploads(2);
    let before = reader.counted().len();
    reader.kill();
    writer.recreate();
    writer.uploads(2);
    reader.catch_up();
    reader.look(70_000);
    assert_eq!(reader.counted().len(), before + 2);
    let notes = reader.notes().join("\n");
    assert!(notes.contains("log main: nothing was read between 2026-11-22"), "{notes}");
}

#[test]
fn a_log_that_goes_away_is_told_once_and_again_when_it_is_back() {
    let (mut writer, mut reader) = live();
    let aside = writer.folder.path().join("elsewhere");
    fs::rename(writer.path(), &aside).unwrap();
    (0..40).for_each(|_| reader.look(250));
    writer.uploads(1);
    // Mounted anew: the same bytes under another inode.
    fs::copy(&aside, writer.path()).unwrap();
    writer.reopen();
    writer.uploads(1);
    check(&writer, &mut reader);
    assert_eq!(reader.notes().len(), 2, "{:?}", reader.notes());
    assert!(reader.notes()[0].starts_with("log main cannot be read: "));
    assert_eq!(reader.notes()[1], "log main can be read again");
}

#[test]
fn a_line_without_end_holds_nothing_up() {
    let (mut writer, mut reader) = live();
    writer.put("2026-11-22 12:00:01,000 - a.b - 1 - INFO - GET-900 - ");
    writer.put(&"x".repeat(3 << 20));
    reader.catch_up();
    reader.save();
    reader.kill();
    writer.put("\n");
    writer.uploads(2);
    check(&writer, &mut reader);
    silent(&mut reader);
}

#[test]
fn a_restart_of_the_server_ends_what_was_under_way() {
    let (mut writer, mut reader) = live();
    writer.begin();
    writer.line(0, None);
    reader.catch_up();
    reader.save();
    writer.restart();
    reader.kill();
    writer.uploads(5);
    check(&writer, &mut reader);
}

#[test]
fn what_waits_behind_a_claim_counts_once_wherever_the_reader_is_killed() {
    for kill in 0..12 {
        let (mut writer, mut reader) = live();
        let mut step = 0;
        let mut between = |reader: &mut Reader| {
            reader.look(250);
            if step == kill {
                reader.save();
                reader.kill();
            }
            step += 1;
        };
        for _ in 0..3 {
            // The first line is out of reach, the others behind a claim: the end waits for a truer one.
            writer.begin();
            writer.line(0, None);
            between(&mut reader);
            writer.claim(0);
            writer.end();
            between(&mut reader);
            // Longer than a client's text can be.
            writer.long();
            between(&mut reader);
            writer.claim(6000);
            writer.long();
            between(&mut reader);
        }
        writer.uploads(4);
        check(&writer, &mut reader);
        silent(&mut reader);
    }
}

/// Rounds until so many refusals came.
async fn rounds(follow: &mut Follower, refusals: u64) -> Vec<Round> {
    let mut rounds = Vec::new();
    let mut seen = 0;
    while seen < refusals {
        let round = tokio::time::timeout(Duration::from_secs(20), follow.next()).await.unwrap();
        let refused = round
            .log_events
            .iter()
            .filter(|log_event| matches!(log_event.what, What::Refused { .. }));
        seen += refused.map(|log_event| log_event.count).sum::<u64>();
        rounds.push(round);
        assert!(rounds.len() < 30, "{rounds:?}");
    }
    rounds
}

#[tokio::test]
async fn several_logs_are_followed_and_one_that_is_not_there_holds_none_up() {
    let mut a = Writer::new(true);
    let mut b = Writer::new(false);
    a.uploads(20);
    // Two logs that begin alike would be one and its copy.
    b.restart();
    b.uploads(20);
    let source =
        |name: &str, path| LogSource { name: name.into(), path, timezone: Some(TimeZone::UTC) };
    let sources = vec![
        source("a", a.path()),
        source("b", b.path()),
        source("c", a.folder.path().join("gone.log")),
    ];
    let from = Timestamp::from_millisecond(BEGIN).unwrap();
    let mut follow = Follower::start(sources.clone(), HashMap::new(), from);
    let first = rounds(&mut follow, 40).await;
    let notes: Vec<_> = first.iter().flat_map(|round| &round.notes).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("log c cannot be read"), "{notes:?}");
    let sorted =
        first.iter().all(|round| round.log_events.is_sorted_by_key(|log_event| log_event.at));
    assert!(sorted);
    let last = follow.next().await;
    assert!(last.live && last.read_to.is_some());
    let mut saved: HashMap<_, _> = HashMap::new();
    first.into_iter().chain([last]).for_each(|round| saved.extend(round.places));
    drop(follow);
    a.uploads(1);
    b.uploads(1);
    let mut follow = Follower::start(sources, saved, Timestamp::MAX);
    let second = rounds(&mut follow, 2).await;
    let again: u64 =
        second.iter().flat_map(|round| &round.log_events).map(|log_event| log_event.count).sum();
    assert_eq!(again, 2);
}
