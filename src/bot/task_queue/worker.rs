//! Accepted tasks → answers, the oldest first, a few at a time. The ledger is the queue: it is bounded, it costs no
//! memory, and a process that ends leaves its open tasks to the next one.
//!
//! A task is settled together with the messages that answer it. If an answer needs a homeserver that is offline, its
//! task is put back and retried; a task that ended several processes is dropped.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::OwnedEventId;
use tokio::task::JoinSet;

use super::intake::{AT_ONCE, Begun, BegunTask, Intake};
use super::task::QueuedTask;
use crate::bot::account::client;
use crate::bot::buttons::{self, Button};
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::delivery;
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::answers::{KEPT, LATE};
use crate::bot::outbox::owed_message;
use crate::bot::request::read;
use crate::bot::responder::state::Responder;
use crate::bot::responder::typing::TooLong;
use crate::bot::supervisor::TaskEnd;
use crate::config::Config;
use crate::store::{Accepted, NewMessage};
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

/// How many reports are fetched or wait for their turn to be read. They are read one after another.
const REPORTS_AT_ONCE: usize = 16;
/// How many processes may end over one task.
const MOST_TRIES: u32 = 3;
/// How often it checks without a signal.
const LOOK: Duration = Duration::from_secs(5);
/// Works on what was accepted.
pub(crate) struct TaskWorker {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) responder: Arc<Responder>,
    pub(crate) intake: Arc<Intake>,
}

/// The result of a task.
enum TaskOutcome {
    Answered(Vec<NewMessage>),
    /// It needs a homeserver that is offline.
    Later(anyhow::Error),
}

