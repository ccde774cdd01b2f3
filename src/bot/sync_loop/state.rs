//! What the sync loop works with, and what it remembers between two syncs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::{Client, Room};
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tokio::time::Instant;

use super::homeserver_clock::HomeserverClock;
use super::invites::Invites;
use super::undecrypted::UndecryptedEvents;
use crate::bot::account::client;
use crate::bot::chat_line::ChatLine;
use crate::bot::ops_rooms::{OpsRooms, ops_rooms};
use crate::bot::rate_limit::{PoliteReplies, RateLimit, RefusalReplies};
use crate::bot::responder::state::Responder;
use crate::bot::settings::matrix_config;
use crate::bot::task_queue::intake::Intake;
use crate::config::Config;
use crate::store::Store;

/// The loop and what it remembers.
pub(crate) struct SyncLoop {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) responder: Arc<Responder>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) courtesy: PoliteReplies,
    pub(crate) pace: RateLimit,
    pub(super) undecrypted: UndecryptedEvents,
    /// Who recently got the reply that too many commands wait.
    pub(crate) full: PoliteReplies,
    pub(crate) admissions: AdmissionMemory,
    /// Buttons of the last hour, by person.
    pub(crate) presses: RateLimit,
    pub(crate) clock: HomeserverClock,
    pub(super) invites: Invites,
    /// New rooms of upgrades that are not followed yet: no direct chats either.
    pub(crate) undecided_upgrades: HashSet<OwnedRoomId>,
    /// Tombstones whose new room the bot was not invited to yet, and since when it waits.
    pub(crate) uninvited: HashMap<OwnedEventId, Instant>,
    pub(crate) caught_up: HashSet<OwnedRoomId>,
    /// Commands that were too old, by room, until the room has a notice.
    pub(super) late: HashMap<OwnedRoomId, LateCommands>,
}

/// Commands of one room that came too late.
#[derive(Debug, Default)]
pub(super) struct LateCommands {
    pub(super) count: usize,
    pub(super) newest: Option<ChatLine>,
}

impl SyncLoop {
    pub(crate) fn new(
        config: Arc<Config>,
        client: Client,
        responder: Arc<Responder>,
        intake: Arc<Intake>,
    ) -> Self {
        Self {
            config,
            client,
            store: responder.store.clone(),
            responder,
            intake,
            courtesy: PoliteReplies::default(),
            pace: RateLimit::default(),
            undecrypted: UndecryptedEvents::default(),
            full: PoliteReplies::default(),
            admissions: AdmissionMemory::default(),
            presses: RateLimit::default(),
            clock: HomeserverClock::default(),
            invites: Invites::default(),
            undecided_upgrades: HashSet::new(),
            uninvited: HashMap::new(),
            caught_up: HashSet::new(),
            late: HashMap::new(),
        }
    }

    /// The current ops rooms.
    pub(crate) fn ops(&self) -> OpsRooms {
        ops_rooms(&self.config, &self.store.ledger())
    }

    /// The joined room with this ID.
    pub(crate) fn joined(&self, room: &RoomId) -> Option<Room> {
        client::joined(&self.client, room)
    }

    /// The room, if it is an ops room and joined.
    pub(crate) fn ops_room(&self, room: &ruma::RoomId) -> Option<Room> {
        self.joined(room).filter(|_| self.ops().holds(room))
    }

    /// How old a command may be.
    pub(crate) fn max_age(&self) -> Duration {
        matrix_config(&self.config).map_or(Duration::ZERO, |matrix| matrix.max_command_age)
    }
}

/// What admission remembers.
#[derive(Debug, Default)]
pub(crate) struct AdmissionMemory {
    pub(super) reasons: RefusalReplies,
    pub(super) lookups: RateLimit,
    pub(super) waiting: Vec<(OwnedRoomId, TimelineEvent)>,
    /// Rooms that this process warned that they are not encrypted.
    pub(super) warned: HashSet<OwnedRoomId>,
}
