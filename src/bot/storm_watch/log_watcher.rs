//! The logs, as they are written → storms in the ledger and pending alerts. It counts also while the homeserver is
//! offline; its findings are saved before anything is posted.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Interval, interval};

use super::notices::Notice;
use super::shared_state::SharedWatch;
use super::trouble::{FailedLooks, LedgerTrouble, LowSpace, blind_log};
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::collect::logs::follow::{Follower, Position, Round};
use crate::config::Config;
use crate::flow::{Cursor, Flow, Poll};
use crate::store::{Due, Ledger, Step, StoredStorm, free_space};
use kestrel_core::render::{self, View};
use kestrel_core::storm::{Change, Event};

/// How often the counts are saved: after a restart the lines since then are read again, at scan speed.
const CALM: Duration = Duration::from_secs(60);
const STORMY: Duration = Duration::from_secs(5);
/// How often the room is told about a log that cannot show a storm.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// An idle client is refused twice a minute: a longer silence may mean that the storm ended.
const STILL: SignedDuration = SignedDuration::from_secs(60);
/// Storms of the ledger that are looked through.
const KNOWN: usize = 1000;
/// Notes about the logs themselves that one process posts; all of them are logged.
const NOTES: u32 = 12;

/// Follows the logs and keeps the ledger.
pub(crate) struct LogWatcher {
    ledger: Ledger,
    shared: SharedWatch,
    view: View,
    /// The events of a backlog, until it is read to its end.
    backlog: Vec<Event>,
    behind: bool,
    /// When this process began to read, and how far the logs had been read before.
    from: Timestamp,
    written: Option<Instant>,
    notes: u32,
    /// What is not saved yet. A read position is saved together with the counts up to it: a round reports only logs
    /// that moved, and not every round is saved.
    places: BTreeMap<String, Position>,
    unwritten: Vec<Event>,
    owed: Vec<Due>,
    trouble: LedgerTrouble,
    space: LowSpace,
    looks: FailedLooks,
}

impl LogWatcher {
    pub(crate) fn new(config: &Config, view: View, ledger: Ledger, shared: SharedWatch) -> Self {
        let within = config.watch.thresholds.clone().within;
        let now = Timestamp::now();
        let from = now.checked_sub(within).unwrap_or(now);
        Self {
            ledger,
            shared,
            view,
            backlog: Vec::new(),
            behind: true,
            from,
            written: None,
            notes: 0,
            places: BTreeMap::new(),
            unwritten: Vec::new(),
            owed: Vec::new(),
            trouble: LedgerTrouble::default(),
            space: LowSpace::default(),
            looks: FailedLooks::default(),
        }
    }

    /// Follows the logs until the process ends, and polls the database if configured.
    pub(crate) async fn keep(mut self, config: &Config, flow: &Flow) -> anyhow::Error {
        let saved = match self.saved() {
            Ok(saved) => saved,
            Err(error) => return error.context("the watch cannot read its ledger"),
        };
        let mut follow = Follower::start(config.logs.clone(), saved, self.from);
        tracing::info!("watching {} logs for storms", config.logs.len());
        let mut polls = config.watch.poll.map(interval);
        let mut days = Some(interval(DAILY));
        let mut cursor = Cursor::default();
        loop {
            let taken = tokio::select! {
                round = follow.next() => self.take(round),
                () = beat(&mut polls) => {
                    let poll = flow.poll(&mut cursor, Timestamp::now()).await;
                    tracing::info!("{}", poll.summary());
                    self.polled(&poll);
                    Ok(())
                }
                () = beat(&mut days) => {
                    let now = Timestamp::now();
                    let blind = flow.blind_logs(now).await;
                    blind.iter().for_each(|log| self.say(Some(blind_log(log, now))));
                    Ok(())
                }
            };
            if let Err(error) = taken {
                self.unwritable(&error);
                tokio::time::sleep(STORMY).await;
            }
            self.look_at_disk(&config.store);
        }
    }

    /// Warns in time that the disk of the store folder is nearly full.
    fn look_at_disk(&mut self, folder: &Path) {
        let now = Timestamp::now();
        if !self.space.is_due(now) {
            return;
        }
        // If the free space is unknown, the next write to the ledger shows the problem.
        let notice = free_space(folder).ok().and_then(|free| self.space.seen(folder, free, now));
        self.say(notice);
    }

    /// Posts a notice that is not in the ledger.
    fn say(&self, notice: Option<Notice>) {
        let Some(notice) = notice else { return };
        self.shared.notices.say(notice);
        self.shared.due.notify_one();
    }

    /// The ledger could not be written. Unsaved counts are kept here, and read again by the next process: nothing is
    /// posted twice.
    fn unwritable(&mut self, error: &anyhow::Error) {
        let notice = self.trouble.failed(error, Timestamp::now(), &self.view);
        self.say(notice);
    }

