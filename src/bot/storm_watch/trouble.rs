//! A problem of the storm watch (a ledger that cannot be written, a disk that is nearly full, a database that
//! refuses) → one line for the log and one for the room when it begins, and again when it ends. It needs no ledger:
//! notices are kept in memory until they are sent.
//!
//! In an encrypted room nothing can be posted while the disk is full, because the keys of a message are written
//! first. That is why the room is warned before the disk is full.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::notices::Notice;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::flow::BlindLog;
use crate::store::SPARE;
use kestrel_core::render::{self, View};

/// The room is told about a ledger that fails for longer than this: a single failed write may work a moment later,
/// when another process releases the ledger.
const LASTS: SignedDuration = SignedDuration::from_secs(30);
/// Failed database polls in a row before the room is told: a single one may be a restart.
const FAILED: u32 = 2;
/// How often the disk is checked.
const LOOK: SignedDuration = SignedDuration::from_secs(10);
/// How the ledger's writes go.
#[derive(Debug, Default)]
pub(crate) struct LedgerTrouble {
    failing: Option<Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Timestamp,
    /// The room was told.
    told: bool,
}

impl LedgerTrouble {
    /// A write failed. Returns a notice for the room, if it lasts.
    pub(crate) fn failed(
        &mut self,
        error: &anyhow::Error,
        now: Timestamp,
        view: &View,
    ) -> Option<Notice> {
        let failing = self.failing.get_or_insert_with(|| {
            tracing::error!(
                "the storm watch cannot write the ledger; counting continues: {error:#}"
            );
            Failing { since: now, told: false }
        });
        if failing.told || now.duration_since(failing.since) < LASTS {
            return None;
        }
        failing.told = true;
        let since = view.moment(failing.since);
        // Without the causes: the ledger's own message says what to do.
        let why = error.to_string();
        let why = why.trim_end_matches('.');
        let line = format!(
            "Storm alerts have been on hold since {since}. {why}. The storm watch keeps counting and posts the \
             pending alerts as soon as it can write again."
        );
        Some(notice("ledger-begins", failing.since, &line))
    }

    /// A write worked. Returns a notice for the room, if the room was told about the failure.
    pub(crate) fn worked(&mut self, now: Timestamp, view: &View) -> Option<Notice> {
        let failing = self.failing.take()?;
        let span = view.span(failing.since, now);
        tracing::info!("the storm watch can write the ledger again; writes failed from {span}");
        let line = format!(
            "Storm alerts resumed: the ledger can be written again (it could not be written from {span}). Alerts for \
             the storms counted in that time are posted now."
        );
        failing.told.then(|| notice("ledger-over", failing.since, &line))
    }
}

/// How much space is left for the store.
#[derive(Debug, Default)]
pub(crate) struct LowSpace {
    looked: Option<Timestamp>,
    /// Since when there is little space, if the room was told.
    told: Option<Timestamp>,
}

impl LowSpace {
    /// Whether it is time to look again.
    pub(crate) fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.looked.is_none_or(|looked| now.duration_since(looked).abs() >= LOOK);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// So many bytes are free for the store folder. Returns a notice for the room, once when there is little space
    /// and once when there is enough again.
    pub(crate) fn seen(&mut self, folder: &Path, free: u64, now: Timestamp) -> Option<Notice> {
        let megabytes = free >> 20;
        let shown = folder.display();
        match self.told {
            None if free < SPARE => {
                self.told = Some(now);
                tracing::warn!("the disk of the store is nearly full: {megabytes} MB are free");
                let line = format!(
                    "The disk of the store folder {shown} is nearly full: {megabytes} MB are free. On a full disk \
                     no storm alert and no answer can be sent. Free some space on it."
                );
                Some(notice("space-begins", now, &line))
            }
            // Twice as much, so that it is not repeated around the limit.
            Some(since) if free >= SPARE * 2 => {
                self.told = None;
                tracing::info!("the disk of the store has space again: {megabytes} MB are free");
                let line = format!(
                    "The disk of the store folder {shown} has enough space again: {megabytes} MB are free."
                );
                Some(notice("space-over", since, &line))
            }
            _ => None,
        }
    }
}

