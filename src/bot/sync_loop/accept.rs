//! An accepted command → a task in the ledger, or an immediate reply. An immediate reply is saved and queued in one
//! step, so that it is sent once.

use jiff::Timestamp;
use matrix_sdk::Room;
use ruma::EventId;

use super::state::SyncLoop;
use crate::bot::buttons::ButtonPress;
use crate::bot::chat_line::ChatLine;
use crate::bot::event_age::too_old;
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::owed_message;
use crate::bot::permission::may_command;
use crate::bot::rate_limit::{PRESSES, Rate};
use crate::bot::task_queue::intake::MOST_OPEN;
use crate::bot::task_queue::task::QueuedTask;
use crate::store::{HandedIn, NewMessage};
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

impl SyncLoop {
    /// Answers a line that needs no work.
    pub(crate) fn say_at_once(&self, room: &Room, line: &ChatLine, about: Purpose, says: &Reply) {
        let message = owed_message::answer(room.room_id(), line, about, says, None);
        self.owe_for(room, &line.event, message);
    }

    /// Marks an event as settled, and queues its answer.
    pub(crate) fn owe_for(&self, room: &Room, event: &EventId, message: NewMessage) {
        let ledger = self.store.ledger();
        let now = Timestamp::now();
        match ledger.answer_at_once(event, room.room_id(), now, &[message]) {
            Ok(true) => self.responder.owed.notify_one(),
            Ok(false) => {}
            Err(error) => {
                tracing::error!("{event} could not be saved and is not answered: {error:#}")
            }
        }
    }

    /// Marks an event as settled, without an answer.
    pub(crate) fn note_settled(&self, room: &Room, event: &EventId) {
        let ledger = self.store.ledger();
        let now = Timestamp::now();
        if let Err(error) = ledger.answer_at_once(event, room.room_id(), now, &[]) {
            tracing::error!("{event} could not be saved: {error:#}");
        }
    }

    /// Puts a task into the queue; replies if the queue is full.
    pub(crate) fn accept(
        &mut self,
        room: &Room,
        line: ChatLine,
        task: impl FnOnce(ChatLine) -> QueuedTask,
    ) {
        let task = task(line.clone());
        if self.intake.hand_in(&line.event, room.room_id(), &task) != HandedIn::Full {
            return;
        }
        tracing::warn!("{} is not accepted: {MOST_OPEN} tasks are open", line.event);
        if self.full.due(room.room_id(), &line.sender, Timestamp::now()) {
            self.say_at_once(room, &line, Purpose::Answer, &replies::queue_full(MOST_OPEN));
        }
    }

    /// A button under a storm's root, pressed by somebody who may command; other presses are ignored. Reactions are
    /// never encrypted, so a stolen token can press one: buttons only read, and the rate is limited.
    pub(crate) async fn pressed(&mut self, room: &Room, press: ButtonPress) {
        let root = press.root.clone();
        let button = press.button;
        let mut line = press.line();
        line.sent = self.sent_by_our_clock(&line.sender, line.sent);
        let old = too_old(line.sent, Timestamp::now(), self.max_age());
        if line.sender == room.own_user_id() || line.sent < self.store.since() || old {
            return;
        }
        match self.store.ledger().storm_of(&root) {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => return tracing::error!("the ledger cannot be read: {error:#}"),
        }
        let noted = self.store.ledger().is_noted(&line.event).unwrap_or(false);
        if noted || !may_command(room, &line.sender, &self.config).await {
            return;
        }
        match self.presses.step(&line.sender, PRESSES, Timestamp::now()) {
            Rate::Allowed => self.accept(room, line, |line| QueuedTask::Press(button, line)),
            Rate::JustExceeded { .. } => {
                self.say_at_once(room, &line, Purpose::Answer, &replies::too_many_presses(PRESSES));
            }
            Rate::Exceeded => self.note_settled(room, &line.event),
        }
    }
}
