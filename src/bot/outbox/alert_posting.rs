//! An alert → the rooms that it is posted in, and its place in each: the first message, or its thread. There are two
//! rooms while an upgrade of the ops room is not proven.

use anyhow::Result;
use matrix_sdk::Room;
use ruma::{EventId, OwnedEventId, OwnedUserId};

use super::alert_order::{Placement, placement};
use super::alert_outbox::AlertOutbox;
use super::placeholder;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::bot::messages::transaction::AlertPart;
use crate::bot::settings::matrix_config;
use kestrel_core::render;
use kestrel_core::render::storm::{AGAIN, MUTE, WHY};
use kestrel_core::storm::{Event, Whose};

/// A worded message about a storm.
#[derive(Clone, Copy)]
pub(super) struct WordedAlert<'a> {
    pub(super) event: &'a Event,
    pub(super) message: &'a OutgoingMessage,
    /// Names it to the homeserver.
    pub(super) key: &'a str,
    /// Whether it is sure which room is the ops room.
    pub(super) proven: bool,
}

impl AlertOutbox {
    /// A message about a storm, in one room. After a crash it resumes: the same transaction IDs give the same events.
    pub(super) async fn post_in_room(&self, room: &Room, alert: &WordedAlert<'_>) -> Result<()> {
        let WordedAlert { event, message, key, .. } = *alert;
        let words = AlertPart::Words.transaction(key);
        let root = self.ledger.root_in(event.storm, room.room_id())?;
        let elsewhere = self.ledger.storm(event.storm)?.is_some_and(|known| known.root.is_some());
        match placement(event.change, message.opens, root.as_deref()) {
            // Its thread is in a room where the bot cannot send any more.
            Placement::Nowhere if elsewhere => {
                room_message::post(room, Destination::Room, message, &[], words).await.map(drop)
            }
            Placement::Nowhere => Ok(()),
            Placement::First => {
                let root = self.post_root(room, alert).await?;
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

    /// The storm's first message. Until a new room is proven to be the ops room its admins are mentioned in any
    /// case: they see that the room has changed.
    async fn post_root(&self, room: &Room, alert: &WordedAlert<'_>) -> Result<OwnedEventId> {
        let mut rings: &[OwnedUserId] = &[];
        if (self.config.watch.mention || !alert.proven) && alert.message.rings {
            rings = &matrix_config(&self.config)?.admins;
        }
        let txn = AlertPart::Words.transaction(alert.key);
        let root = room_message::post(room, Destination::Room, alert.message, rings, txn).await?;
        self.ledger.rooted(alert.event.storm, room.room_id(), &root)?;
        Ok(root)
    }

    /// What belongs to the first message: its case, its buttons, and the picture in its thread.
    async fn complete_root(
        &self,
        room: &Room,
        root: &EventId,
        event: &Event,
        key: &str,
    ) -> Result<()> {
        if let Err(error) = self.store.rethread(&placeholder::for_root(event), root) {
            tracing::error!("!why will not find the case of {root}: {error:#}");
        }
        for (button, part) in
            [(AGAIN, AlertPart::Again), (WHY, AlertPart::Why), (MUTE, AlertPart::Mute)]
        {
            room_message::react(room, root, button, part.transaction(key)).await?;
        }
        self.picture(room, root, event, key).await
    }

    /// A picture that cannot be drawn or uploaded costs the picture, not the alert.
    async fn picture(&self, room: &Room, root: &EventId, event: &Event, key: &str) -> Result<()> {
        let drawn = self.shared.lock().timeline(event.storm);
        let Some(timeline) = drawn else { return Ok(()) };
        let title = match &self.with_shown_address(event).whose {
            Whose::Device { user, device } => format!("{user} {device}"),
            Whose::Address(address) => address.clone(),
            Whose::Everybody | Whose::Server => {
                self.config.server.name.as_ref().map_or("all".into(), |name| name.to_string())
            }
        };
        let view = self.flow.view();
        let drawing = move || render::picture(&timeline, &title, &view);
        let Ok(Some(picture)) = tokio::task::spawn_blocking(drawing).await else {
            tracing::warn!("the picture of storm {} could not be drawn", event.storm);
            return Ok(());
        };
        if let Err(error) =
            room_message::show(room, root, picture, AlertPart::Picture.transaction(key)).await
        {
            tracing::warn!("the picture of storm {} was not sent: {error:#}", event.storm);
        }
        Ok(())
    }
}