    fn saved(&self) -> Result<HashMap<String, Position>> {
        let mut saved = HashMap::new();
        for (source, place) in self.ledger.places()? {
            match serde_json::from_str(&place) {
                Ok(position) => drop(saved.insert(source, position)),
                Err(error) => {
                    tracing::warn!("the saved read position of {source} is unreadable: {error}")
                }
            }
        }
        Ok(saved)
    }

    /// One round: counted, and saved when needed.
    fn take(&mut self, round: Round) -> Result<()> {
        let now = Timestamp::now();
        let mut events = Vec::new();
        let reached = round.reached(now);
        let going_on = {
            let mut watch = self.shared.lock();
            for mut log_event in round.log_events {
                // A line may be dated ahead, by a clock or by a client.
                log_event.at = log_event.at.min(now);
                events.extend(watch.see(log_event));
            }
            events.extend(reached.map(|at| watch.tick(at)).unwrap_or_default());
            watch.going_on()
        };
        let notes = self.notes(&round.notes);
        self.owed.extend(notes);
        self.places.extend(round.places);
        if !round.live {
            self.backlog.extend(events);
            self.behind = true;
            // No read position is saved: the backlog is not judged yet.
            return if self.owed.is_empty() { Ok(()) } else { self.write(None, &[]) };
        }
        let often = if going_on.is_empty() { CALM } else { STORMY };
        let rested = self.written.is_none_or(|written| written.elapsed() >= often);
        let was_behind = std::mem::take(&mut self.behind);
        if was_behind {
            self.backlog.extend(events);
            let known = self.ledger.storms(KNOWN).inspect_err(|_| self.behind = true)?;
            self.sum_up(&known, &going_on, now);
        } else {
            self.owed.extend(events.iter().cloned().map(Due::Storm));
            self.unwritten.extend(events);
        }
        if rested && !going_on.is_empty() {
            let untold = self.untold(&going_on, now)?;
            self.owed.extend(untold);
        }
        if !rested && !was_behind && self.unwritten.is_empty() && self.owed.is_empty() {
            return Ok(());
        }
        let state = serde_json::to_string(&*self.shared.lock())?;
        self.write(Some(&state), &going_on)
    }

    /// The result of a database poll. Saved with the next round: the poll can be repeated.
    fn polled(&mut self, poll: &Poll) {
        let nothing = poll.failed.as_deref().filter(|_| poll.covered.is_none());
        let notice = self.looks.looked(nothing, poll.at, &self.view);
        self.say(notice);
        let events = self.shared.lock().polled(poll);
        self.owed.extend(events.iter().cloned().map(Due::Storm));
        self.unwritten.extend(events);
    }

    /// Saves the read positions, the counts up to them, and the pending alerts, all or nothing. Without the `watch`'s
    /// state no position either. The current state of storms is not kept for another try: the next round has a newer
    /// one.
    fn write(&mut self, watch: Option<&str>, going_on: &[Event]) -> Result<()> {
        let place = |(source, position): (&String, &Position)| {
            Ok((source.clone(), serde_json::to_string(position)?))
        };
        let counted = self.places.iter().filter(|_| watch.is_some());
        let places: Vec<_> = counted.map(place).collect::<Result<_>>()?;
        let storms = [going_on, &self.unwritten].concat();
        self.ledger.record(&Step { places: &places, watch, storms: &storms, owed: &self.owed })?;
        let over = self.trouble.worked(Timestamp::now(), &self.view);
        self.say(over);
        let tells = !self.owed.is_empty();
        self.unwritten.clear();
        self.owed.clear();
        if watch.is_some() {
            self.places.clear();
            self.written = Some(Instant::now());
        }
        if tells {
            self.shared.due.notify_one();
        }
        Ok(())
    }

    /// Sums up a backlog: ongoing storms are posted as if they had just begun, known ones get an update, and those
    /// that started and ended are one message.
    fn sum_up(&mut self, known: &[StoredStorm], going_on: &[Event], now: Timestamp) {
        let backlog = std::mem::take(&mut self.backlog);
        let newest: BTreeMap<u64, Event> =
            backlog.into_iter().map(|event| (event.storm, event)).collect();
        let mut gone = Vec::new();
        for (number, last) in newest {
            let told = known.iter().any(|known| known.event.storm == number);
            match going_on.iter().find(|event| event.storm == number) {
                Some(stands) if !told => {
                    let began = Event { change: Change::Started, at: now, ..stands.clone() };
                    self.owed.push(Due::Storm(began));
                }
                None if !told => gone.push(last.clone()),
                _ => self.owed.push(Due::Storm(last.clone())),
            }
            self.unwritten.push(last);
        }
        if !gone.is_empty() {
            let from = gone.iter().map(|event| event.first).min().unwrap_or(now);
            let page = render::storm::summary(&gone, from.min(self.from), now, &self.view);
            self.owed.push(Due::Words(OutgoingMessage::quiet(&page.reply()).text()));
        }
    }

