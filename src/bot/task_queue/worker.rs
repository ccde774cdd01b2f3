//! What was accepted → worked on, the oldest first, a few at a time. The ledger is the queue: it is bounded,
//! it costs no memory, and a process that ends in the middle leaves to the next one what is still open.
//!
//! A task is settled together with the messages that answer it. A task whose answer needs a homeserver that
//! is away is put back and tried again; one that ended several processes is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::{Client, Room, RoomState};
use ruma::{EventId, OwnedEventId, RoomId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::task::Task;
use crate::bot::buttons::{self, Button};
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::delivery;
use crate::bot::messages::room_message::About;
use crate::bot::outbox::answers::{self, KEPT, LATE};
use crate::bot::replies;
use crate::bot::request::read;
use crate::bot::responder::answer::{Desk, TooLong};
use crate::bot::supervisor::Ended;
use crate::config::Config;
use crate::store::{Accepted, HandedIn, NewMessage, Store};
use kestrel_core::render::Reply;

/// How many answers are worked on at a time: each may read the whole log.
const AT_ONCE: usize = 4;
/// How many reports are fetched or wait for their turn to be read. They are read one after another.
const REPORTS_AT_ONCE: usize = 16;
/// More than this may not wait. A further command gets an answer that says so.
pub(crate) const MOST_OPEN: usize = 500;
/// How many processes may end over one task.
const MOST_TRIES: u32 = 3;
/// How long a task rests that needs the homeserver while it is away.
const REST: Duration = Duration::from_secs(20);
/// How often it looks when nobody said that something was accepted.
const LOOK: Duration = Duration::from_secs(5);
/// Tasks that could not be written down and wait in memory.
const MOST_UNWRITTEN: usize = 100;

/// What accepting and working share.
#[derive(Debug)]
pub(crate) struct Intake {
    store: Store,
    /// Told when something was accepted.
    accepted: Notify,
    /// No task is begun any more: the process ends.
    closing: AtomicBool,
    /// What is not to be begun, because this process has begun it.
    begun: Mutex<BTreeMap<i64, Begun>>,
    /// What rests until a moment, because the homeserver is away.
    resting: Mutex<BTreeMap<i64, Instant>>,
    /// What could not be written down, under numbers below zero: a full disk must not cost the answer.
    unwritten: Mutex<Vec<Accepted>>,
}

/// How a task stands that this process has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
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

    /// Accepts a task: from here on it is answered, also by the next process.
    pub(crate) fn hand_in(&self, event: &EventId, room: &RoomId, task: &Task) -> HandedIn {
        let (ledger, now) = (self.store.ledger(), Timestamp::now());
        match ledger.accept(event, room, (&task.text(), MOST_OPEN), now) {
            Ok(HandedIn::Accepted) => {}
            Ok(other) => return other,
            Err(error) => {
                tracing::error!(
                    "{event} cannot be written to the ledger; it is answered all the same: {error:#}"
                );
                let mut unwritten = lock(&self.unwritten);
                if unwritten.len() >= MOST_UNWRITTEN {
                    return HandedIn::Full;
                }
                let number = -1 - i64::try_from(unwritten.len()).unwrap_or(0);
                let (room, task) = (room.to_owned(), task.text());
                unwritten.push(Accepted { number, room, at: now, tries: 0, task });
            }
        }
        self.accepted.notify_one();
        HandedIn::Accepted
    }

    /// Begins nothing more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Whether nothing is worked on.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.begun).values().all(|begun| *begun == Begun::Done)
    }

    /// Leaves what is still worked on to the next process, as if it had not been begun here.
    pub(crate) fn hand_over(&self) -> usize {
        let begun = lock(&self.begun).clone();
        let running = || begun.iter().filter(|(_, begun)| **begun != Begun::Done);
        for (number, _) in running().filter(|(number, _)| **number > 0) {
            if let Err(error) = self.store.ledger().put_back(*number) {
                tracing::error!("a task that is handed over counts as tried: {error:#}");
            }
        }
        running().count()
    }

    /// What can be begun now, the oldest first.
    fn waiting(&self) -> Result<Vec<Accepted>> {
        let mut waiting = self.store.ledger().open_tasks(MOST_OPEN + AT_ONCE)?;
        waiting.extend(lock(&self.unwritten).iter().cloned());
        let (begun, mut resting) = (lock(&self.begun), lock(&self.resting));
        resting.retain(|_, until| *until > Instant::now());
        let free = |number: &i64| !begun.contains_key(number) && !resting.contains_key(number);
        waiting.retain(|task| free(&task.number));
        Ok(waiting)
    }

    /// Lets a task rest for a while.
    fn rest(&self, number: i64) {
        lock(&self.resting).insert(number, Instant::now() + REST);
    }

    /// How many of a kind are worked on.
    fn working(&self, kind: Begun) -> usize {
        lock(&self.begun).values().filter(|begun| **begun == kind).count()
    }
}