/// Failed database polls.
#[derive(Debug, Default)]
pub(crate) struct FailedLooks {
    /// The first of those in a row.
    since: Option<Timestamp>,
    count: u32,
}

impl FailedLooks {
    /// A poll ended; `failed` says why it has no result. Returns a notice for the room.
    pub(crate) fn looked(
        &mut self,
        failed: Option<&str>,
        now: Timestamp,
        view: &View,
    ) -> Option<Notice> {
        let Some(why) = failed else {
            let since = self.since.take()?;
            let told = std::mem::take(&mut self.count) >= FAILED;
            let span = view.span(since, now);
            let line =
                format!("The storm watch can query the database again. It could not from {span}.");
            return told.then(|| notice("database-over", since, &line));
        };
        let since = *self.since.get_or_insert(now);
        self.count = self.count.saturating_add(1);
        let line = format!(
            "The storm watch has not been able to query the database since {}: {}. Problems that no log line \
             shows are missed, and storms stay unconfirmed.",
            view.moment(since),
            why.trim_end_matches('.')
        );
        (self.count == FAILED).then(|| notice("database-begins", since, &line))
    }
}

/// A log that cannot show a storm. Its key names the day, so that a restart does not repeat it: the homeserver
/// accepts one message per key.
pub(crate) fn blind_log(of: &BlindLog, now: Timestamp) -> Notice {
    let BlindLog { log, text, how } = of;
    tracing::warn!("the storm watch cannot see every storm: {text}");
    let line = format!("The storm watch cannot see every storm. {}. Fix: {how}.", upper(text));
    let day = now.as_second().div_euclid(24 * 3600);
    let message = OutgoingMessage::quiet(&render::lines([line.as_str()]).reply());
    Notice { key: format!("watch-blind-{log}-{day}"), message }
}

