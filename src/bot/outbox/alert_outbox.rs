//! What sends pending alerts: its parts, the rooms that it posts in, and what people may see of an address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use jiff::Timestamp;
use matrix_sdk::Client;
use ruma::OwnedRoomId;
use tokio::sync::watch::Receiver;

use crate::bot::ops_rooms::{OpenRooms, alert_room, ops_rooms};
use crate::bot::storm_watch::shared_state::SharedWatch;
use crate::config::Config;
use crate::flow::Flow;
use crate::store::{Ledger, Store, StoredStorm};
use kestrel_core::evidence::shortened;
use kestrel_core::storm::{Event, Whose};

/// Words and sends pending alerts.
pub(crate) struct AlertOutbox {
    pub(super) config: Arc<Config>,
    pub(super) flow: Flow,
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    pub(super) shared: SharedWatch,
    /// Set while the bot is logged in.
    pub(super) client: Receiver<Option<Client>>,
    /// Pending messages that wait, because the database cannot confirm the storm yet.
    pub(super) later: Mutex<HashMap<i64, Timestamp>>,
}

impl AlertOutbox {
    pub(crate) fn new(
        config: Arc<Config>,
        flow: Flow,
        store: Store,
        shared: SharedWatch,
        client: Receiver<Option<Client>>,
    ) -> Self {
        let ledger = store.ledger();
        let later = Mutex::default();
        Self { config, flow, store, ledger, shared, client, later }
    }

    /// The rooms that alerts go to, as soon as the bot is in one of them: two while an upgrade is not proven.
    pub(crate) async fn open(&self) -> Result<OpenRooms> {
        let client = self.client.borrow().clone();
        let client = client.context("the bot is not logged in yet")?;
        ops_rooms(&self.config, &self.ledger).open(&client, &alert_room(&self.config)?).await
    }

    /// The room of a storm's case: the room of its first message.
    pub(crate) async fn case_room(&self, known: &StoredStorm) -> Option<OwnedRoomId> {
        if let Some((room, _)) = &known.root {
            return Some(room.clone());
        }
        let open = self.open().await.ok();
        let first = open.and_then(|open| Some(open.rooms.first()?.room_id().to_owned()));
        first.or_else(|| alert_room(&self.config).ok())
    }

    /// The event with its address as people may see it.
    pub(super) fn with_shown_address(&self, event: &Event) -> Event {
        let mut event = event.clone();
        if let Whose::Address(address) = &mut event.whose
            && !self.config.limits.show_addresses
        {
            *address = shortened(address);
        }
        event
    }
}
