//! The logs, as they are written → storms in the ledger and messages that are owed to the room. It counts
//! whether or not the homeserver answers; what it found is durable before anybody is told.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Interval, interval};

use super::letter::Letter;
use super::watch_trouble::{FailedLooks, LedgerTrouble, LowSpace, Notice, Notices, blind_log};
use crate::collect::logs::follow::{Follow, Position, Round};
use crate::config::Config;
use crate::flow::{Cursor, Flow, Poll};
use crate::store::{Due, Known, Ledger, Step, free_space};
use kestrel_core::render::{self, View};
use kestrel_core::storm::{Change, Event, Muted, Thresholds, Watch};

/// How often what was counted is written down: a restart reads the lines since again, at scan speed.
const CALM: Duration = Duration::from_secs(60);
const STORMY: Duration = Duration::from_secs(5);
/// How often the room hears of a log that cannot show a storm.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// An idle client is refused twice a minute: one that is silent for longer may be over.
const STILL: SignedDuration = SignedDuration::from_secs(60);
/// Storms of the ledger that are looked through.
const KNOWN: usize = 1000;
/// Notes about the logs themselves that are posted in one life of the process; all of them are logged.
const NOTES: u32 = 12;

/// The watch's state, shared with those who word its alerts.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    watch: Arc<Mutex<Watch>>,
    /// Something is owed.
    pub(super) due: Arc<Notify>,
    /// What is to be said without the ledger.
    pub(super) notices: Notices,
}

impl Shared {
    /// The state as the ledger has it, under the thresholds of now.
    pub(super) fn restore(ledger: &Ledger, thresholds: Thresholds) -> Result<Self> {
        let newest = ledger.storms(1)?.first().map_or(0, |known| known.event.storm);
        let kept = ledger.watch()?.map(|text| serde_json::from_str::<Watch>(&text));
        let watch = match kept {
            Some(Ok(watch)) => watch.tuned(thresholds),
            Some(Err(error)) => {
                tracing::warn!("the watch's state is of another version and begins anew: {error}");
                Watch::new(thresholds)
            }
            None => Watch::new(thresholds),
        };
        let watch = Arc::new(Mutex::new(watch.numbered_after(newest)));
        Ok(Self { watch, due: Arc::new(Notify::new()), notices: Notices::default() })
    }

