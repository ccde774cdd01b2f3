//! Pending answers in the ledger → messages in their rooms, each once, however long the homeserver is offline. An
//! answer that is sent late says so; one that cannot be sent for a day is dropped, and the room is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::{Client, Room};
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::owed_message::{Body, MessagePlace, OwedMessage, refused};
use crate::bot::account::client;
use crate::bot::messages::delivery;
use crate::bot::messages::room_message;
use crate::bot::supervisor::TaskEnd;
use crate::flow::Flow;
use crate::store::{NewMessage, Outgoing, Store};
use kestrel_core::render::{self, Reply};

/// How often it checks without a signal.
const LOOK: Duration = Duration::from_secs(30);
/// The pause of a room that did not accept a message; it doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An answer that comes later than this after its question says so.
pub(crate) const LATE: SignedDuration = SignedDuration::from_mins(2);
/// Messages that waited longer are dropped.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Sends pending answers.
pub(crate) struct AnswerOutbox {
    pub(crate) flow: Flow,
    pub(crate) store: Store,
    pub(crate) client: Client,
    /// Signals a new pending message.
    pub(crate) due: Arc<Notify>,
}

/// A room that did not accept a message.
#[derive(Debug, Clone, Copy)]
struct HeldBack {
    until: Instant,
    pause: Duration,
}

impl AnswerOutbox {
    /// Sends until the process ends.
    pub(crate) async fn work(self) -> TaskEnd {
        let mut held = BTreeMap::new();
        loop {
            if let Err(error) = self.round(&mut held).await {
                return TaskEnd::Broke(error.context("what is owed cannot be read"));
            }
            let next = held.values().map(|held: &HeldBack| held.until).min();
            let wake = next.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                () = self.due.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Sends the pending messages of each room that is not paused, in order, until the room accepts no more.
    async fn round(&self, held: &mut BTreeMap<OwnedRoomId, HeldBack>) -> Result<()> {
        let ledger = self.store.ledger();
        let now = Timestamp::now();
        if ledger.drop_unsent(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN))? > 0 {
            tracing::warn!("answers that could not be sent for 24 h are dropped");
        }
        let mut failed: Vec<OwnedRoomId> = Vec::new();
        for owed in ledger.outgoing()? {
            let waits = held.get(&owed.room).is_some_and(|held| held.until > Instant::now());
            if waits || failed.contains(&owed.room) {
                continue;
            }
            // It waits for an invitation. The removal from an ops room is reported elsewhere.
            if self.room(&owed.room).is_err() {
                hold(held, &owed.room);
                failed.push(owed.room);
                continue;
            }
            match self.deliver(&owed).await {
                Ok(event) => {
                    ledger.sent(owed.id)?;
                    self.note(&owed, event);
                    held.remove(&owed.room);
                }
                Err(error) if delivery::is_unsendable(&error) => {
                    tracing::error!(
                        "a message is dropped because the homeserver will never accept it: {error:#}"
                    );
                    ledger.owe_messages(refused(&owed).as_slice())?;
                    ledger.sent(owed.id)?;
                }
                Err(error) => {
                    let pause = hold(held, &owed.room);
                    tracing::warn!("an answer waits, trying again in {pause:?}: {error:#}");
                    failed.push(owed.room);
                }
            }
        }
        held.retain(|room, held| failed.contains(room) || held.until > Instant::now());
        self.tell_dropped().await
    }

    async fn deliver(&self, owed: &Outgoing) -> Result<Option<OwnedEventId>> {
        let Ok(message) = serde_json::from_str::<OwedMessage>(&owed.message) else {
            tracing::error!("an answer saved by another version is dropped");
            return Ok(None);
        };
        let room = self.room(&owed.room)?;
        let txn = owed.txn.as_str().into();
        match message.body {
            Body::Words { plain, html, mentions } => {
                let mut reply = Reply { plain, html };
                if message.place != MessagePlace::Room {
                    reply = self.dated(reply, owed, Timestamp::now());
                }
                let mut content = room_message::notice(&reply, mentions);
                content.relates_to = match message.place {
                    MessagePlace::Room => None,
                    MessagePlace::Thread { root, last } => Some(room_message::under(root, last)),
                    MessagePlace::Reply(cause) => Some(room_message::in_reply(cause)),
                };
                delivery::once(&room, content, txn).await.map(Some)
            }
            Body::Evidence => self.attach(&room, owed, message.place).await,
        }
    }

    /// Sends a message that could not be written down.
    pub(crate) async fn send_unwritten(&self, new: &NewMessage) -> Result<()> {
        let owed = Outgoing {
            id: 0,
            txn: new.txn.clone(),
            room: new.room.clone(),
            message: new.message.clone(),
            asked: new.asked,
            case: new.case,
        };
        let event = self.deliver(&owed).await?;
        self.note(&owed, event);
        Ok(())
    }

    /// Puts a case's evidence into the thread. A case that was deleted meanwhile has none.
    async fn attach(
        &self,
        room: &Room,
        owed: &Outgoing,
        place: MessagePlace,
    ) -> Result<Option<OwnedEventId>> {
        let case = owed.case.and_then(|number| self.store.case(number).transpose());
        let (_, evidence) = match case.transpose() {
            Ok(Some(case)) => case,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::error!("the evidence of a case cannot be read: {error:#}");
                return Ok(None);
            }
        };
        let MessagePlace::Thread { root, last } = place else { return Ok(None) };
        let file = room_message::Attached {
            name: "evidence.json",
            kind: "application/json",
            text: self.flow.evidence_json(&evidence),
        };
        let content = room_message::enclosed(room, (&root, &last), file).await?;
        delivery::once(room, content, owed.txn.as_str().into()).await?;
        Ok(None)
    }

