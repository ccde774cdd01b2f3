//! An alert → the rooms that it is posted in, and its place in each: the first message, or its thread. There are two
//! rooms while an upgrade of the ops room is not proven.

use anyhow::{Context, Result};
use matrix_sdk::Room;
use ruma::OwnedRoomId;

use super::alert_order::{Placement, placement};
use super::alerts::AlertOutbox;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::bot::messages::transaction::AlertPart;
use crate::bot::ops_rooms::{OpenRooms, alert_room, ops_rooms};
use crate::store::Known;
use kestrel_core::storm::Event;

impl AlertOutbox {
    /// The rooms that alerts go to, as soon as the bot is in one of them: two while an upgrade is not proven.
    pub(crate) async fn open(&self) -> Result<OpenRooms> {
        let client = self.client.borrow().clone();
        let client = client.context("the homeserver has not let the bot in yet")?;
        ops_rooms(&self.config, &self.ledger).open(&client, &alert_room(&self.config)?).await
    }

    /// The room that a storm's case belongs to: where its first message stands, or will stand.
    pub(crate) async fn case_room(&self, known: &Known) -> Option<OwnedRoomId> {
        if let Some((room, _)) = &known.root {
            return Some(room.clone());
        }
        let open = self.open().await.ok();
        let first = open.and_then(|open| Some(open.rooms.first()?.room_id().to_owned()));
        first.or_else(|| alert_room(&self.config).ok())
    }

    /// A message about a storm, in one room. A crash in between goes on where it was: the same transaction ids
    /// give the same events.
    pub(crate) async fn post_in_room(
        &self,
        room: &Room,
        event: &Event,
        message: &OutgoingMessage,
        key: &str,
        proven: bool,
    ) -> Result<()> {
        let words = AlertPart::Words.transaction(key);
        let root = self.ledger.root_in(event.storm, room.room_id())?;
        let elsewhere = self.ledger.storm(event.storm)?.is_some_and(|known| known.root.is_some());
        match placement(event.change, message.opens, root.as_deref()) {
            // Its thread is in a room where the bot may not send any more.
            Placement::Nowhere if elsewhere => {
                room_message::post(room, Destination::Room, message, &[], words).await.map(drop)
            }
            Placement::Nowhere => Ok(()),
            Placement::First => {
                let root = self.post_root(room, event, message, key, proven).await?;
                self.complete_root(room, &root, event, key).await
            }
            Placement::Finish(root) => self.complete_root(room, root, event, key).await,
            Placement::Thread(root) => {
                room_message::post(room, Destination::Thread(root), message, &[], words).await?;
                if let Some((plain, html)) = message.instead.clone() {
                    let new =
                        OutgoingMessage { plain, html, rings: true, instead: None, opens: false };
                    let edit = AlertPart::Edit.transaction(key);
                    room_message::post(room, Destination::Instead(root), &new, &[], edit).await?;
                }
                Ok(())
            }
        }
    }
}