    /// Ongoing storms that were never posted: they were muted, or the database contradicted them then.
    fn untold(&self, going_on: &[Event], now: Timestamp) -> Result<Vec<Due>> {
        let known = self.ledger.storms(KNOWN)?;
        let owed = self.ledger.owed()?;
        // Those of an earlier round that could not be saved wait too.
        let waiting = owed.iter().map(|owed| &owed.due).chain(&self.owed);
        let waits = |number| {
            let of = |due: &Due| matches!(due, Due::Storm(event) if event.storm == number);
            waiting.clone().any(of)
        };
        let mutes = self.ledger.mutes(now)?;
        let watch = self.shared.lock();
        let untold = |event: &&Event| {
            // A storm that went quiet is not posted, nor one that is part of another.
            if now.duration_since(event.last) > STILL || watch.is_part(event.storm) {
                return false;
            }
            let of = |known: &&StoredStorm| known.event.storm == event.storm;
            let was_muted = known.iter().find(of).is_some_and(|known| {
                known.root.is_none() && known.sure.is_none() && known.event.at < now
            });
            was_muted && !waits(event.storm) && !mutes.iter().any(|mute| mute.what.covers(event))
        };
        let began = |event: &Event| Event { change: Change::Started, at: now, ..event.clone() };
        Ok(going_on.iter().filter(untold).map(|event| Due::Storm(began(event))).collect())
    }

    fn notes(&mut self, notes: &[String]) -> Vec<Due> {
        for note in notes {
            tracing::warn!("{note}");
        }
        let room = usize::try_from(NOTES.saturating_sub(self.notes)).unwrap_or(0);
        self.notes += u32::try_from(notes.len().min(room)).unwrap_or(0);
        let message = |note: &String| {
            let page = render::lines([format!("Storm watch: {note}").as_str()]);
            Due::Words(OutgoingMessage::quiet(&page.reply()).text())
        };
        notes.iter().take(room).map(message).collect()
    }
}