    /// The reply, with its age where it comes late.
    fn dated(&self, mut reply: Reply, owed: &Outgoing, now: Timestamp) -> Reply {
        if now.duration_since(owed.asked) > LATE {
            let windowed = owed.case.is_some();
            let line = render::late(owed.asked, now, windowed, &self.flow.view());
            reply.plain.push_str(&format!("\n{line}"));
            reply.html.push_str(&format!("<br>\n{line}"));
        }
        reply
    }

    /// Notes the event that answers a case, so that a reply to it finds the case.
    fn note(&self, owed: &Outgoing, event: Option<OwnedEventId>) {
        let Some((number, event)) = owed.case.zip(event) else { return };
        if let Err(error) = self.store.answered(number, &event) {
            tracing::error!("a reply to {event} will not find its case: {error:#}");
        }
    }

    /// Posts one line per room about the answers that were dropped. If that fails, it is tried again later.
    async fn tell_dropped(&self) -> Result<()> {
        let ledger = self.store.ledger();
        let mut rooms: BTreeMap<OwnedRoomId, Vec<_>> = BTreeMap::new();
        for dropped in ledger.dropped()? {
            rooms.entry(dropped.room.clone()).or_default().push(dropped);
        }
        for (room, dropped) in rooms {
            let Some(newest) = dropped.last() else { continue };
            if self.room(&room).is_err() {
                continue;
            }
            let asked: Vec<_> =
                dropped.iter().map(|dropped| (dropped.asked, dropped.summary.clone())).collect();
            let page = render::dropped(&asked, KEPT, &self.flow.view());
            let content = room_message::notice(&page.reply(), Vec::new());
            let txn = format!("kestrel-dropped-{}-{}", newest.id, newest.asked.as_millisecond());
            let told = async { delivery::once(&self.room(&room)?, content, txn.into()).await };
            match told.await {
                Ok(_) => dropped.iter().try_for_each(|dropped| ledger.sent(dropped.id))?,
                Err(error) => {
                    tracing::warn!(
                        "the notice about dropped answers could not be posted in {room}: {error:#}"
                    )
                }
            }
        }
        Ok(())
    }

    fn room(&self, id: &RoomId) -> Result<Room> {
        client::joined(&self.client, id).with_context(|| format!("the bot is not in {id}"))
    }
}

/// Pauses a room for a while; returns how long.
fn hold(held: &mut BTreeMap<OwnedRoomId, HeldBack>, room: &RoomId) -> Duration {
    let pause = match held.get(room) {
        Some(held) => (held.pause * 2).min(LONGEST_PAUSE),
        None => FIRST_PAUSE,
    };
    held.insert(room.to_owned(), HeldBack { until: Instant::now() + pause, pause });
    pause
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    #[test]
    fn a_room_that_takes_nothing_is_tried_at_growing_pauses() {
        let mut held = BTreeMap::new();
        let room = room_id!("!ops:x");
        let pauses: Vec<_> = (0..7).map(|_| hold(&mut held, room).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
