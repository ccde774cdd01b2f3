//! Commands, buttons and reports → tasks in the ledger. It is bounded and costs no memory. A process that ends leaves
//! its open tasks to the next one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use ruma::{EventId, RoomId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::task::QueuedTask;
use crate::store::{Accepted, HandedIn, Store};

/// How many answers are worked on at a time: each may read the whole log.
pub(super) const AT_ONCE: usize = 4;
/// The most open tasks. A further command gets a reply that says so.
pub(crate) const MOST_OPEN: usize = 500;
/// How long a task is paused if the homeserver is offline.
const REST: Duration = Duration::from_secs(20);
/// Tasks that could not be saved and wait in memory.
const MOST_UNWRITTEN: usize = 100;

/// What accepting and working share.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(super) store: Store,
    /// Signals a new task.
    pub(super) accepted: Notify,
    /// No task is started any more: the process ends.
    closing: AtomicBool,
    /// Tasks that this process has started.
    begun: Mutex<BTreeMap<i64, Begun>>,
    /// Tasks that are paused until a time, because the homeserver is offline.
    resting: Mutex<BTreeMap<i64, Instant>>,
    /// Tasks that could not be saved, under numbers below zero: a full disk must not prevent the answer.
    unwritten: Mutex<Vec<Accepted>>,
}

/// The state of a task that this process has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Line,
    Report,
    /// It is done, and could not be settled.
    Done,
}

impl Intake {
    pub(crate) fn new(store: Store) -> Arc<Self> {
        Arc::new(Self {
            store,
            accepted: Notify::new(),
            closing: AtomicBool::new(false),
            begun: Mutex::default(),
            resting: Mutex::default(),
            unwritten: Mutex::default(),
        })
    }

    /// Accepts a task: it will be answered, if necessary by the next process.
    pub(crate) fn hand_in(&self, event: &EventId, room: &RoomId, task: &QueuedTask) -> HandedIn {
        let ledger = self.store.ledger();
        let now = Timestamp::now();
        match ledger.accept(event, room, (&task.text(), MOST_OPEN), now) {
            Ok(HandedIn::Accepted) => {}
            Ok(other) => return other,
            Err(error) => {
                tracing::error!(
                    "{event} could not be saved in the ledger and is answered from memory: {error:#}"
                );
                let mut unwritten = lock(&self.unwritten);
                if unwritten.len() >= MOST_UNWRITTEN {
                    return HandedIn::Full;
                }
                let number = -1 - i64::try_from(unwritten.len()).unwrap_or(0);
                let room = room.to_owned();
                let task = task.text();
                unwritten.push(Accepted { number, room, at: now, tries: 0, task });
            }
        }
        self.accepted.notify_one();
        HandedIn::Accepted
    }

    /// Starts nothing more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Whether nothing is worked on.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.begun).values().all(|begun| *begun == Begun::Done)
    }

    /// Leaves unfinished tasks to the next process, as if they had not been started here.
    pub(crate) fn hand_over(&self) -> usize {
        let begun = lock(&self.begun).clone();
        let running = || begun.iter().filter(|(_, begun)| **begun != Begun::Done);
        for (number, _) in running().filter(|(number, _)| **number > 0) {
            if let Err(error) = self.store.ledger().put_back(*number) {
                tracing::error!("a task could not be put back for the next start: {error:#}");
            }
        }
        running().count()
    }

    /// What can be started now, the oldest first.
    pub(super) fn waiting(&self) -> Result<Vec<Accepted>> {
        let mut waiting = self.store.ledger().open_tasks(MOST_OPEN + AT_ONCE)?;
        waiting.extend(lock(&self.unwritten).iter().cloned());
        let begun = lock(&self.begun);
        let mut resting = lock(&self.resting);
        resting.retain(|_, until| *until > Instant::now());
        let free = |number: &i64| !begun.contains_key(number) && !resting.contains_key(number);
        waiting.retain(|task| free(&task.number));
        Ok(waiting)
    }

    /// Pauses a task for a while.
    pub(super) fn rest(&self, number: i64) {
        lock(&self.resting).insert(number, Instant::now() + REST);
    }

    /// How many of a kind are worked on.
    pub(super) fn working(&self, kind: Begun) -> usize {
        lock(&self.begun).values().filter(|begun| **begun == kind).count()
    }

    /// Whether the process ends, so that nothing is started any more.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Notes that a task is started, and counts the try.
    pub(super) fn begin(self: &Arc<Self>, number: i64, kind: Begun) -> BegunTask {
        if let Err(error) = self.store.ledger().count_try(number) {
            tracing::error!("a try of a task could not be counted: {error:#}");
        }
        lock(&self.begun).insert(number, kind);
        BegunTask { intake: self.clone(), number, is_done: false }
    }

    /// Forgets a task that could not be saved: it is answered.
    pub(super) fn forget_unwritten(&self, number: i64) {
        lock(&self.unwritten).retain(|one| one.number != number);
    }
}