impl TaskWorker {
    /// Works until the process ends.
    pub(crate) async fn work(self) -> TaskEnd {
        let this = Arc::new(self);
        let mut running = JoinSet::new();
        loop {
            if !this.intake.is_closing()
                && let Err(error) = this.begin(&mut running)
            {
                tracing::error!("the task queue cannot be read: {error:#}");
            }
            tokio::select! {
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!("an answer failed: {error}");
                    }
                }
                () = this.intake.accepted.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Starts as many as there is room for.
    fn begin(self: &Arc<Self>, running: &mut JoinSet<()>) -> Result<()> {
        for accepted in self.intake.waiting()? {
            let number = accepted.number;
            let Some(task) = QueuedTask::read(&accepted.task) else {
                tracing::error!("a task saved by another version is dropped");
                self.intake.store.ledger().settle_task(number, &[])?;
                continue;
            };
            let (kind, most) = match task {
                QueuedTask::Line(_) | QueuedTask::Press(..) => (Begun::Line, AT_ONCE),
                QueuedTask::Report { .. } => (Begun::Report, REPORTS_AT_ONCE),
            };
            if self.intake.working(kind) >= most {
                continue;
            }
            let Some(room) = client::joined(&self.client, &accepted.room) else {
                self.intake.rest(number);
                continue;
            };
            let begun = self.intake.begin(number, kind);
            let this = Arc::clone(self);
            running.spawn(async move { this.one(room, accepted, task, begun).await });
        }
        Ok(())
    }

    /// Works on one task and settles it, or pauses it.
    async fn one(&self, room: Room, accepted: Accepted, task: QueuedTask, mut begun: BegunTask) {
        let messages = match self.outcome(&room, &accepted, task).await {
            TaskOutcome::Answered(messages) => messages,
            TaskOutcome::Later(error) => {
                tracing::warn!("a task waits for the homeserver: {error:#}");
                if let Err(error) = self.intake.store.ledger().put_back(accepted.number) {
                    tracing::error!("a task could not be put back into the queue: {error:#}");
                }
                return self.intake.rest(accepted.number);
            }
        };
        let settled = self.settle(&accepted, &messages);
        if let Err(error) = settled {
            // A full disk: the answer is sent anyway, and this process does not work on it again.
            tracing::error!("an answer could not be saved: {error:#}");
            begun.keep_as_done();
            let outbox = self.responder.outbox(&self.client);
            for message in &messages {
                if let Err(error) = outbox.send_unwritten(message).await {
                    tracing::error!(
                        "an answer that could not be saved could not be sent either: {error:#}"
                    );
                }
            }
        }
    }

    fn settle(&self, accepted: &Accepted, messages: &[NewMessage]) -> Result<()> {
        if accepted.number < 0 {
            self.intake.forget_unwritten(accepted.number);
            return self.responder.owe(messages);
        }
        self.intake.store.ledger().settle_task(accepted.number, messages)?;
        self.responder.owed.notify_one();
        Ok(())
    }

    /// The messages that answer a task, or that report an internal error.
    async fn outcome(&self, room: &Room, accepted: &Accepted, task: QueuedTask) -> TaskOutcome {
        let now = Timestamp::now();
        let asked = asked_at(task.sent(), accepted.at);
        let (cause, fault) = self.for_faults(room, &task, asked);
        if accepted.tries >= MOST_TRIES {
            tracing::error!(
                "{cause} is dropped: {MOST_TRIES} processes ended while they answered it"
            );
            return TaskOutcome::Answered(vec![fault(&replies::our_fault())]);
        }
        if now.duration_since(asked) > KEPT {
            tracing::warn!("{cause} waited for more than 24 h and is not answered");
            return TaskOutcome::Answered(vec![fault(&replies::our_fault())]);
        }
        tracing::info!("answering {cause}");
        let answered = match task {
            QueuedTask::Line(line) => self.line(room, ChatLine { sent: asked, ..line }).await,
            QueuedTask::Press(button, line) => {
                self.press(room, button, ChatLine { sent: asked, ..line }).await
            }
            QueuedTask::Report { event, sender, .. } => {
                self.responder.clone().receive(room.clone(), (event, sender, asked)).await
            }
        };
        match answered {
            Ok(messages) => TaskOutcome::Answered(messages),
            Err(error) if delivery::is_unreachable(&error) => TaskOutcome::Later(error),
            Err(error) => {
                tracing::error!("answering {cause} failed: {error:#}");
                let long = error.is::<TooLong>();
                let says = if long { replies::too_long() } else { replies::our_fault() };
                TaskOutcome::Answered(vec![fault(&says)])
            }
        }
    }

    /// The task's event, and how to report an internal error to its sender.
    fn for_faults(
        &self,
        room: &Room,
        task: &QueuedTask,
        asked: Timestamp,
    ) -> (OwnedEventId, impl Fn(&Reply) -> NewMessage + use<>) {
        let room = room.room_id().to_owned();
        let (cause, line) = match task {
            QueuedTask::Line(line) | QueuedTask::Press(_, line) => {
                (line.event.clone(), Some(ChatLine { sent: asked, ..line.clone() }))
            }
            QueuedTask::Report { event, .. } => (event.clone(), None),
        };
        let event = cause.clone();
        let fault = move |says: &Reply| match &line {
            Some(line) => owed_message::answer(&room, line, Purpose::Fault, says, None),
            None => owed_message::reply(
                &room,
                (&event, asked),
                Purpose::Fault,
                says,
                "the report that you sent",
            ),
        };
        (cause, fault)
    }

    async fn line(&self, room: &Room, line: ChatLine) -> Result<Vec<NewMessage>> {
        match read(&line, &self.config) {
            Some(asked) => self.responder.clone().answer(room.clone(), line, asked).await,
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
        self.responder.clone().answer(room.clone(), line, asked).await
    }
}

/// When a question counts as asked: its log window ends then. Its sender's clock may be wrong by some minutes;
/// it counts where the question waited before it was accepted.
fn asked_at(sent: Timestamp, accepted: Timestamp) -> Timestamp {
    let waited = accepted.duration_since(sent);
    if waited > LATE { sent } else { accepted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_counts_as_asked_when_it_was_sent_or_when_it_came() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(asked_at(at(100), at(103)), at(103));
        assert_eq!(asked_at(at(500), at(103)), at(103), "a clock that is ahead");
        assert_eq!(asked_at(at(100), at(400)), at(100), "it waited");
    }
}