    /// Sets the state back to what the ledger has, for a task that reads the logs from the places there.
    pub(super) fn restore_again(&self, ledger: &Ledger, thresholds: Thresholds) -> Result<()> {
        let kept = Self::restore(ledger, thresholds)?;
        let watch = kept.lock().clone();
        *self.lock() = watch;
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Watch> {
        // A panic elsewhere while it was held leaves at worst one sight uncounted.
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the logs and keeps the ledger.
pub(super) struct Lookout {
    ledger: Ledger,
    shared: Shared,
    view: View,
    /// What a backlog came to, until it is read to its end.
    backlog: Vec<Event>,
    behind: bool,
    /// When this process began to read, and how far the logs had been read before.
    from: Timestamp,
    written: Option<Instant>,
    notes: u32,
    /// What is not written down yet. A place goes with what was counted up to it: a round tells only of logs
    /// that moved, and not every round is written.
    places: BTreeMap<String, Position>,
    unwritten: Vec<Event>,
    owed: Vec<Due>,
    trouble: LedgerTrouble,
    space: LowSpace,
    looks: FailedLooks,
}

impl Lookout {
    pub(super) fn new(config: &Config, view: View, ledger: Ledger, shared: Shared) -> Self {
        let within = crate::bot::thresholds(&config.watch).within;
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

    /// Follows until the process ends, and looks at the database now and then where that is asked for.
    pub(super) async fn keep(mut self, config: &Config, flow: &Flow) -> anyhow::Error {
        let saved = match self.saved() {
            Ok(saved) => saved,
            Err(error) => return error.context("the watch cannot read its ledger"),
        };
        let mut follow = Follow::start(config.logs.clone(), saved, self.from);
        tracing::info!("watching {} logs for storms", config.logs.len());
        let mut polls = config.watch.poll.map(interval);
        let mut days = Some(interval(DAILY));
        let mut cursor = Cursor::default();
        loop {
            let taken = tokio::select! {
                round = follow.next() => self.take(round),
                () = beat(&mut polls) => {
                    let poll = flow.poll(&mut cursor, Timestamp::now()).await;
                    tracing::info!("{}", poll.told());
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

    /// Says in time that the disk of the store folder is nearly full.
    fn look_at_disk(&mut self, folder: &Path) {
        let now = Timestamp::now();
        if !self.space.is_due(now) {
            return;
        }
        // A folder that cannot be asked is a matter of the ledger, whose next write says why.
        let notice = free_space(folder).ok().and_then(|free| self.space.seen(folder, free, now));
        self.say(notice);
    }

    /// Says something that needs no ledger.
    fn say(&self, notice: Option<Notice>) {
        let Some(notice) = notice else { return };
        self.shared.notices.say(notice);
        self.shared.due.notify_one();
    }

    /// The ledger could not be written. What is not written down is kept here, and read again by the next
    /// process: nothing is told twice.
    fn unwritable(&mut self, error: &anyhow::Error) {
        let notice = self.trouble.failed(error, Timestamp::now(), &self.view);
        self.say(notice);
    }

    fn saved(&self) -> Result<HashMap<String, Position>> {
        let mut saved = HashMap::new();
        for (source, place) in self.ledger.places()? {
            match serde_json::from_str(&place) {
                Ok(position) => drop(saved.insert(source, position)),
                Err(error) => tracing::warn!("the place in {source} is unreadable: {error}"),
            }
        }
        Ok(saved)
    }

    /// One round: counted, and written down where it matters.
    fn take(&mut self, round: Round) -> Result<()> {
        let now = Timestamp::now();
        let mut events = Vec::new();
        let reached = round.reached(now);
        let going_on = {
            let mut watch = self.shared.lock();
            for mut sight in round.sights {
                // A line may be dated ahead, by a clock or by a client.
                sight.at = sight.at.min(now);
                events.extend(watch.see(sight));
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
            // No place is written: the backlog behind these notes is not judged yet.
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

    /// What a look at the database came to. Written with the next round: it can be looked at again.
    fn polled(&mut self, poll: &Poll) {
        let nothing = poll.failed.as_deref().filter(|_| poll.covered.is_none());
        let notice = self.looks.looked(nothing, poll.at, &self.view);
        self.say(notice);
        let events = self.shared.lock().polled(poll);
        self.owed.extend(events.iter().cloned().map(Due::Storm));
        self.unwritten.extend(events);
    }

    /// Writes the places, what was counted up to them, and what is owed for it, all or nothing.
    /// Without the `watch`'s state no place either. How storms stand is not kept for another try: the next
    /// round knows better.
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

    /// What a backlog comes to: storms that go on are told as if they had just begun, those that were told
    /// before are told how they stand, and those that came and went are one message.
    fn sum_up(&mut self, known: &[Known], going_on: &[Event], now: Timestamp) {
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
            self.owed.push(Due::Words(Letter::quiet(&page.reply()).text()));
        }
    }

    /// Storms that go on and were never told: they were muted, or the database contradicted them then.
    fn untold(&self, going_on: &[Event], now: Timestamp) -> Result<Vec<Due>> {
        let known = self.ledger.storms(KNOWN)?;
        let owed = self.ledger.owed()?;
        // Those of an earlier round that could not be written wait too.
        let waiting = owed.iter().map(|owed| &owed.due).chain(&self.owed);
        let waits = |number| {
            let of = |due: &Due| matches!(due, Due::Storm(event) if event.storm == number);
            waiting.clone().any(of)
        };
        let mutes = self.ledger.mutes(now)?;
        let watch = self.shared.lock();
        let untold = |event: &&Event| {
            // One that fell silent meanwhile wakes nobody, nor one that another speaks for.
            if now.duration_since(event.last) > STILL || watch.is_part(event.storm) {
                return false;
            }
            let of = |known: &&Known| known.event.storm == event.storm;
            let was_muted = known.iter().find(of).is_some_and(|known| {
                known.root.is_none() && known.sure.is_none() && known.event.at < now
            });
            was_muted && !waits(event.storm) && !mutes.iter().any(|mute| holds(&mute.what, event))
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
        let letter = |note: &String| {
            let page = render::lines([format!("The storm watch: {note}").as_str()]);
            Due::Words(Letter::quiet(&page.reply()).text())
        };
        notes.iter().take(room).map(letter).collect()
    }
}

/// The next beat, where there is a rhythm.
async fn beat(rhythm: &mut Option<Interval>) {
    match rhythm {
        Some(rhythm) => drop(rhythm.tick().await),
        None => std::future::pending().await,
    }
}

/// Whether a mute silences a storm.
pub(super) fn holds(mute: &Muted, event: &Event) -> bool {
    match (mute, &event.whose) {
        (Muted::All, _) => true,
        (Muted::Storm(number), _) => *number == event.storm,
        (Muted::User(muted), kestrel_core::storm::Whose::Device { user, .. }) => {
            muted.as_str() == user
        }
        (Muted::User(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::Owed;
    use kestrel_core::evidence::log_event::{Sight, What};

    fn lookout(folder: &TempDir) -> Lookout {
        let config = Config::parse(super::super::BOT, Path::new(".")).unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let thresholds = crate::bot::thresholds(&config.watch);
        let shared = Shared::restore(&ledger, thresholds).unwrap();
        Lookout::new(&config, View::of(jiff::tz::TimeZone::UTC), ledger, shared)
    }

    fn ago(minutes: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_mins(minutes)
    }

    fn refused(user: &str, minutes: i64) -> Sight {
        let (user, device, key) = (user.to_owned(), "D".to_owned(), "a:1".to_owned());
        Sight { at: ago(minutes), count: 3, what: What::Refused { user, device, key } }
    }

    fn round(sights: Vec<Sight>, live: bool) -> Round {
        let read_to = sights.last().map(|sight| sight.at);
        Round { sights, places: Vec::new(), live, read_to, blind: None, notes: Vec::new() }
    }

    fn told(owed: &[Owed]) -> Vec<String> {
        let words = |owed: &Owed| match &owed.due {
            Due::Storm(event) => format!("{:?} {}", event.change, event.storm),
            Due::Words(text) => Letter::read(text).unwrap().plain,
        };
        owed.iter().map(words).collect()
    }

    #[test]
    fn a_backlog_is_summed_up_and_what_goes_on_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(&folder);
        lookout.take(round(vec![refused("@old:x", 200)], false)).unwrap();
        let going_on = [30, 25, 20, 15, 10, 5, 1].map(|minutes| refused("@new:x", minutes));
        lookout.take(round(going_on.to_vec(), false)).unwrap();
        assert!(lookout.ledger.owed().unwrap().is_empty(), "told before the backlog was read");
        lookout.take(round(Vec::new(), true)).unwrap();
        let owed = lookout.ledger.owed().unwrap();
        let said = told(&owed);
        assert_eq!(said[0], "Started 2");
        assert!(said[1].contains("one storm came and went") && said[1].contains("@old:x"));
        assert_eq!(said.len(), 2, "{said:?}");
        let Due::Storm(event) = &owed[0].due else { panic!("{owed:?}") };
        assert_eq!(event.count, 21);
    }

    #[test]
    fn a_restart_tells_the_end_of_what_was_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut before = lookout(&folder);
        before.take(round(vec![refused("@a:x", 1)], true)).unwrap();
        let owed = before.ledger.owed().unwrap();
        assert_eq!(told(&owed), ["Started 1"]);
        owed.iter().for_each(|owed| before.ledger.settle(owed.id).unwrap());
        drop(before);
        // The next process begins eleven minutes later, as far as the log tells.
        let mut after = lookout(&folder);
        let silent = Timestamp::now() + SignedDuration::from_mins(11);
        let ended = after.shared.lock().tick(silent);
        after.backlog.extend(ended);
        after.take(round(Vec::new(), true)).unwrap();
        assert_eq!(told(&after.ledger.owed().unwrap()), ["Ended 1"]);
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
        let mut lookout = lookout(&folder);
        let begun = Round { read_to: Some(ago(60)), ..round(vec![refused("@a:x", 60)], false) };
        lookout.take(begun).unwrap();
        let ends = |lookout: &Lookout| told(&lookout.ledger.owed().unwrap()).join(", ");
        lookout.take(Round { blind: Some(ago(60)), ..round(Vec::new(), true) }).unwrap();
        assert_eq!(ends(&lookout), "Started 1");
        lookout.take(round(Vec::new(), true)).unwrap();
        assert_eq!(ends(&lookout), "Started 1, Ended 1");
    }

    #[test]
    fn a_place_goes_with_what_was_counted_up_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(&folder);
        lookout.take(round(Vec::new(), true)).unwrap();
        // One refusal is no storm: this round is not written, and its log does not move in the next.
        let place =
            r#"{"files":[],"lead":0,"last":null,"began":null,"since":"2026-11-22T12:00:00Z"}"#;
        let mut moved = round(vec![Sight { count: 1, ..refused("@a:x", 0) }], true);
        moved.places = vec![("main".to_owned(), serde_json::from_str(place).unwrap())];
        lookout.take(moved).unwrap();
        assert!(lookout.ledger.places().unwrap().is_empty());
        lookout.take(round(vec![refused("@b:x", 0)], true)).unwrap();
        assert_eq!(lookout.ledger.places().unwrap().len(), 1, "its sight would count twice");
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(&folder);
        let whole = lookout.ledger.clone();
        let other = tempfile::tempdir().unwrap();
        let broken = Ledger::open(other.path()).unwrap();
        rusqlite::Connection::open(other.path().join("ledger.sqlite"))
            .and_then(|raw| raw.execute_batch("DROP TABLE owed"))
            .unwrap();
        lookout.ledger = broken;
        assert!(lookout.take(round(vec![refused("@a:x", 1)], true)).is_err());
        lookout.ledger = whole;
        lookout.take(round(Vec::new(), true)).unwrap();
        assert_eq!(told(&lookout.ledger.owed().unwrap()), ["Started 1"]);
    }

    #[test]
    fn while_nothing_can_be_written_it_counts_on_and_keeps_little() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(&folder);
        let raw = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).unwrap();
        lookout.take(round(vec![refused("@a:x", 1)], true)).unwrap();
        raw.execute_batch("ALTER TABLE owed RENAME TO away").unwrap();
        for _ in 0..200 {
            assert!(lookout.take(round(vec![refused("@b:x", 0)], true)).is_err());
        }
        assert!(lookout.unwritten.len() <= 3, "{}", lookout.unwritten.len());
        assert!(lookout.owed.len() <= 3, "{}", lookout.owed.len());
        raw.execute_batch("ALTER TABLE away RENAME TO owed").unwrap();
        lookout.take(round(Vec::new(), true)).unwrap();
        assert_eq!(told(&lookout.ledger.owed().unwrap()), ["Started 1", "Started 2"]);
        let known = lookout.ledger.storm(2).unwrap().unwrap();
        let counts = lookout.shared.lock().going_on();
        let count = counts.iter().find(|event| event.storm == 2).unwrap().count;
        assert_eq!((count, known.event.storm), (600, 2));
    }

    #[test]
    fn a_mute_silences_what_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(&folder);
        let event = lookout.shared.lock().see(refused("@a:x", 0)).remove(0);
        lookout.notes += NOTES;
        assert!(lookout.notes(&["too many of these".into()]).is_empty());
        for (what, silent) in [
            (Muted::All, true),
            (Muted::Storm(1), true),
            (Muted::Storm(2), false),
            (Muted::User("@a:x".try_into().unwrap()), true),
            (Muted::User("@b:x".try_into().unwrap()), false),
        ] {
            assert_eq!(holds(&what, &event), silent, "{what:?}");
        }
    }
}
