//! What must outlive the process → one embedded database, and back: of the storm watch the places in the
//! logs, its state, storms, messages that are due and mutes; the cases and captures; what was asked and is
//! not answered, and answers that are not sent.
//!
//! A step is written whole or not at all, and is on the disk when the call returns: whoever posts a message
//! after it finds it again after a crash. Terminal commands open the same file beside a running bot. What
//! people or clients wrote is only ever a bound parameter, never a part of SQL.

mod captures;
mod cases;
mod command_copies;
mod outgoing;
mod room_changes;
mod schema;
mod storm_roots;
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use ruma::{OwnedEventId, OwnedRoomId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

pub use captures::KeptCapture;
pub use cases::{Kept, NewCase};
use kestrel_core::storm::{Change, Confirmation, Event, Mute, Muted};
pub use outgoing::{Dropped, NewMessage, Outgoing};
pub use room_changes::{Absence, Upgrade};
pub use tasks::{Accepted, HandedIn};

/// How many storms are kept; the lowest numbers go first. A storm is about half a kilobyte.
const KEPT_STORMS: i64 = 1000;

/// The file's name in the store.
const FILE: &str = "ledger.sqlite";

/// The database, open. Its calls wait for the disk, milliseconds each.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// One step of the watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step<'a> {
    /// Source name → position, of the sources that moved; opaque text.
    pub places: &'a [(String, String)],
    /// The watch's new state, where it changed; opaque text.
    pub watch: Option<&'a str>,
    /// What is new of storms, oldest first.
    pub storms: &'a [Event],
    /// Messages that it makes due, oldest first.
    pub owed: &'a [Due],
}

/// A storm as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStorm {
    /// The newest: counts, last moment.
    pub event: Event,
    /// When it was first told of; `event.first` is when its first line was written.
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// A verdict's name.
    pub verdict: Option<String>,
    pub sure: Option<Confirmation>,
    /// The room and the message that its thread hangs on.
    pub root: Option<(OwnedRoomId, OwnedEventId)>,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// What is new of a storm.
    Storm(Event),
    /// Words of its own.
    Words(String),
}

/// A message that is due and was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Never given twice.
    pub id: i64,
    pub due: Due,
    /// As it will be sent, once composed.
    pub text: Option<String>,
}

