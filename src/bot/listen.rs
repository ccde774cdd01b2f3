//! Sync responses → lines through the gate → answers beside the loop.
//! It survives every failure of the homeserver but the end of the session.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use matrix_sdk::config::SyncSettings;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::room::MessagesOptions;
use matrix_sdk::ruma::api::client::filter::{FilterDefinition, LazyLoadOptions};
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::ruma::events::room::member::MembershipState;
use matrix_sdk::ruma::events::{AnySyncStateEvent, AnySyncTimelineEvent, SyncStateEvent};
use matrix_sdk::sync::SyncResponse;
use matrix_sdk::{Client, Room, RoomState, ruma::uint};
use ruma::{OwnedRoomId, UserId};
use tokio::sync::mpsc;

use super::answer::{Asked, Desk};
use super::capture::Tick;
use super::door::Door;
use super::enclosed::Enclosed;
use super::gate::{Courtesy, Paces, may_command, too_old};
use super::line::ChatLine;
use super::react::{self, Press};
use super::unreadable::Unreadables;
use super::{client, lease, matrix_of, read, words};
use crate::config::Config;
use crate::store::{Standing, Store};

/// The pauses between failed syncs.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A late command older than this is not worth a line.
const NOBODY_WAITS: Duration = Duration::from_secs(24 * 60 * 60);

/// How many direct chats are looked back in after one sync.
const CHATS: usize = 20;

/// The loop and what it remembers.
pub(super) struct Ear {
    pub(super) config: Arc<Config>,
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) desk: Arc<Desk>,
    /// Cloned into every answer, so that the process can wait for the last one.
    done: mpsc::Sender<()>,
    pub(super) courtesy: Courtesy,
    pub(super) pace: Paces,
    pub(super) unreadable: Unreadables,
    door: Door,
    looked_back: HashSet<OwnedRoomId>,
    /// Commands that came too late, by room, until the room is told.
    late: HashMap<OwnedRoomId, Late>,
}

/// Commands of one room that came too late.
#[derive(Debug, Default)]
struct Late {
    count: usize,
    newest: Option<ChatLine>,
}

impl Ear {
    pub(super) fn new(
        config: Arc<Config>,
        client: Client,
        store: Store,
        desk: Arc<Desk>,
        done: mpsc::Sender<()>,
    ) -> Self {
        Self {
            config,
            client,
            store,
            desk,
            done,
            courtesy: Courtesy::default(),
            pace: Paces::default(),
            unreadable: Unreadables::new(),
            door: Door::default(),
            looked_back: HashSet::new(),
            late: HashMap::new(),
        }
    }