/// The next beat, where there is a rhythm.
async fn beat(rhythm: &mut Option<Interval>) {
    match rhythm {
        Some(rhythm) => drop(rhythm.tick().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::Owed;
    use kestrel_core::evidence::log_event::{LogEvent, What};
    use kestrel_core::storm::Muted;

    fn watcher(folder: &TempDir) -> LogWatcher {
        let config = Config::parse(crate::bot::settings::BOT, Path::new(".")).unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let thresholds = config.watch.thresholds.clone();
        let shared = SharedWatch::restore(&ledger, thresholds).unwrap();
        LogWatcher::new(&config, View::in_zone(jiff::tz::TimeZone::UTC), ledger, shared)
    }

    fn ago(minutes: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_mins(minutes)
    }

    fn refused(user: &str, minutes: i64) -> LogEvent {
        let user = user.try_into().unwrap();
        let device = "D".into();
        let key = "a:1".to_owned();
        LogEvent { at: ago(minutes), count: 3, what: What::Refused { user, device, key } }
    }

    fn round(log_events: Vec<LogEvent>, live: bool) -> Round {
        let read_to = log_events.last().map(|log_event| log_event.at);
        Round { log_events, places: Vec::new(), live, read_to, blind: None, notes: Vec::new() }
    }

    fn worded(owed: &[Owed]) -> Vec<String> {
        let words = |owed: &Owed| match &owed.due {
            Due::Storm(event) => format!("{:?} {}", event.change, event.storm),
            Due::Words(text) => OutgoingMessage::read(text).unwrap().plain,
        };
        owed.iter().map(words).collect()
    }

    #[test]
    fn a_backlog_is_summed_up_and_what_goes_on_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        watcher.take(round(vec![refused("@old:x", 200)], false)).unwrap();
        let going_on = [30, 25, 20, 15, 10, 5, 1].map(|minutes| refused("@new:x", minutes));
        watcher.take(round(going_on.to_vec(), false)).unwrap();
        assert!(watcher.ledger.owed().unwrap().is_empty(), "told before the backlog was read");
        watcher.take(round(Vec::new(), true)).unwrap();
        let owed = watcher.ledger.owed().unwrap();
        let said = worded(&owed);
        assert_eq!(said[0], "Started 2");
        assert!(said[1].contains("1 storm started and ended") && said[1].contains("@old:x"));
        assert_eq!(said.len(), 2, "{said:?}");
        let Due::Storm(event) = &owed[0].due else { panic!("{owed:?}") };
        assert_eq!(event.count, 21);
    }

    #[test]
    fn a_restart_tells_the_end_of_what_was_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut before = watcher(&folder);
        before.take(round(vec![refused("@a:x", 1)], true)).unwrap();
        let owed = before.ledger.owed().unwrap();
        assert_eq!(worded(&owed), ["Started 1"]);
        owed.iter().for_each(|owed| before.ledger.settle(owed.id).unwrap());
        drop(before);
        // The next process begins eleven minutes later, as far as the log tells.
        let mut after = watcher(&folder);
        let silent = Timestamp::now() + SignedDuration::from_mins(11);
        let ended = after.shared.lock().tick(silent);
        after.backlog.extend(ended);
        after.take(round(Vec::new(), true)).unwrap();
        assert_eq!(worded(&after.ledger.owed().unwrap()), ["Ended 1"]);
        // Its number is not given again.
        let mut events = Vec::new();
        for minutes in [-30, -29] {
            events.extend(after.shared.lock().see(refused("@b:x", minutes)));
        }
        assert!(events.iter().any(|event| event.storm == 2), "{events:?}");
    }

    #[test]
    fn a_log_that_cannot_be_read_gives_no_all_clear() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        let begun = Round { read_to: Some(ago(60)), ..round(vec![refused("@a:x", 60)], false) };
        watcher.take(begun).unwrap();
        let ends = |watcher: &LogWatcher| worded(&watcher.ledger.owed().unwrap()).join(", ");
        watcher.take(Round { blind: Some(ago(60)), ..round(Vec::new(), true) }).unwrap();
        assert_eq!(ends(&watcher), "Started 1");
        watcher.take(round(Vec::new(), true)).unwrap();
        assert_eq!(ends(&watcher), "Started 1, Ended 1");
    }

    #[test]
    fn a_place_goes_with_what_was_counted_up_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        watcher.take(round(Vec::new(), true)).unwrap();
        // One refusal is no storm: this round is not written, and its log does not move in the next.
        let place =
            r#"{"files":[],"lead":0,"last":null,"began":null,"since":"2026-11-22T12:00:00Z"}"#;
        let mut moved = round(vec![LogEvent { count: 1, ..refused("@a:x", 0) }], true);
        moved.places = vec![("main".to_owned(), serde_json::from_str(place).unwrap())];
        watcher.take(moved).unwrap();
        assert!(watcher.ledger.places().unwrap().is_empty());
        watcher.take(round(vec![refused("@b:x", 0)], true)).unwrap();
        assert_eq!(watcher.ledger.places().unwrap().len(), 1, "its log_event would count twice");
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        let whole = watcher.ledger.clone();
        let other = tempfile::tempdir().unwrap();
        let broken = Ledger::open(other.path()).unwrap();
        rusqlite::Connection::open(other.path().join("ledger.sqlite"))
            .and_then(|raw| raw.execute_batch("DROP TABLE owed"))
            .unwrap();
        watcher.ledger = broken;
        assert!(watcher.take(round(vec![refused("@a:x", 1)], true)).is_err());
        watcher.ledger = whole;
        watcher.take(round(Vec::new(), true)).unwrap();
        assert_eq!(worded(&watcher.ledger.owed().unwrap()), ["Started 1"]);
    }

    #[test]
    fn while_nothing_can_be_written_it_counts_on_and_keeps_little() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        let raw = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).unwrap();
        watcher.take(round(vec![refused("@a:x", 1)], true)).unwrap();
        raw.execute_batch("ALTER TABLE owed RENAME TO away").unwrap();
        for _ in 0..200 {
            assert!(watcher.take(round(vec![refused("@b:x", 0)], true)).is_err());
        }
        assert!(watcher.unwritten.len() <= 3, "{}", watcher.unwritten.len());
        assert!(watcher.owed.len() <= 3, "{}", watcher.owed.len());
        raw.execute_batch("ALTER TABLE away RENAME TO owed").unwrap();
        watcher.take(round(Vec::new(), true)).unwrap();
        assert_eq!(worded(&watcher.ledger.owed().unwrap()), ["Started 1", "Started 2"]);
        let known = watcher.ledger.storm(2).unwrap().unwrap();
        let counts = watcher.shared.lock().going_on();
        let count = counts.iter().find(|event| event.storm == 2).unwrap().count;
        assert_eq!((count, known.event.storm), (600, 2));
    }

    #[test]
    fn a_mute_silences_what_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = watcher(&folder);
        let event = watcher.shared.lock().see(refused("@a:x", 0)).remove(0);
        watcher.notes += NOTES;
        assert!(watcher.notes(&["too many of these".into()]).is_empty());
        for (what, silent) in [
            (Muted::All, true),
            (Muted::Storm(1), true),
            (Muted::Storm(2), false),
            (Muted::User("@a:x".try_into().unwrap()), true),
            (Muted::User("@b:x".try_into().unwrap()), false),
        ] {
            assert_eq!(what.covers(&event), silent, "{what:?}");
        }
    }
}