/// With a capital in front.
fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn notice(what: &str, since: Timestamp, line: &str) -> Notice {
    let message = OutgoingMessage::quiet(&render::lines([line]).reply());
    Notice { key: format!("watch-{}-{what}", since.as_millisecond()), message }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::bot::storm_watch::notices::Notices;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + second).unwrap()
    }

    #[test]
    fn a_full_disk_is_said_once_and_so_is_its_end() {
        let view = View::in_zone(TimeZone::UTC);
        let full = anyhow!("SQLITE_FULL")
            .context("The ledger cannot be written: the disk is full. Free some space.");
        let mut trouble = LedgerTrouble::default();
        assert_eq!(trouble.worked(at(0), &view), None, "nothing was wrong");
        let said: Vec<_> =
            (0..7200).step_by(5).filter_map(|s| trouble.failed(&full, at(s), &view)).collect();
        assert_eq!(said.len(), 1);
        let words = &said[0].message.plain;
        assert!(words.starts_with("Storm alerts have been on hold since "), "{words}");
        assert!(words.contains("the disk is full") && !words.contains("SQLITE"), "{words}");
        assert!(!said[0].message.rings);
        let over = trouble.worked(at(7200), &view).unwrap();
        assert!(over.message.plain.starts_with("Storm alerts resumed: "), "{}", over.message.plain);
        assert_ne!(over.key, said[0].key);
        assert_eq!(trouble.worked(at(7205), &view), None);
        // A short one is for the log only.
        assert_eq!(trouble.failed(&full, at(8000), &view), None);
        assert_eq!(trouble.worked(at(8005), &view), None);
    }

    #[test]
    fn little_space_is_said_before_there_is_none() {
        let folder = Path::new("/var/lib/kestrel");
        let mut space = LowSpace::default();
        assert!(space.is_due(at(0)) && !space.is_due(at(9)) && space.is_due(at(10)));
        assert_eq!(space.seen(folder, SPARE, at(0)), None);
        let said: Vec<_> = (1..100).filter_map(|s| space.seen(folder, SPARE - 1, at(s))).collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].message.plain.contains("63 MB are free"), "{}", said[0].message.plain);
        assert_eq!(space.seen(folder, SPARE + 1, at(200)), None, "it would be said at every turn");
        let over = space.seen(folder, SPARE * 2, at(300)).unwrap();
        assert!(over.message.plain.contains("128 MB are free"), "{}", over.message.plain);
        assert_eq!(space.seen(folder, SPARE * 2, at(310)), None);
        assert!(space.seen(folder, 0, at(320)).is_some_and(|again| again.key != said[0].key));
    }

    #[test]
    fn a_database_that_refuses_is_said_once() {
        let view = View::in_zone(TimeZone::UTC);
        let mut looks = FailedLooks::default();
        let why = Some("the database rejected the role's password: no");
        assert_eq!(looks.looked(None, at(0), &view), None);
        assert_eq!(looks.looked(why, at(900), &view), None, "it may be restarting");
        assert_eq!(looks.looked(None, at(1800), &view), None);
        let said: Vec<_> =
            (3..30).filter_map(|look| looks.looked(why, at(look * 900), &view)).collect();
        assert_eq!(said.len(), 1);
        let words = &said[0].message.plain;
        assert!(
            words.contains(&view.moment(at(2700))) && words.contains("password: no."),
            "{words}"
        );
        let over = looks.looked(None, at(30 * 900), &view).unwrap();
        assert!(
            over.message.plain.contains("can query the database again"),
            "{}",
            over.message.plain
        );
        assert_eq!(looks.looked(None, at(31 * 900), &view), None);
    }

    #[test]
    fn a_blind_log_is_said_once_a_day() {
        let log = |name: &str| BlindLog {
            log: name.into(),
            text: format!("log {name} has no INFO line"),
            how: "add these lines".into(),
        };
        let first = blind_log(&log("main"), at(0));
        let words = &first.message.plain;
        assert!(words.contains("Log main has no INFO line. Fix: add these lines."), "{words}");
        assert!(!first.message.rings);
        // A process that starts again says it under the same key, which the homeserver takes once.
        assert_eq!(blind_log(&log("main"), at(60)).key, first.key);
        assert_ne!(blind_log(&log("main"), at(24 * 3600)).key, first.key);
        assert_ne!(blind_log(&log("worker"), at(0)).key, first.key);
    }

    #[test]
    fn notices_wait_in_order_and_are_bounded() {
        let notices = Notices::default();
        let of = |n: i64| notice("begins", at(n), "x");
        (0..30).for_each(|n| notices.say(of(n)));
        let oldest = notices.oldest().unwrap();
        assert_eq!(oldest, of(10));
        notices.said(&oldest);
        assert_eq!(notices.oldest(), Some(of(11)));
    }

    #[test]
    fn every_notice() {
        let view = View::in_zone(TimeZone::UTC);
        let mut said = Vec::new();
        let full = anyhow!("SQLITE_FULL")
            .context("The ledger cannot be written: the disk is full. Free some space.");
        let mut ledger = LedgerTrouble::default();
        said.extend((0..7200).step_by(5).filter_map(|s| ledger.failed(&full, at(s), &view)));
        said.extend(ledger.worked(at(7200), &view));
        let folder = Path::new("/var/lib/kestrel");
        let mut space = LowSpace::default();
        said.extend(space.seen(folder, SPARE - 1, at(0)));
        said.extend(space.seen(folder, SPARE * 2, at(300)));
        let mut looks = FailedLooks::default();
        let why = Some("the database rejected the role's password: no");
        said.extend((0..9).filter_map(|look| looks.looked(why, at(look * 900), &view)));
        said.extend(looks.looked(None, at(9 * 900), &view));
        let log = "main".into();
        let (text, how) = ("log main has no INFO line".into(), "add these lines".into());
        said.push(blind_log(&BlindLog { log, text, how }, at(0)));
        let page: String = said
            .iter()
            .map(|notice| format!("=== {} ===\n{}\n\n", notice.key, notice.message.plain))
            .collect();
        insta::assert_snapshot!("notices", page);
    }
}
