//! Sync responses → checked events → tasks in the ledger, or immediate replies. It survives every failure of the
//! homeserver except the end of the session. After a start, and after a gap in the sync, it reads each room back to
//! the newest event that was handled.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use matrix_sdk::config::SyncSettings;
use matrix_sdk::deserialized_responses::{TimelineEvent, TimelineEventKind};
use matrix_sdk::ruma::api::client::filter::{FilterDefinition, LazyLoadOptions};
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::ruma::events::room::member::MembershipState;
use matrix_sdk::ruma::events::{AnySyncStateEvent, AnySyncTimelineEvent, SyncStateEvent};
use matrix_sdk::sync::{SyncResponse, Timeline};
use matrix_sdk::{Room, ruma::uint};
use ruma::{EventId, RoomId, UserId};

use super::admission::Admission;
use super::state::SyncLoop;
use crate::bot::account::client;
use crate::bot::account::lease;
use crate::bot::attachment::Attachment;
use crate::bot::buttons::ButtonPress;
use crate::bot::captures::tick::StepTick;
use crate::bot::chat_line::ChatLine;
use crate::bot::event_age::NOBODY_WAITS;
use crate::bot::event_age::too_old;
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::owed_message;
use crate::bot::permission::may_command;
use crate::bot::replies;
use crate::bot::request::ChatRequest;
use crate::bot::request::read;
use crate::bot::supervisor::TaskEnd;
use crate::bot::task_queue::task::QueuedTask;
use kestrel_core::render::Reply;

/// The pauses between failed syncs.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl SyncLoop {
    /// Syncs until the homeserver ends the session.
    pub(crate) async fn run(mut self) -> TaskEnd {
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
                    self.handle_response(response).await;
                }
                Err(error) if client::is_over(error.client_api_error_kind()) => {
                    return TaskEnd::Over(client::session_is_over(anyhow!(error)));
                }
                Err(error) => {
                    tracing::warn!("sync failed, trying again in {pause:?}: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn handle_response(&mut self, response: SyncResponse) {
        self.follow_upgrades().await;
        self.note_absences().await;
        for (room, update) in &response.rooms.joined {
            // A room that was not read back yet is skipped: reading it back finds these events too.
            if self.caught_up.contains(room)
                && let Some(room) = self.joined(room)
            {
                self.handle_timeline(&room, &update.timeline).await;
            }
        }
        if !response.to_device.is_empty() {
            self.retry_undecrypted().await;
        }
        self.retry_waiting().await;
        self.catch_up().await;
        self.report_late_commands();
        self.invites.join_allowed(&self.client, &self.config, &self.ops()).await;
    }

    /// Handles a room's part of a sync. Events that the sync left out are fetched first.
    async fn handle_timeline(&mut self, room: &Room, timeline: &Timeline) {
        if timeline.limited
            && let Err(error) = self.read_back(room, timeline.prev_batch.as_deref()).await
        {
            tracing::warn!("a sync gap in {} is filled later: {error:#}", room.room_id());
            self.caught_up.remove(room.room_id());
            return;
        }
        self.handle_events(room, &timeline.events).await;
        self.note_handled(room, timeline.events.last());
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

    /// Posts one line per room about its commands that were too old.
    fn report_late_commands(&mut self) {
        for (room, late) in std::mem::take(&mut self.late) {
            let Some(newest) = late.newest else { continue };
            tracing::info!("{} commands in {room} are too old and were skipped", late.count);
            let says = replies::skipped(late.count, self.max_age(), self.clock.wrong());
            self.remark(&room, &newest.event, &says);
        }
    }

    /// Queues a message about a room in that room.
    pub(crate) fn remark(&self, room: &RoomId, cause: &EventId, says: &Reply) {
        let remark = owed_message::remark(room, (cause, Timestamp::now()), Purpose::Skipped, says);
        if let Err(error) = self.responder.owe(&[remark]) {
            tracing::error!("a notice for {room} is lost: {error:#}");
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
                ChatRequest::Slip(reply) => self.say_at_once(room, &line, Purpose::Answer, &reply),
                ChatRequest::Command(_) => self.accept(room, line, QueuedTask::Line),
            },
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
