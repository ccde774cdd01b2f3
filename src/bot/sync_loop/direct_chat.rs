//! Direct chats → reports, and a word on how to send one. A direct chat is a room of the bot and one user who
//! may send reports; nothing else is heard in it, and nothing is told there but a user's own receipt.

use std::time::Duration;

use jiff::Timestamp;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::{Room, RoomMemberships, RoomState};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::listen::Ear;
use crate::bot::account::client;
use crate::bot::attachment::Enclosed;
use crate::bot::messages::room_message::About;
use crate::bot::ops_rooms::OpsRooms;
use crate::bot::outbox::answers;
use crate::bot::permission::{Pace, may_command_at_all, too_old};
use crate::bot::replies;
use crate::bot::task_queue::task::Task;
use crate::bot::task_queue::worker::MOST_OPEN;
use crate::config::Config;
use crate::store::HandedIn;
use kestrel_core::render::Reply;

/// A report that waited longer than this is not worth reading: its sender has found another way.
const NOBODY_WAITS: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose direct chat a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chat {
    With(OwnedUserId),
    /// The other one has left it, or has brought others in.
    Over,
    /// It is none.
    Not,
}

/// What a room is by its members. An ops room is no direct chat, whoever is in it.
async fn chat(room: &Room, config: &Config, ops: &OpsRooms) -> Chat {
    if room.state() != RoomState::Joined || ops.holds(room.room_id()) {
        return Chat::Not;
    }
    let Ok(members) = room.members(RoomMemberships::ACTIVE).await else {
        return Chat::Not;
    };
    let others = members.iter().map(|member| member.user_id());
    let others: Vec<_> = others.filter(|user| *user != room.own_user_id()).collect();
    let direct = room.is_direct().await.unwrap_or(false);
    match (others.as_slice(), direct) {
        ([one], _) if lets_in(config, one) => Chat::With((*one).to_owned()),
        ([_], _) | (_, false) => Chat::Not,
        (_, true) => Chat::Over,
    }
}

/// Whether this user's direct chat is let in.
pub(crate) fn lets_in(config: &Config, user: &UserId) -> bool {
    config.reports.lets_in(user, config.server.name.as_deref())
}

impl Ear {
    /// Hears a room that is no ops room, if it is a direct chat. What was said before the bot came is heard
    /// too: clients invite with the first message.
    pub(crate) async fn hear_chat(&mut self, room: &Room, events: &[TimelineEvent]) {
        if self.on_trial.contains(room.room_id()) {
            return;
        }
        let with = match chat(room, &self.config, &self.ops()).await {
            Chat::With(user) => user,
            Chat::Not => return,
            Chat::Over => {
                tracing::info!("leaving {}: it is no direct chat any more", room.room_id());
                if let Err(error) = client::leave(room).await {
                    tracing::warn!("cannot leave {}: {error}", room.room_id());
                }
                return;
            }
        };
        for event in events {
            if let TimelineEventKind::UnableToDecrypt { event, .. } = &event.kind {
                self.keep_unreadable(room, event);
            } else if let Ok(event) = event.raw().deserialize() {
                self.hear_direct(room, &with, &event);
            }
        }
    }

    /// Joined rooms that may be direct chats.
    pub(crate) fn chats(&self) -> Vec<OwnedRoomId> {
        let rooms = self.client.joined_rooms().into_iter().map(|room| room.room_id().to_owned());
        let ops = self.ops();
        let other = |room: &OwnedRoomId| !ops.holds(room) && !self.on_trial.contains(room);
        rooms.filter(|room| self.config.reports.enabled && other(room)).collect()
    }

    /// Hears one event of a direct chat.
    pub(crate) fn hear_direct(&mut self, room: &Room, with: &UserId, event: &AnySyncTimelineEvent) {
        let Some(sent) = Enclosed::of(event).filter(|sent| sent.sender == with) else {
            return;
        };
        let now = Timestamp::now();
        if sent.sent < self.store.since() || too_old(sent.sent, now, NOBODY_WAITS) {
            return;
        }
        if sent.is_talk() || sent.is_command() {
            return self.small_talk(room, &sent, now);
        }
        // Noted already: it is accepted, or was answered.
        if self.store.ledger().is_noted(&sent.event).unwrap_or(false) {
            return;
        }
        match self.pace.step(&sent.sender, self.config.reports.each, now) {
            Pace::Go => {
                let task = Task::Report {
                    event: sent.event.clone(),
                    sender: sent.sender.clone(),
                    sent: sent.sent,
                };
                if self.intake.hand_in(&sent.event, room.room_id(), &task) == HandedIn::Full {
                    self.chat(room, &sent, &replies::queue_full(MOST_OPEN));
                }
            }
            Pace::Tell => self.chat(room, &sent, &replies::too_often(self.config.reports.each)),
            Pace::Silent => self.note_settled(room, &sent.event),
        }
    }

    /// Says something in a direct chat because of a message that needs no work.
    fn chat(&self, room: &Room, sent: &Enclosed, says: &Reply) {
        let cause = (&*sent.event, sent.sent);
        let reply = answers::reply(room.room_id(), cause, About::Answer, says, "");
        self.owe_for(room, &sent.event, reply);
    }

    /// How to send a report, once an hour; an admin's command belongs elsewhere.
    fn small_talk(&mut self, room: &Room, sent: &Enclosed, now: Timestamp) {
        // What was said before a crash may be heard twice; an hour later nobody minds.
        if too_old(sent.sent, now, self.max_age()) {
            return;
        }
        if !self.courtesy.due(room.room_id(), &sent.sender, now) {
            return;
        }
        let admin = may_command_at_all(&self.config, &sent.sender);
        let misplaced = admin && sent.is_command();
        let says = if misplaced { replies::in_the_ops_room() } else { replies::how_to_report() };
        self.chat(room, sent, &says);
    }

    /// The joined room of this id.
    pub(crate) fn joined(&self, room: &RoomId) -> Option<Room> {
        self.client.get_room(room).filter(|room| room.state() == RoomState::Joined)
    }
}
