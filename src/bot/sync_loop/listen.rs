//! Sync responses → checked events → tasks in the ledger, or immediate replies. It survives every failure of the
//! homeserver except the end of the session. After a start, and after a gap in the sync, it reads each room back to
//! the newest event that was handled.

use std::time::Duration;

use anyhow::anyhow;
use matrix_sdk::config::SyncSettings;
use matrix_sdk::ruma::api::client::filter::{FilterDefinition, LazyLoadOptions};
use matrix_sdk::ruma::api::client::sync::sync_events::v3::Filter;
use matrix_sdk::sync::{SyncResponse, Timeline};
use matrix_sdk::{Room, ruma::uint};

use super::state::SyncLoop;
use crate::bot::account::client;
use crate::bot::account::lease;
use crate::bot::clock_offset;
use crate::bot::supervisor::TaskEnd;
use kestrel_core::render::replies;

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

    /// Posts one line per room about its commands that were too old.
    fn report_late_commands(&mut self) {
        for (room, late) in std::mem::take(&mut self.late) {
            let Some(newest) = late.newest else { continue };
            tracing::info!("{} commands in {room} are too old and were skipped", late.count);
            let clocks = self.clock.wrong().map(clock_offset::describe);
            let says = replies::skipped(late.count, self.max_age(), clocks.as_deref());
            self.remark(&room, &newest.event, &says);
        }
    }
}

/// Enough of each room's timeline for a busy downtime; members only if they are needed.
fn filter() -> FilterDefinition {
    let mut filter = FilterDefinition::default();
    filter.room.timeline.limit = Some(uint!(100));
    // Renewed three times a minute: each would end a sync that waits.
    filter.account_data.not_types = vec![lease::TYPE.to_owned()];
    filter.room.state.lazy_load_options =
        LazyLoadOptions::Enabled { include_redundant_members: false };
    filter
}