/// A task that is worked on: off the list however it ends.
pub(super) struct BegunTask {
    intake: Arc<Intake>,
    number: i64,
    /// It stays on the list: it is done, and could not be settled.
    is_done: bool,
}

impl BegunTask {
    /// Keeps the task on the list, so that this process does not start it again.
    pub(super) fn keep_as_done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for BegunTask {
    fn drop(&mut self) {
        if self.is_done {
            lock(&self.intake.begun).insert(self.number, Begun::Done);
        } else {
            lock(&self.intake.begun).remove(&self.number);
        }
        self.intake.accepted.notify_one();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere while it was locked leaves at worst a task that is started twice.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedEventId, event_id, owned_event_id, owned_user_id, room_id};

    use super::*;
    use crate::bot::chat_line::ChatLine;

    fn task(number: usize) -> (OwnedEventId, QueuedTask) {
        let event = EventId::parse(format!("$line{number}")).unwrap();
        let line = ChatLine {
            event: event.clone(),
            sender: owned_user_id!("@a:x"),
            sent: Timestamp::from_second(5).unwrap(),
            body: "!help".into(),
            formatted: None,
            thread: None,
            replied: Some(owned_event_id!("$other")),
        };
        (event, QueuedTask::Line(line))
    }

    fn intake() -> (tempfile::TempDir, Arc<Intake>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        (folder, Intake::new(store))
    }

    #[test]
    fn what_is_handed_in_is_open_in_the_next_process_too() {
        let (folder, intake) = intake();
        let room = room_id!("!ops:x");
        for number in 0..3 {
            let (event, task) = task(number);
            assert_eq!(intake.hand_in(&event, room, &task), HandedIn::Accepted);
            assert_eq!(intake.hand_in(&event, room, &task), HandedIn::Known);
        }
        drop(intake);
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let waiting = Intake::new(store).waiting().unwrap();
        let read: Vec<_> = waiting.iter().map(|one| QueuedTask::read(&one.task).unwrap()).collect();
        assert_eq!(read, [0, 1, 2].map(|number| task(number).1));
    }

    #[test]
    fn the_queue_is_bounded() {
        let (_folder, intake) = intake();
        let room = room_id!("!ops:x");
        for number in 0..MOST_OPEN {
            let (event, task) = task(number);
            assert_eq!(intake.hand_in(&event, room, &task), HandedIn::Accepted);
        }
        let (_, one) = task(0);
        assert_eq!(intake.hand_in(event_id!("$over"), room, &one), HandedIn::Full);
    }

    #[test]
    fn a_full_disk_costs_no_answer() {
        let (folder, intake) = intake();
        break_ledger(folder.path());
        let (event, one) = task(0);
        assert_eq!(intake.hand_in(&event, room_id!("!ops:x"), &one), HandedIn::Accepted);
        assert_eq!(lock(&intake.unwritten).len(), 1);
    }

    /// Takes the table away, as far as this process can see.
    fn break_ledger(folder: &std::path::Path) {
        rusqlite::Connection::open(folder.join("ledger.sqlite"))
            .and_then(|raw| raw.execute_batch("ALTER TABLE accepted RENAME TO gone"))
            .unwrap();
    }
}