impl Ledger {
    /// Opens the ledger in a store folder, for the process that holds the store, or for a terminal command
    /// beside it. Made when it is not there.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let connection = Mutex::new(schema::open(&path)?);
        Ok(Self { inner: Arc::new(Inner { path, connection }) })
    }

    /// Whether a store folder has a ledger: a command that only looks makes none.
    pub fn is_in(folder: &Path) -> Result<bool> {
        let path = folder.join(FILE);
        path.try_exists().with_context(|| format!("{} cannot be looked for", path.display()))
    }

    /// One step of the watch, written whole or not at all, and durable when this returns.
    pub fn record(&self, step: &Step<'_>) -> Result<()> {
        self.write(|tx| {
            for (source, position) in step.places {
                let sql = "INSERT INTO place (source, position) VALUES (?1, ?2)
                           ON CONFLICT (source) DO UPDATE SET position = excluded.position";
                tx.execute(sql, params![source, position])?;
            }
            if let Some(state) = step.watch {
                let sql = "INSERT INTO watch (one, state) VALUES (1, ?1)
                           ON CONFLICT (one) DO UPDATE SET state = excluded.state";
                tx.execute(sql, params![state])?;
            }
            step.storms.iter().try_for_each(|event| note(tx, event))?;
            for due in step.owed {
                let due = serde_json::to_string(due)?;
                tx.execute("INSERT INTO owed (due) VALUES (?1)", params![due])?;
            }
            Ok(())
        })
    }

    /// Source name → position, as the newest steps left them.
    pub fn places(&self) -> Result<Vec<(String, String)>> {
        self.rows("SELECT source, position FROM place ORDER BY source", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The state of the watch, as the newest step left it.
    pub fn watch(&self) -> Result<Option<String>> {
        let state = self.rows("SELECT state FROM watch", |row| row.get(0));
        Ok(state?.pop())
    }

    /// Storms, the newest number first. One of another version's shape is passed over; the log says so.
    pub fn storms(&self, most: usize) -> Result<Vec<StoredStorm>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.known("ORDER BY number DESC LIMIT ?1", most)
    }

    /// One storm.
    pub fn storm(&self, number: u64) -> Result<Option<StoredStorm>> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        Ok(self.known("WHERE number = ?1", number)?.pop())
    }

    /// What a storm was judged to be. One that is not known stays unknown.
    pub fn judged(&self, number: u64, verdict: &str, sure: &Confirmation) -> Result<()> {
        let Ok(number) = i64::try_from(number) else { return Ok(()) };
        let sure = serde_json::to_string(sure)?;
        let sql = "UPDATE storm SET verdict = ?2, sure = ?3 WHERE number = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![number, verdict, sure]).map(drop)?))
    }

    /// Messages that are due and not sent, oldest first. One of another version's shape is passed over.
    pub fn owed(&self) -> Result<Vec<Owed>> {
        let rows = self.rows("SELECT id, due, text FROM owed ORDER BY id", |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        let read = |(id, due, text): (i64, String, Option<String>)| match serde_json::from_str(&due)
        {
            Ok(due) => Some(Owed { id, due, text }),
            Err(error) => {
                tracing::warn!("message {id} that is due is of another version: {error}");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// The message's text as it will be sent, so that a retry says the same.
    pub fn compose(&self, id: i64, text: &str) -> Result<()> {
        let sql = "UPDATE owed SET text = ?2 WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id, text]).map(drop)?))
    }

    /// Writes a message that is due as it stands: an error where nothing can be written now.
    pub fn touch(&self, id: i64) -> Result<()> {
        let sql = "UPDATE owed SET due = due WHERE id = ?1";
        self.write(|tx| Ok(tx.execute(sql, params![id]).map(drop)?))
    }

    /// It was sent, or is not to be sent any more.
    pub fn settle(&self, id: i64) -> Result<()> {
        self.write(|tx| Ok(tx.execute("DELETE FROM owed WHERE id = ?1", params![id]).map(drop)?))
    }

    /// From now on; a later one of the same takes its place.
    pub fn mute(&self, mute: &Mute) -> Result<()> {
        let (what, until) = (name(&mute.what)?, mute.until.as_microsecond());
        let sql = "INSERT INTO mute (what, until, asked) VALUES (?1, ?2, ?3)
                   ON CONFLICT (what) DO UPDATE SET until = excluded.until, asked = excluded.asked";
        self.write(|tx| Ok(tx.execute(sql, params![what, until, mute.by]).map(drop)?))
    }

    /// Ends a mute, and says whether there was one.
    pub fn unmute(&self, what: &Muted) -> Result<bool> {
        let what = name(what)?;
        self.write(|tx| Ok(tx.execute("DELETE FROM mute WHERE what = ?1", params![what])? > 0))
    }

    /// Ends all mutes, and says how many there were.
    pub fn unmute_everything(&self) -> Result<usize> {
        self.write(|tx| Ok(tx.execute("DELETE FROM mute", [])?))
    }

    /// Mutes that still hold, the first to end first. Those that ended are forgotten.
    pub fn mutes(&self, now: Timestamp) -> Result<Vec<Mute>> {
        let rows = self
            .rows("SELECT what, until, asked FROM mute ORDER BY until, what", |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
            })?;
        let (mut hold, mut ended) = (Vec::new(), false);
        for (what, until, by) in rows {
            let until = Timestamp::from_microsecond(until).unwrap_or(Timestamp::MAX);
            match serde_json::from_str(&what) {
                Ok(what) if until > now => hold.push(Mute { what, until, by }),
                Ok(_) => ended = true,
                Err(error) => tracing::warn!("a mute is of another version: {error}"),
            }
        }
        if ended {
            let sql = "DELETE FROM mute WHERE until <= ?1";
            self.write(|tx| Ok(tx.execute(sql, params![now.as_microsecond()])?))?;
        }
        Ok(hold)
    }

    fn known(&self, which: &str, number: i64) -> Result<Vec<StoredStorm>> {
        let sql = format!(
            "SELECT number, event, started, ended, verdict, sure, room, root FROM storm {which}"
        );
        let rows = self.read(|tx| {
            let mut query = tx.prepare(&sql)?;
            let rows = query.query_map(params![number], StormRow::read)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(rows.into_iter().filter_map(StormRow::known).collect())
    }

    fn rows<T>(
        &self,
        sql: &str,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.read(|tx| tx.prepare(sql)?.query_map([], row)?.collect())
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|error| schema::explain(&self.inner.path, error))
    }

    /// Everything that `work` does, or nothing of it. It waits for another process's write first: one that
    /// began as a read could not.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        // A panic elsewhere while it was held has rolled its transaction back.
        let mut connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |error: anyhow::Error| match error.downcast::<rusqlite::Error>() {
            Ok(error) => schema::explain(&self.inner.path, error),
            Err(error) => error,
        };
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = tx.map_err(|error| plain(error.into()))?;
        let came = work(&tx).map_err(plain)?;
        tx.commit().map_err(|error| plain(error.into()))?;
        Ok(came)
    }
}

/// Notes what is new of a storm. A number whose storm began at another moment was given anew, after the
/// watch's state was lost: nothing of the old storm holds for it.
fn note(tx: &Transaction<'_>, event: &Event) -> Result<()> {
    let number = i64::try_from(event.storm)
        .with_context(|| format!("storm {} has a number that cannot be kept", event.storm))?;
    let held = "SELECT event FROM storm WHERE number = ?1";
    let held: Option<String> = tx.query_row(held, params![number], |row| row.get(0)).optional()?;
    let same = held.as_deref().and_then(|text| serde_json::from_str::<Event>(text).ok());
    let same = same.is_some_and(|old| (old.kind, old.first) == (event.kind, event.first));
    let (text, at) = (serde_json::to_string(event)?, event.at.as_microsecond());
    if !same {
        let sql = "INSERT OR REPLACE INTO storm (number, event, started) VALUES (?1, ?2, ?3)";
        tx.execute(sql, params![number, text, at])?;
        tx.execute("DELETE FROM storm_copy WHERE number = ?1", params![number])?;
    } else {
        tx.execute("UPDATE storm SET event = ?2 WHERE number = ?1", params![number, text])?;
    }
    let ended = match event.change {
        Change::Ended => Some(at),
        Change::Started | Change::Resumed => None,
        Change::Worse | Change::Spread | Change::Cause => return prune(tx),
    };
    tx.execute("UPDATE storm SET ended = ?2 WHERE number = ?1", params![number, ended])?;
    prune(tx)
}

fn prune(tx: &Transaction<'_>) -> Result<()> {
    let sql = "DELETE FROM storm WHERE number <=
               (SELECT number FROM storm ORDER BY number DESC LIMIT 1 OFFSET ?1)";
    Ok(tx.execute(sql, params![KEPT_STORMS]).map(drop)?)
}

/// What is muted, as a key: its JSON, which is one text for one thing.
fn name(what: &Muted) -> Result<String> {
    Ok(serde_json::to_string(what)?)
}

/// A storm's row as it lies in the database.
struct StormRow {
    number: i64,
    event: String,
    started: i64,
    ended: Option<i64>,
    verdict: Option<String>,
    sure: Option<String>,
    room: Option<String>,
    root: Option<String>,
}

impl StormRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            event: row.get(1)?,
            started: row.get(2)?,
            ended: row.get(3)?,
            verdict: row.get(4)?,
            sure: row.get(5)?,
            room: row.get(6)?,
            root: row.get(7)?,
        })
    }

    fn known(self) -> Option<StoredStorm> {
        let number = self.number;
        self.checked()
            .inspect_err(|error| tracing::warn!("storm {number} is of another version: {error:#}"))
            .ok()
    }

    fn checked(self) -> Result<StoredStorm> {
        Ok(StoredStorm {
            event: serde_json::from_str(&self.event)?,
            started: Timestamp::from_microsecond(self.started)?,
            ended: self.ended.map(Timestamp::from_microsecond).transpose()?,
            verdict: self.verdict,
            sure: self.sure.as_deref().map(serde_json::from_str).transpose()?,
            root: match self.room.zip(self.root) {
                Some((room, root)) => Some((room.try_into()?, root.try_into()?)),
                None => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ruma::{event_id, room_id, user_id};

    use super::*;
    use kestrel_core::storm::{StormKind, Whose};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_000 + second).unwrap()
    }

    /// A storm of a device; what is new of it, and how many it counts.
    fn event(storm: u64, change: Change, second: i64, count: u64) -> Event {
        Event {
            at: at(second),
            storm,
            change,
            kind: StormKind::OtkConflict,
            whose: Whose::Device { user: "@a:example.org".into(), device: "DEV".into() },
            trigger: "signed_curve25519:AAAAAAAAAA0".into(),
            count,
            devices: 1,
            first: at(0),
            last: at(second),
        }
    }

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        (folder, ledger)
    }

    fn storms(ledger: &Ledger, events: &[Event]) {
        ledger.record(&Step { storms: events, ..Step::default() }).unwrap();
    }

    /// Everything in it, for comparing.
    fn all(ledger: &Ledger) -> String {
        let (places, watch) = (ledger.places().unwrap(), ledger.watch().unwrap());
        let (storms, owed) = (ledger.storms(5000).unwrap(), ledger.owed().unwrap());
        format!("{places:?} {watch:?} {storms:?} {owed:?}")
    }

    /// A step that touches every table, with `round` all over it.
    fn step(ledger: &Ledger, round: u64) {
        let places = [("log:main".to_owned(), format!("{{\"offset\":{round}}}"))];
        let storms =
            [event(1, Change::Worse, 0, round), event(round + 2, Change::Started, 0, round)];
        let owed = [Due::Words(round.to_string()), Due::Storm(event(1, Change::Worse, 0, round))];
        let state = format!("state {round} {}", "x".repeat(9000));
        let step = Step { places: &places, watch: Some(&state), storms: &storms, owed: &owed };
        ledger.record(&step).unwrap();
    }

    #[test]
    fn a_step_outlives_the_process() {
        let (folder, ledger) = ledger();
        assert_eq!((ledger.watch().unwrap(), ledger.places().unwrap()), (None, Vec::new()));
        step(&ledger, 1);
        step(&ledger, 2);
        let told = all(&ledger);
        drop(ledger);
        let again = Ledger::open(folder.path()).unwrap();
        assert_eq!(all(&again), told);
        assert_eq!(again.places().unwrap(), [("log:main".into(), "{\"offset\":2}".into())]);
        assert!(again.watch().unwrap().unwrap().starts_with("state 2 x"));
    }

    #[test]
    fn a_step_that_fails_leaves_everything_as_it_was() {
        let (_folder, ledger) = ledger();
        step(&ledger, 1);
        let told = all(&ledger);
        let places = [("log:main".to_owned(), "further".to_owned())];
        let storms = [event(1, Change::Ended, 9, 9), event(u64::MAX, Change::Started, 9, 9)];
        let owed = [Due::Words("lost".into())];
        let step = Step { places: &places, watch: Some("new"), storms: &storms, owed: &owed };
        let why = ledger.record(&step).unwrap_err().to_string();
        assert!(why.contains("cannot be kept"), "{why}");
        assert_eq!(all(&ledger), told);
        // What SQLite itself refuses, too.
        let refused = ledger.write(|tx| {
            tx.execute("DELETE FROM storm", [])?;
            tx.execute("INSERT INTO watch (one, state) VALUES (2, '')", [])?;
            Ok(())
        });
        assert!(refused.is_err());
        assert_eq!(all(&ledger), told);
    }

    /// A power cut leaves the write-ahead log torn at any byte. What is read then is the ledger after some
    /// whole step.
    #[test]
    fn a_write_that_was_torn_is_a_step_that_never_was() {
        let (folder, ledger) = ledger();
        let mut states = vec![all(&ledger)];
        for round in 1..4 {
            step(&ledger, round);
            states.push(all(&ledger));
        }
        let main = fs::read(folder.path().join(FILE)).unwrap();
        let log = fs::read(folder.path().join("ledger.sqlite-wal")).unwrap();
        let mut seen = vec![0; states.len()];
        for cut in (0..=log.len()).step_by(2039).chain([log.len()]) {
            let torn = tempfile::tempdir().unwrap();
            fs::write(torn.path().join(FILE), &main).unwrap();
            fs::write(torn.path().join("ledger.sqlite-wal"), &log[..cut]).unwrap();
            let torn = Ledger::open(torn.path()).unwrap();
            let told = all(&torn);
            let state = states.iter().position(|state| *state == told);
            seen[state.unwrap_or_else(|| panic!("torn at {cut}: {told}"))] += 1;
        }
        assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
    }

    #[test]
    fn a_terminal_reads_and_mutes_beside_the_bot() {
        let (folder, bot) = ledger();
        let terminal = Ledger::open(folder.path()).unwrap();
        step(&bot, 1);
        assert_eq!(all(&terminal), all(&bot));
        let mute = Mute { what: Muted::Storm(1), until: at(60), by: "terminal".into() };
        terminal.mute(&mute).unwrap();
        assert_eq!(bot.mutes(at(0)).unwrap(), [mute]);
        // Both at once, each waiting for the other.
        std::thread::scope(|scope| {
            scope.spawn(|| (2..40).for_each(|round| step(&bot, round)));
            for second in 0..40 {
                let by = "terminal".to_owned();
                let mute = Mute { what: Muted::All, until: at(1000 + second), by };
                terminal.mute(&mute).unwrap();
                let storms = terminal.storms(5000).unwrap();
                let rounds = storms.iter().find(|one| one.event.storm == 1).unwrap().event.count;
                assert_eq!(storms.len() as u64, rounds + 1, "half a step was seen");
            }
        });
        assert_eq!(bot.storms(5000).unwrap().len(), 40);
        drop(terminal);
        step(&bot, 40);
    }

    #[test]
    fn a_storm_from_its_start_to_its_end_and_back() {
        let (_folder, ledger) = ledger();
        let (room, root) = (room_id!("!ops:example.org"), event_id!("$root"));
        storms(&ledger, &[event(7, Change::Started, 5, 3)]);
        ledger
            .judged(7, "otk-recreated", &Confirmation::Unconfirmed("no database".into()))
            .unwrap();
        ledger.judged(7, "otk-recreated", &Confirmation::Confirmed).unwrap();
        ledger.rooted(7, room, root).unwrap();
        storms(&ledger, &[event(7, Change::Worse, 60, 40), event(7, Change::Ended, 900, 41)]);
        let known = ledger.storm(7).unwrap().unwrap();
        assert_eq!((known.started, known.ended), (at(5), Some(at(900))));
        assert_eq!(known.event, event(7, Change::Ended, 900, 41));
        assert_eq!(known.verdict.as_deref(), Some("otk-recreated"));
        assert_eq!(known.sure, Some(Confirmation::Confirmed));
        assert_eq!(known.root, Some((room.to_owned(), root.to_owned())));
        assert_eq!(ledger.storm_of(root).unwrap(), Some(7));
        storms(&ledger, &[event(7, Change::Resumed, 1200, 42)]);
        let known = ledger.storm(7).unwrap().unwrap();
        assert_eq!((known.ended, known.event.count), (None, 42));
        assert!(known.root.is_some(), "its thread was lost");
        // The watch's state was lost, and it counts from one again.
        let anew = Event { first: at(5000), ..event(7, Change::Started, 5005, 3) };
        storms(&ledger, std::slice::from_ref(&anew));
        let known = ledger.storm(7).unwrap().unwrap();
        assert_eq!((known.event, known.started, known.root), (anew, at(5005), None));
        assert_eq!((known.verdict, known.sure), (None, None));
    }

    #[test]
    fn a_storm_that_is_not_known_is_no_fault() {
        let (_folder, ledger) = ledger();
        for number in [0, 7, u64::MAX] {
            ledger.judged(number, "otk-recreated", &Confirmation::Confirmed).unwrap();
            ledger.rooted(number, room_id!("!ops:example.org"), event_id!("$root")).unwrap();
            assert_eq!(ledger.storm(number).unwrap(), None);
        }
        assert_eq!(ledger.storm_of(event_id!("$root")).unwrap(), None);
        ledger.compose(3, "text").unwrap();
        ledger.settle(3).unwrap();
    }

    #[test]
    fn the_newest_thousand_storms_are_kept() {
        let (_folder, ledger) = ledger();
        let events: Vec<_> = (1..=1010).map(|n| event(n, Change::Started, 0, 3)).collect();
        storms(&ledger, &events);
        assert_eq!(ledger.storm(10).unwrap(), None);
        assert!(ledger.storm(11).unwrap().is_some());
        let newest: Vec<_> = ledger.storms(3).unwrap().iter().map(|one| one.event.storm).collect();
        assert_eq!(newest, [1010, 1009, 1008]);
        assert_eq!(ledger.storms(usize::MAX).unwrap().len(), 1000);
    }

    #[test]
    fn what_clients_wrote_comes_back_as_it_was() {
        let (folder, ledger) = ledger();
        let hostile = "D'); DROP TABLE storm; --\u{0}\u{1b}[2J\"\u{202e}\n%s ?1 :a \u{1f600}";
        let device = Whose::Device { user: format!("@{hostile}:x"), device: hostile.into() };
        let started =
            Event { whose: device, trigger: hostile.into(), ..event(1, Change::Started, 0, 3) };
        let places = [(hostile.to_owned(), hostile.to_owned())];
        let owed = [Due::Words(hostile.into()), Due::Storm(started.clone())];
        let storms = [started.clone()];
        let step = Step { places: &places, watch: Some(hostile), storms: &storms, owed: &owed };
        ledger.record(&step).unwrap();
        ledger.judged(1, hostile, &Confirmation::Contradicted(hostile.into())).unwrap();
        ledger.compose(1, hostile).unwrap();
        let user = user_id!("@o'brien\"--:example.org").to_owned();
        let mute = Mute { what: Muted::User(user), until: at(60), by: hostile.into() };
        ledger.mute(&mute).unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.places().unwrap(), places);
        assert_eq!(ledger.watch().unwrap().as_deref(), Some(hostile));
        let known = ledger.storm(1).unwrap().unwrap();
        assert_eq!((known.event, known.verdict.as_deref()), (started, Some(hostile)));
        assert_eq!(known.sure, Some(Confirmation::Contradicted(hostile.into())));
        let due = ledger.owed().unwrap();
        assert_eq!(due.iter().map(|one| one.due.clone()).collect::<Vec<_>>(), owed);
        assert_eq!(due[0].text.as_deref(), Some(hostile));
        assert_eq!(ledger.mutes(at(0)).unwrap(), std::slice::from_ref(&mute));
        assert!(ledger.unmute(&mute.what).unwrap());
    }

    #[test]
    fn what_is_due_is_sent_in_order_and_once() {
        let (folder, ledger) = ledger();
        let words = |text: &str| Due::Words(text.into());
        let ids = |ledger: &Ledger| -> Vec<_> {
            ledger.owed().unwrap().into_iter().map(|one| (one.id, one.text)).collect()
        };
        let first = [words("a"), words("b")];
        ledger.record(&Step { owed: &first, ..Step::default() }).unwrap();
        ledger.compose(2, "as it will be sent").unwrap();
        let composed = Some("as it will be sent".to_owned());
        assert_eq!(ids(&ledger), [(1, None), (2, composed.clone())]);
        ledger.settle(2).unwrap();
        ledger.settle(1).unwrap();
        ledger.settle(1).unwrap();
        assert!(ids(&ledger).is_empty());
        drop(ledger);
        // A number that was given is not given again: a transaction id may be made of it.
        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.record(&Step { owed: &[words("c")], ..Step::default() }).unwrap();
        assert_eq!(ids(&ledger), [(3, None)]);
    }

    #[test]
    fn mutes_end() {
        let (_folder, ledger) = ledger();
        let mute = |what, second| Mute { what, until: at(second), by: "@op:example.org".into() };
        let user = || Muted::User(user_id!("@a:example.org").to_owned());
        ledger.mute(&mute(Muted::All, 10)).unwrap();
        ledger.mute(&mute(user(), 90)).unwrap();
        ledger.mute(&mute(Muted::Storm(3), 20)).unwrap();
        // Said again: the later word holds, though it is shorter.
        ledger.mute(&mute(user(), 30)).unwrap();
        let what = |second| -> Vec<_> {
            ledger.mutes(at(second)).unwrap().into_iter().map(|mute| mute.what).collect()
        };
        assert_eq!(what(0), [Muted::All, Muted::Storm(3), user()]);
        assert_eq!(what(10), [Muted::Storm(3), user()]);
        assert_eq!(what(0), [Muted::Storm(3), user()], "it was not forgotten");
        assert!(!ledger.unmute(&Muted::All).unwrap());
        assert!(ledger.unmute(&Muted::Storm(3)).unwrap());
        assert_eq!(ledger.unmute_everything().unwrap(), 1);
        assert!(what(0).is_empty());
    }

    /// `cargo test --lib -- --ignored --nocapture how_long`: a figure, no test.
    #[test]
    #[ignore = "a figure for a person to read"]
    fn how_long_a_step_takes() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        for kilobytes in [1, 100, 4000] {
            let mut times = Vec::new();
            for round in 0..200 {
                // Another state each time: SQLite writes no page that stays as it was.
                let state =
                    char::from(b'0' + (round % 10) as u8).to_string().repeat(kilobytes << 10);
                let storms = [event(1 + round, Change::Started, 0, 3)];
                let owed = [Due::Storm(storms[0].clone())];
                let (watch, places) = (Some(state.as_str()), &[("log".into(), round.to_string())]);
                let step = Step { places, watch, storms: &storms, owed: &owed };
                #[expect(clippy::disallowed_methods)]
                let began = std::time::Instant::now();
                ledger.record(&step).unwrap();
                times.push(began.elapsed());
            }
            times.sort();
            println!("{kilobytes} KiB: median {:?}, slowest {:?}", times[100], times[199]);
        }
    }
}
