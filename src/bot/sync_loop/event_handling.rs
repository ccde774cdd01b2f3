//! Events of rooms → the checks, in order of cost → tasks in the ledger, or immediate replies.

use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::ruma::events::room::member::MembershipState;
use matrix_sdk::ruma::events::{AnySyncStateEvent, AnySyncTimelineEvent, SyncStateEvent};
use ruma::{EventId, RoomId, UserId};

use super::admission::Admission;
use super::state::SyncLoop;
use crate::bot::attachment::Attachment;
use crate::bot::buttons::ButtonPress;
use crate::bot::captures::tick::StepTick;
use crate::bot::chat_line::ChatLine;
use crate::bot::event_age::{NOBODY_WAITS, too_old};
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::owed_message;
use crate::bot::permission::may_command;
use crate::bot::request::{ChatRequest, read};
use crate::bot::task_queue::task::QueuedTask;
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

impl SyncLoop {
    /// Handles events, oldest first.
    pub(crate) async fn handle_events(&mut self, room: &Room, events: &[TimelineEvent]) {
        if self.ops_room(room.room_id()).is_none() {
            return self.handle_direct_chat(room, events).await;
        }
        self.check_homeserver_clock(events).await;
        // A known room continues where it was left: messages sent meanwhile may be commands from just before.
        let known = self.store.ledger().heard(room.room_id()).is_ok_and(|heard| heard.is_some());
        let events = if known { events } else { since_join(events, room.own_user_id()) };
        for event in events {
            if let TimelineEventKind::UnableToDecrypt { event, .. } = &event.kind {
                self.keep_undecrypted(room, event);
            } else if let Ok(read) = event.raw().deserialize() {
                self.handle_event(room, &read, event).await;
            }
        }
    }

    /// Handles one event: the checks, in order of cost. `came` is the event with its encryption info.
    async fn handle_event(
        &mut self,
        room: &Room,
        event: &AnySyncTimelineEvent,
        came: &TimelineEvent,
    ) {
        if let Some(tick) =
            StepTick::from_event(event).filter(|tick| tick.sender != room.own_user_id())
        {
            return self.responder.captures.ticked(room, tick, &self.config).await;
        }
        if let Some(press) = ButtonPress::from_event(event) {
            return self.pressed(room, press).await;
        }
        let handed = || Attachment::from_event(event)?.handed(room.own_user_id());
        let Some(mut line) = ChatLine::from_event(event).or_else(handed) else {
            return;
        };
        let dated = line.sent;
        line.sent = self.sent_by_our_clock(&line.sender, dated);
        if line.sender == room.own_user_id() || line.sent < self.store.since() {
            return;
        }
        let Some(asked) = read(&line, &self.config) else {
            return;
        };
        let now = Timestamp::now();
        let old = too_old(line.sent, now, self.max_age());
        if !may_command(room, &line.sender, &self.config).await {
            // Encryption matters only for somebody who may command: a stranger gets the polite reply.
            if !old && self.courtesy.due(room.room_id(), &line.sender, now) {
                self.say_at_once(room, &line, Purpose::Stranger, &replies::not_for_you());
            }
            return;
        }
        let admission = self.admit(room, &line, &asked, came).await;
        if admission == Admission::Counts {
            self.prove_upgrade(room, came).await;
        }
        match admission {
            Admission::Later => self.retry_later(room, came),
            Admission::Refused(refusal) if !old => self.refuse(room, &line, refusal, now),
            Admission::Refused(_) | Admission::TakenBack => self.note_settled(room, &line.event),
            Admission::Counts if old => self.note_late(room, line, now),
            Admission::Counts => match asked {
                ChatRequest::UsageError(reply) => {
                    self.say_at_once(room, &line, Purpose::Answer, &reply)
                }
                ChatRequest::Command(_) => self.accept(room, line, QueuedTask::Line),
            },
        }
    }

    /// Saves that a room was handled up to an event. While a message waits for its key, or for the homeserver,
    /// nothing is saved, so that the next process finds that message again.
    pub(crate) fn note_handled(&self, room: &Room, last: Option<&TimelineEvent>) {
        let Some(event) = last.and_then(TimelineEvent::event_id) else { return };
        if self.waits_for_a_key(room.room_id()) || self.waits_for_an_answer(room.room_id()) {
            return;
        }
        if let Err(error) = self.store.ledger().note_heard(room.room_id(), &event) {
            tracing::error!(
                "the read position in {} could not be saved: {error:#}",
                room.room_id()
            );
        }
    }

    /// Queues a message about a room in that room.
    pub(crate) fn remark(&self, room: &RoomId, cause: &EventId, says: &Reply) {
        let remark = owed_message::remark(room, (cause, Timestamp::now()), Purpose::Skipped, says);
        if let Err(error) = self.responder.owe(&[remark]) {
            tracing::error!("a notice for {room} is lost: {error:#}");
        }
    }

    /// Counts a command that came too late, unless it was accepted in time.
    fn note_late(&mut self, room: &Room, line: ChatLine, now: Timestamp) {
        let ledger = self.store.ledger();
        let new = ledger.answer_at_once(&line.event, room.room_id(), now, &[]);
        if !new.unwrap_or(true) || too_old(line.sent, now, NOBODY_WAITS) {
            return;
        }
        let late = self.late.entry(room.room_id().to_owned()).or_default();
        late.count += 1;
        if late.newest.as_ref().is_none_or(|newest| newest.sent <= line.sent) {
            late.newest = Some(line);
        }
    }
}

/// The events after the bot's own join, if that is among them: earlier messages are not for it.
fn since_join<'a>(events: &'a [TimelineEvent], own: &UserId) -> &'a [TimelineEvent] {
    let joined = events.iter().rposition(|event| {
        let Ok(AnySyncTimelineEvent::State(AnySyncStateEvent::RoomMember(
            SyncStateEvent::Original(event),
        ))) = event.raw().deserialize()
        else {
            return false;
        };
        // A new name is a join as well, but not the first one.
        let before = event.prev_content().map(|content| content.membership.clone());
        event.state_key == own
            && event.content.membership == MembershipState::Join
            && before != Some(MembershipState::Join)
    });
    joined.map_or(events, |at| events.get(at + 1..).unwrap_or_default())
}