    /// Syncs until the homeserver ends the session.
    pub(super) async fn listen(mut self) -> Result<()> {
        let settings = SyncSettings::new().filter(Filter::FilterDefinition(filter()));
        let mut pause = FIRST_PAUSE;
        // The first sync does not wait for news: what a crash left unanswered is looked for after it.
        let mut this_time = settings.clone().timeout(Duration::ZERO);
        loop {
            match self.client.sync_once(this_time.clone()).await {
                Ok(response) => {
                    this_time = settings.clone();
                    if pause != FIRST_PAUSE {
                        tracing::info!("the homeserver answers again");
                    }
                    pause = FIRST_PAUSE;
                    self.take_in(response).await;
                }
                Err(error) if client::is_over(error.client_api_error_kind()) => {
                    return Err(client::session_is_over(anyhow!(error)));
                }
                Err(error) => {
                    tracing::warn!("sync failed, trying again in {pause:?}: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn take_in(&mut self, response: SyncResponse) {
        for (room, update) in &response.rooms.joined {
            if let Some(room) = self.joined(room) {
                self.hear_all(&room, &update.timeline.events).await;
            }
        }
        if !response.to_device.is_empty() {
            self.try_unreadable().await;
        }
        // Synapse may answer the first sync from its cache, without what came since: looking back finds
        // the rest, so that late commands are counted once and together.
        self.look_back().await;
        self.own_up();
        self.door.tend(&self.client, &self.config).await;
    }

    /// The room, if it is one of the configured ones and joined.
    pub(super) fn ops_room(&self, room: &ruma::RoomId) -> Option<Room> {
        let matrix = matrix_of(&self.config).ok()?;
        let listed = matrix.rooms.iter().any(|listed| listed == room);
        let room = self.client.get_room(room).filter(|_| listed)?;
        (room.state() == RoomState::Joined).then_some(room)
    }

    /// Hears events, oldest first.
    pub(super) async fn hear_all(&mut self, room: &Room, events: &[TimelineEvent]) {
        if self.ops_room(room.room_id()).is_none() {
            return self.hear_chat(room, events).await;
        }
        for event in since_join(events, room.own_user_id()) {
            if let TimelineEventKind::UnableToDecrypt { event, .. } = &event.kind {
                self.keep_unreadable(room, event);
            } else if let Ok(event) = event.raw().deserialize() {
                self.hear(room, &event).await;
            }
        }
    }

    /// Tells each room once about all of its commands that came too late.
    fn own_up(&mut self) {
        for (room, late) in std::mem::take(&mut self.late) {
            let (Some(room), Some(newest)) = (self.ops_room(&room), late.newest) else {
                continue;
            };
            tracing::info!("{} commands in {} came too late", late.count, room.room_id());
            self.beside(Desk::own_up(room, newest, late.count, self.max_age()));
        }
    }

    /// Hears one event: the gate, in order of cost.
    async fn hear(&mut self, room: &Room, event: &AnySyncTimelineEvent) {
        if let Some(tick) = Tick::of(event).filter(|tick| tick.sender != room.own_user_id()) {
            return self.desk.captures.ticked(room, tick, &self.config).await;
        }
        if let Some(press) = Press::of(event) {
            return self.pressed(room, press).await;
        }
        let handed = || Enclosed::of(event)?.handed(room.own_user_id());
        let Some(line) = ChatLine::of(event).or_else(handed) else {
            return;
        };
        if line.sender == room.own_user_id() || line.sent < self.store.since() {
            return;
        }
        let Some(asked) = read(&line, &self.config) else {
            return;
        };
        let now = Timestamp::now();
        let old = too_old(line.sent, now, self.max_age());
        let allowed = may_command(room, &line.sender, &self.config).await;
        if !allowed && (old || !self.courtesy.due(room.room_id(), &line.sender, now)) {
            return;
        }
        match self.store.begin(&line.event) {
            Ok(Standing::Settled) => return,
            Ok(Standing::New) => {}
            Ok(Standing::GivenUp) => {
                tracing::error!("{} ended two processes and is given up", line.event);
                return self.beside(self.desk.clone().give_up(room.clone(), line));
            }
            Ok(Standing::Again) => tracing::info!("{} was left unanswered by a crash", line.event),
            Err(error) => {
                // Without the note a crash could answer twice; without an answer nobody is helped.
                tracing::error!("{} could not be noted: {error:#}", line.event);
            }
        }
        if old {
            self.desk.done(&line.event);
            return self.note_late(room, line, now);
        }
        self.start(room, line, asked, allowed);
    }

    /// A button under a storm's root, pressed by somebody who may command; of others nothing is said.
    async fn pressed(&mut self, room: &Room, press: Press) {
        let (root, button) = (press.root.clone(), press.button);
        let line = press.line();
        let old = too_old(line.sent, Timestamp::now(), self.max_age());
        if line.sender == room.own_user_id() || line.sent < self.store.since() || old {
            return;
        }
        let ledger = self.store.ledger();
        let storm = ledger.storm_of(&root).and_then(|number| match number {
            Some(number) => ledger.storm(number),
            None => Ok(None),
        });
        let storm = match storm {
            Ok(Some(storm)) => storm.event,
            Ok(None) => return,
            Err(error) => return tracing::error!("the ledger cannot be read: {error:#}"),
        };
        if !may_command(room, &line.sender, &self.config).await {
            return;
        }
        match self.store.begin(&line.event) {
            Ok(Standing::New | Standing::Again) => {}
            Ok(Standing::Settled | Standing::GivenUp) => return,
            Err(error) => tracing::error!("{} could not be noted: {error:#}", line.event),
        }
        let asked = match react::command(button, &storm) {
            Some(command) => Asked::Command(command),
            None => Asked::Slip(words::no_device_in_it()),
        };
        self.start(room, line, asked, true);
    }

    fn note_late(&mut self, room: &Room, line: ChatLine, now: Timestamp) {
        if too_old(line.sent, now, NOBODY_WAITS) {
            return;
        }
        let late = self.late.entry(room.room_id().to_owned()).or_default();
        late.count += 1;
        if late.newest.as_ref().is_none_or(|newest| newest.sent <= line.sent) {
            late.newest = Some(line);
        }
    }

    fn start(&self, room: &Room, line: ChatLine, asked: Asked, allowed: bool) {
        let (desk, room) = (self.desk.clone(), room.clone());
        match allowed {
            true => self.beside(desk.answer(room, line, asked)),
            false => self.beside(desk.turn_away(room, line)),
        }
    }

    /// Runs work beside the loop, and lets the process wait for it at its end.
    pub(super) fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let done = self.done.clone();
        tokio::spawn(async move {
            work.await;
            drop(done);
        });
    }

    pub(super) fn max_age(&self) -> Duration {
        matrix_of(&self.config).map_or(Duration::ZERO, |matrix| matrix.max_command_age)
    }

    /// Looks at the newest messages of each ops room once: for commands that came between the last sync
    /// and its answer when the process ended, or beyond what one sync carries.
    async fn look_back(&mut self) {
        let Ok(matrix) = matrix_of(&self.config) else {
            return;
        };
        let mut rooms = matrix.rooms.clone();
        rooms.extend(self.chats());
        rooms.retain(|id| !self.looked_back.contains(id));
        rooms.truncate(matrix.rooms.len() + CHATS);
        for id in rooms {
            let Some(room) = self.joined(&id) else {
                continue;
            };
            let mut options = MessagesOptions::backward();
            options.limit = uint!(50);
            match room.messages(options).await {
                Ok(messages) => {
                    let oldest_first: Vec<_> = messages.chunk.into_iter().rev().collect();
                    self.looked_back.insert(id);
                    self.hear_all(&room, &oldest_first).await;
                }
                Err(error) => tracing::warn!("cannot look back in {id}, trying again: {error}"),
            }
        }
    }
}

/// Enough of each room's timeline for a busy downtime; members only where they are needed.
fn filter() -> FilterDefinition {
    let mut filter = FilterDefinition::default();
    filter.room.timeline.limit = Some(uint!(100));
    // Renewed three times a minute: each would end a sync that waits.
    filter.account_data.not_types = vec![lease::TYPE.to_owned()];
    filter.room.state.lazy_load_options =
        LazyLoadOptions::Enabled { include_redundant_members: false };
    filter
}

/// The events after the bot's own join, where that is among them: what was said before is not for it.
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