/// Works on what was accepted.
pub(crate) struct Queue {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) desk: Arc<Desk>,
    pub(crate) intake: Arc<Intake>,
}

/// One that is worked on: off the list however it ends.
struct Running {
    intake: Arc<Intake>,
    number: i64,
    /// It stays on the list: it is done, and could not be settled.
    stays: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stays {
            lock(&self.intake.begun).insert(self.number, Begun::Done);
        } else {
            lock(&self.intake.begun).remove(&self.number);
        }
        self.intake.accepted.notify_one();
    }
}

/// What a task came to.
enum Outcome {
    Answered(Vec<NewMessage>),
    /// It needs a homeserver that is away.
    Later(anyhow::Error),
}

impl Queue {
    /// Works until the process ends.
    pub(crate) async fn work(self) -> Ended {
        let this = Arc::new(self);
        let mut running = JoinSet::new();
        loop {
            if !this.intake.closing.load(Ordering::SeqCst)
                && let Err(error) = this.begin(&mut running)
            {
                tracing::error!("what was accepted cannot be read: {error:#}");
            }
            tokio::select! {
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!("an answer broke off: {error}");
                    }
                }
                () = this.intake.accepted.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Begins as many as there is room for.
    fn begin(self: &Arc<Self>, running: &mut JoinSet<()>) -> Result<()> {
        for accepted in self.intake.waiting()? {
            let number = accepted.number;
            let Some(task) = Task::read(&accepted.task) else {
                tracing::error!("a task of another version is dropped");
                self.intake.store.ledger().settle_task(number, &[])?;
                continue;
            };
            let (kind, most) = match task {
                Task::Line(_) | Task::Press(..) => (Begun::Line, AT_ONCE),
                Task::Report { .. } => (Begun::Report, REPORTS_AT_ONCE),
            };
            if self.intake.working(kind) >= most {
                continue;
            }
            let Some(room) = self.room(&accepted.room) else {
                self.intake.rest(number);
                continue;
            };
            if let Err(error) = self.intake.store.ledger().count_try(number) {
                tracing::error!("a task is begun uncounted: {error:#}");
            }
            lock(&self.intake.begun).insert(number, kind);
            let mark = Running { intake: self.intake.clone(), number, stays: false };
            let this = Arc::clone(self);
            running.spawn(async move { this.one(room, accepted, task, mark).await });
        }
        Ok(())
    }

    /// Works on one task and settles it, or lets it rest.
    async fn one(&self, room: Room, accepted: Accepted, task: Task, mut mark: Running) {
        let messages = match self.outcome(&room, &accepted, task).await {
            Outcome::Answered(messages) => messages,
            Outcome::Later(error) => {
                tracing::warn!("a task waits for the homeserver: {error:#}");
                if let Err(error) = self.intake.store.ledger().put_back(accepted.number) {
                    tracing::error!("a task that waits counts as tried: {error:#}");
                }
                return self.intake.rest(accepted.number);
            }
        };
        let settled = self.settle(&accepted, &messages);
        if let Err(error) = settled {
            // A full disk: the answer is sent all the same, and this process does not work on it again.
            tracing::error!("an answer could not be written down: {error:#}");
            mark.stays = true;
            let outbox = self.desk.outbox(&self.client);
            for message in &messages {
                if let Err(error) = outbox.send_unwritten(message).await {
                    tracing::error!("and it could not be sent: {error:#}");
                }
            }
        }
    }

    fn settle(&self, accepted: &Accepted, messages: &[NewMessage]) -> Result<()> {
        if accepted.number < 0 {
            lock(&self.intake.unwritten).retain(|one| one.number != accepted.number);
            return self.desk.owe(messages);
        }
        self.intake.store.ledger().settle_task(accepted.number, messages)?;
        self.desk.owed.notify_one();
        Ok(())
    }

    /// The messages that answer a task, a fault of our own included.
    async fn outcome(&self, room: &Room, accepted: &Accepted, task: Task) -> Outcome {
        let now = Timestamp::now();
        let asked = asked_at(task.sent(), accepted.at);
        let (cause, fault) = self.for_faults(room, &task, asked);
        if accepted.tries >= MOST_TRIES {
            tracing::error!("{cause} ended {MOST_TRIES} processes and is given up");
            return Outcome::Answered(vec![fault(&replies::our_fault())]);
        }
        if now.duration_since(asked) > KEPT {
            tracing::warn!("{cause} waited for longer than a day and is not answered");
            return Outcome::Answered(vec![fault(&replies::our_fault())]);
        }
        tracing::info!("answering {cause}");
        let answered = match task {
            Task::Line(line) => self.line(room, ChatLine { sent: asked, ..line }).await,
            Task::Press(button, line) => {
                self.press(room, button, ChatLine { sent: asked, ..line }).await
            }
            Task::Report { event, sender, .. } => {
                self.desk.clone().receive(room.clone(), (event, sender, asked)).await
            }
        };
        match answered {
            Ok(messages) => Outcome::Answered(messages),
            Err(error) if delivery::is_unreachable(&error) => Outcome::Later(error),
            Err(error) => {
                tracing::error!("answering {cause} failed: {error:#}");
                let long = error.is::<TooLong>();
                let says = if long { replies::took_too_long() } else { replies::our_fault() };
                Outcome::Answered(vec![fault(&says)])
            }
        }
    }

    /// The task's event, and how a fault of ours is said to whoever caused it.
    fn for_faults(
        &self,
        room: &Room,
        task: &Task,
        asked: Timestamp,
    ) -> (OwnedEventId, impl Fn(&Reply) -> NewMessage + use<>) {
        let room = room.room_id().to_owned();
        let (cause, line) = match task {
            Task::Line(line) | Task::Press(_, line) => {
                (line.event.clone(), Some(ChatLine { sent: asked, ..line.clone() }))
            }
            Task::Report { event, .. } => (event.clone(), None),
        };
        let event = cause.clone();
        let fault = move |says: &Reply| match &line {
            Some(line) => answers::answer(&room, line, About::Fault, says, None),
            None => answers::reply(
                &room,
                (&event, asked),
                About::Fault,
                says,
                "the report that you sent",
            ),
        };
        (cause, fault)
    }

    async fn line(&self, room: &Room, line: ChatLine) -> Result<Vec<NewMessage>> {
        match read(&line, &self.config) {
            Some(asked) => self.desk.clone().answer(room.clone(), line, asked).await,
            None => Ok(Vec::new()),
        }
    }

    /// What a button asks of the storm that it is under.
    async fn press(&self, room: &Room, button: Button, line: ChatLine) -> Result<Vec<NewMessage>> {
        let ledger = self.intake.store.ledger();
        let number = ledger.storm_of(line.root())?;
        let storm = number.map(|number| ledger.storm(number)).transpose()?.flatten();
        let Some(storm) = storm else { return Ok(Vec::new()) };
        let asked = buttons::asked(button, &storm.event);
        self.desk.clone().answer(room.clone(), line, asked).await
    }

    fn room(&self, id: &RoomId) -> Option<Room> {
        self.client.get_room(id).filter(|room| room.state() == RoomState::Joined)
    }
}

/// When a question counts as asked: its log window ends then. Its sender's clock may be wrong by some minutes;
/// it counts where the question waited before it was accepted.
fn asked_at(sent: Timestamp, accepted: Timestamp) -> Timestamp {
    let waited = accepted.duration_since(sent);
    if waited > LATE { sent } else { accepted }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere while it was held leaves at worst a task that is begun twice.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, owned_event_id, owned_user_id, room_id};

    use super::*;

    fn task(number: usize) -> (OwnedEventId, Task) {
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
        (event, Task::Line(line))
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
        let read: Vec<_> = waiting.iter().map(|one| Task::read(&one.task).unwrap()).collect();
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

    #[test]
    fn a_question_counts_as_asked_when_it_was_sent_or_when_it_came() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(asked_at(at(100), at(103)), at(103));
        assert_eq!(asked_at(at(500), at(103)), at(103), "a clock that is ahead");
        assert_eq!(asked_at(at(100), at(400)), at(100), "it waited");
    }
}
