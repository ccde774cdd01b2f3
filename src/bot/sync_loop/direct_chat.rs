//! Direct chats → reports, or a reply that explains how to send one. A direct chat is a room of the bot and one user
//! who may send reports; nothing else is read in it, and only the user's own receipt is posted there.

use jiff::Timestamp;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::{Room, RoomMemberships, RoomState};
use ruma::{OwnedRoomId, OwnedUserId, UserId};

use super::state::SyncLoop;
use crate::bot::account::client;
use crate::bot::attachment::Attachment;
use crate::bot::event_age::{NOBODY_WAITS, too_old};
use crate::bot::messages::transaction::Purpose;
use crate::bot::ops_rooms::OpsRooms;
use crate::bot::outbox::owed_message;
use crate::bot::permission::may_command_at_all;
use crate::bot::rate_limit::Rate;
use crate::bot::settings::may_report;
use crate::bot::task_queue::intake::MOST_OPEN;
use crate::bot::task_queue::task::QueuedTask;
use crate::config::Config;
use crate::store::HandedIn;
use kestrel_core::render::Reply;
use kestrel_core::render::replies;

/// Whose direct chat a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DirectChat {
    With(OwnedUserId),
    /// The other one has left it, or has brought others in.
    Over,
    /// It is not a direct chat.
    Not,
}

/// What a room is by its members. An ops room is never a direct chat.
async fn chat(room: &Room, config: &Config, ops: &OpsRooms) -> DirectChat {
    if room.state() != RoomState::Joined || ops.holds(room.room_id()) {
        return DirectChat::Not;
    }
    let Ok(members) = room.members(RoomMemberships::ACTIVE).await else {
        return DirectChat::Not;
    };
    let others = members.iter().map(|member| member.user_id());
    let others: Vec<_> = others.filter(|user| *user != room.own_user_id()).collect();
    let direct = room.is_direct().await.unwrap_or(false);
    match (others.as_slice(), direct) {
        ([one], _) if may_report(config, one) => DirectChat::With((*one).to_owned()),
        ([_], _) | (_, false) => DirectChat::Not,
        (_, true) => DirectChat::Over,
    }
}

impl SyncLoop {
    /// Handles a room that is not an ops room, if it is a direct chat. Messages from before the bot joined count too:
    /// clients invite with the first message.
    pub(crate) async fn handle_direct_chat(&mut self, room: &Room, events: &[TimelineEvent]) {
        if self.undecided_upgrades.contains(room.room_id()) {
            return;
        }
        let with = match chat(room, &self.config, &self.ops()).await {
            DirectChat::With(user) => user,
            DirectChat::Not => return,
            DirectChat::Over => {
                tracing::info!("leaving {}: it is not a direct chat any more", room.room_id());
                if let Err(error) = client::leave(room).await {
                    tracing::warn!("cannot leave {}: {error}", room.room_id());
                }
                return;
            }
        };
        for event in events {
            if let TimelineEventKind::UnableToDecrypt { event, .. } = &event.kind {
                self.keep_undecrypted(room, event);
            } else if let Ok(event) = event.raw().deserialize() {
                self.handle_direct_event(room, &with, &event);
            }
        }
    }

    /// Joined rooms that may be direct chats.
    pub(crate) fn chats(&self) -> Vec<OwnedRoomId> {
        let rooms = self.client.joined_rooms().into_iter().map(|room| room.room_id().to_owned());
        let ops = self.ops();
        let other =
            |room: &OwnedRoomId| !ops.holds(room) && !self.undecided_upgrades.contains(room);
        rooms.filter(|room| self.config.reports.enabled && other(room)).collect()
    }

    /// Handles one event of a direct chat.
    pub(crate) fn handle_direct_event(
        &mut self,
        room: &Room,
        with: &UserId,
        event: &AnySyncTimelineEvent,
    ) {
        let Some(sent) = Attachment::from_event(event).filter(|sent| sent.sender == with) else {
            return;
        };
        let now = Timestamp::now();
        if sent.sent < self.store.since() || too_old(sent.sent, now, NOBODY_WAITS) {
            return;
        }
        if sent.is_talk() || sent.is_command() {
            return self.answer_talk(room, &sent, now);
        }
        // Noted already: it is accepted, or was answered.
        if self.store.ledger().is_noted(&sent.event).unwrap_or(false) {
            return;
        }
        match self.pace.step(&sent.sender, self.config.reports.each, now) {
            Rate::Allowed => {
                let task = QueuedTask::Report {
                    event: sent.event.clone(),
                    sender: sent.sender.clone(),
                    sent: sent.sent,
                };
                if self.intake.hand_in(&sent.event, room.room_id(), &task) == HandedIn::Full {
                    self.say_in_chat(room, &sent, &replies::queue_full(MOST_OPEN));
                }
            }
            Rate::JustExceeded { free } => {
                let view = self.responder.flow.view();
                let says = replies::reports_limited(self.config.reports.each, free, &view);
                self.say_in_chat(room, &sent, &says)
            }
            Rate::Exceeded => self.note_settled(room, &sent.event),
        }
    }

    /// Replies in a direct chat to a message that needs no work.
    fn say_in_chat(&self, room: &Room, sent: &Attachment, says: &Reply) {
        let cause = (&*sent.event, sent.sent);
        let reply = owed_message::reply(room.room_id(), cause, Purpose::Answer, says, "");
        self.owe_for(room, &sent.event, reply);
    }

    /// How to send a report, once an hour; an admin's command belongs elsewhere.
    fn answer_talk(&mut self, room: &Room, sent: &Attachment, now: Timestamp) {
        // A message from before a crash may be read twice; after an hour that does not matter.
        if too_old(sent.sent, now, self.max_age()) {
            return;
        }
        if !self.courtesy.due(room.room_id(), &sent.sender, now) {
            return;
        }
        let admin = may_command_at_all(&self.config, &sent.sender);
        let misplaced = admin && sent.is_command();
        let says = if misplaced { replies::commands_elsewhere() } else { replies::how_to_report() };
        self.say_in_chat(room, sent, &says);
    }
}
