//! Direct chats → reports, and a word on how to send one. A direct chat is a room of the bot and one user who
//! may send reports; nothing else is heard in it, and nothing is told there but a user's own receipt.

use std::time::Duration;

use jiff::Timestamp;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::{Room, RoomMemberships, RoomState};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::enclosed::Enclosed;
use super::gate::{Pace, may_command_at_all, too_old};
use super::listen::Ear;
use super::{matrix_of, words};
use crate::config::Config;
use crate::store::Standing;

/// A report that waited longer than this is not worth reading: its sender has found another way.
const NOBODY_WAITS: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose direct chat a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chat {
    With(OwnedUserId),
    /// The other one has left it, or has brought others in.
    Over,
    /// It is none.
    Not,
}

/// What a room is by its members. An ops room is no direct chat, whoever is in it.
pub(super) async fn chat(room: &Room, config: &Config) -> Chat {
    let listed =
        |matrix: &crate::config::Matrix| matrix.rooms.iter().any(|listed| listed == room.room_id());
    if room.state() != RoomState::Joined || matrix_of(config).map_or(true, listed) {
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
pub(super) fn lets_in(config: &Config, user: &UserId) -> bool {
    config.reports.lets_in(user, config.server.name.as_deref())
}

impl Ear {
    /// Hears a room that is no ops room, if it is a direct chat. What was said before the bot came is heard
    /// too: clients invite with the first message.
    pub(super) async fn hear_chat(&mut self, room: &Room, events: &[TimelineEvent]) {
        let with = match chat(room, &self.config).await {
            Chat::With(user) => user,
            Chat::Not => return,
            Chat::Over => {
                tracing::info!("leaving {}: it is no direct chat any more", room.room_id());
                if let Err(error) = room.leave().await {
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
    pub(super) fn chats(&self) -> Vec<OwnedRoomId> {
        let rooms = self.client.joined_rooms().into_iter().map(|room| room.room_id().to_owned());
        rooms.filter(|room| self.config.reports.enabled && self.ops_room(room).is_none()).collect()
    }

    /// Hears one event of a direct chat.
    pub(super) fn hear_direct(&mut self, room: &Room, with: &UserId, event: &AnySyncTimelineEvent) {
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
        match self.store.begin(&sent.event) {
            Ok(Standing::Settled) => return,
            Ok(Standing::New | Standing::Again) => {}
            Ok(Standing::GivenUp) => {
                tracing::error!("the report {} ended two processes and is given up", sent.event);
                let desk = self.desk.clone();
                return self.beside(desk.chat(room.clone(), sent.event, words::our_fault()));
            }
            Err(error) => tracing::error!("{} could not be noted: {error:#}", sent.event),
        }
        let desk = self.desk.clone();
        match self.pace.step(&sent.sender, self.config.reports.each, now) {
            Pace::Go => self.beside(desk.receive(room.clone(), sent)),
            Pace::Tell => {
                let says = words::too_often(self.config.reports.each);
                self.beside(desk.chat(room.clone(), sent.event, says));
            }
            Pace::Silent => self.desk.done(&sent.event),
        }
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
        match self.store.begin(&sent.event) {
            Ok(Standing::New | Standing::Again) => {}
            Ok(Standing::Settled | Standing::GivenUp) => return,
            Err(error) => tracing::error!("{} could not be noted: {error:#}", sent.event),
        }
        let admin = may_command_at_all(&self.config, &sent.sender);
        let says = match admin && sent.is_command() {
            true => words::in_the_ops_room(),
            false => words::how_to_report(),
        };
        self.beside(self.desk.clone().chat(room.clone(), sent.event.clone(), says));
    }

    /// The joined room of this id.
    pub(super) fn joined(&self, room: &RoomId) -> Option<Room> {
        self.client.get_room(room).filter(|room| room.state() == RoomState::Joined)
    }
}
