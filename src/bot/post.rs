//! What is owed to the room → messages in it, each once: judged and worded while the storm is young, sent
//! when the homeserver takes it. A storm has one root; everything else about it stands in its thread.

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::{EventId, OwnedEventId};
use tokio::sync::watch::Receiver;

use super::letter::Letter;
use super::matrix_of;
use super::send::{self, Part, Place};
use super::storm_letter::storm_letter;
use super::storm_thread::{Turn, same_storm, turn};
use super::supervise::Ended;
use super::transmit;
use super::watch::{Shared, holds};
use crate::config::Config;
use crate::flow::{Depth, Flow, Judged, SETTLE, YOUNG};
use crate::store::{Due, Known, Ledger, NewCase, Owed, Store};
use kestrel_core::evidence::shortened;
use kestrel_core::render::case::numbered;
use kestrel_core::render::storm::{AGAIN, MUTE, WHY};
use kestrel_core::render::{self};
use kestrel_core::storm::{Change, Event, Sure, Whose};

/// How often the ledger is looked through when nobody said that something is due.
const LOOK: Duration = Duration::from_secs(2);
/// The pause after a round that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Words and sends what is owed.
pub(super) struct Postman {
    pub(super) config: Arc<Config>,
    flow: Flow,
    store: Store,
    pub(super) ledger: Ledger,
    shared: Shared,
    /// There once the homeserver let the bot in.
    pub(super) client: Receiver<Option<Client>>,
    /// Owed messages that wait, because the database denied too early what they are about.
    later: Mutex<HashMap<i64, Timestamp>>,
}

impl Postman {
    pub(super) fn new(
        config: Arc<Config>,
        flow: Flow,
        store: Store,
        shared: Shared,
        client: Receiver<Option<Client>>,
    ) -> Self {
        let ledger = store.ledger();
        let later = Mutex::default();
        Self { config, flow, store, ledger, shared, client, later }
    }

    /// Works until the process ends. A failure that lasts is logged when it begins, when it becomes another,
    /// and when it is over.
    pub(super) async fn work(self) -> Ended {
        let mut failing: Option<String> = None;
        loop {
            let spoken = self.speak().await;
            let sent = self.round().await;
            match spoken.and(sent) {
                Ok(()) => {
                    if failing.take().is_some() {
                        tracing::info!("what is owed to the room can be sent again");
                    }
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    if failing.as_ref() != Some(&why) {
                        tracing::warn!(
                            "something is owed to the room and cannot be sent yet: {why}"
                        );
                    }
                    failing = Some(why);
                    tokio::time::sleep(PAUSE).await;
                }
            }
            let _ = tokio::time::timeout(LOOK, self.shared.due.notified()).await;
        }
    }

    /// Says what needs no ledger, the oldest first. What the homeserver does not take stays for the next round.
    async fn speak(&self) -> Result<()> {
        while let Some(notice) = self.shared.notices.oldest() {
            for room in &self.open().await?.rooms {
                let words = Part::Words.of(&notice.key);
                match send::post(room, Place::Room, &notice.letter, &[], words).await {
                    Err(error) if !transmit::is_unsendable(&error) => return Err(error),
                    _ => {}
                }
            }
            self.shared.notices.said(&notice);
        }
        Ok(())
    }

    /// Everything that is owed now: worded first, so that a verdict is of the storm's own time, then sent.
    async fn round(&self) -> Result<()> {
        let owed = self.ledger.owed()?;
        for one in &owed {
            let newer = owed.iter().any(|other| other.id > one.id && same_storm(one, other));
            self.prepare(one, newer).await?;
        }
        let worded = self.ledger.owed()?;
        for one in worded.into_iter().filter(|one| one.text.is_some()) {
            let id = one.id;
            match self.deliver(one).await {
                Ok(()) => {}
                // It would be refused for ever, and keep all others from being sent.
                Err(error) if transmit::is_unsendable(&error) => {
                    tracing::error!("an alert is dropped: {error:#}");
                    self.ledger.settle(id)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The verdict of a storm. What a log holds is hostile: should judging it ever panic, the alert goes out
    /// without a verdict.
    async fn judge(&self, event: &Event, now: Timestamp) -> Judged {
        let (flow, event) = (self.flow.clone(), event.clone());
        let judging = tokio::spawn(async move { flow.judge_storm(&event, now, Depth::Full).await });
        judging.await.unwrap_or_else(|error| {
            tracing::error!("a storm could not be judged: {error}");
            Judged::none("judging it failed; my log says where".into())
        })
    }

    /// Words a message, or finds that there is nothing to say.
    async fn prepare(&self, owed: &Owed, newer: bool) -> Result<()> {
        let event = match &owed.due {
            Due::Words(letter) if owed.text.is_none() => {
                return self.ledger.compose(owed.id, letter);
            }
            Due::Storm(event) if owed.text.is_none() => event,
            _ => return Ok(()),
        };
        let now = Timestamp::now();
        let age = now.duration_since(event.at);
        // A clock that was set back holds nothing up.
        let settling = event.change == Change::Started && age < SETTLE && !age.is_negative();
        if settling || self.waits(owed.id, now) {
            return Ok(());
        }
        let event = &self.as_it_stands(event);
        let Some(known) = self.ledger.storm(event.storm)? else {
            return self.ledger.settle(owed.id);
        };
        let turn = turn(owed, event.change, &self.ledger.owed()?, known.root.is_some());
        if turn == Turn::Wait {
            return Ok(());
        }
        let untold = turn == Turn::First;
        let middle = !matches!(event.change, Change::Started | Change::Ended);
        let muted = self.ledger.mutes(now)?.iter().any(|mute| holds(&mute.what, event));
        // An end is told where a beginning was, muted or not: nobody should wait for it.
        let silent = muted && event.change != Change::Ended;
        // While it waited it turned out to be part of a crowd.
        let spoken_for = untold && self.shared.lock().is_part(event.storm);
        if turn == Turn::Nothing || silent || spoken_for || middle && newer {
            return self.ledger.settle(owed.id);
        }
        // Judging is expensive, so it is not done for words that cannot be kept.
        self.ledger.touch(owed.id)?;
        let mut judged = self.judge(event, now).await;
        if untold && let Some(again) = judged.again {
            self.wait(owed.id, again);
            return Ok(());
        }
        if !untold && known.sure == Some(Sure::Confirmed) {
            judged = judged.of_known();
        }
        if untold && matches!(judged.sure, Sure::Contradicted(_)) {
            tracing::warn!("storm {} is not told: {:?}", event.storm, judged.sure);
            self.ledger.judged(event.storm, judged.verdict.name(), &judged.sure)?;
            return self.ledger.settle(owed.id);
        }
        let as_sure = known.sure.as_ref().map(discriminant) == Some(discriminant(&judged.sure));
        let same = judged.is_named(known.verdict.as_deref()) && as_sure;
        let again = event.change == Change::Cause && !untold;
        if again && (same || !self.shared.lock().spend(event.storm, now)) {
            return self.ledger.settle(owed.id);
        }
        self.ledger.judged(event.storm, judged.verdict.name(), &judged.sure)?;
        if let Some(number) = self.keep_case(owed, event, &known, &judged, now).await {
            judged.page = judged.page.map(|page| numbered(page, number));
        }
        let waited = now.duration_since(event.at);
        let letter = storm_letter(&self.shown(event), untold, &judged, waited, &self.flow.view());
        self.ledger.compose(owed.id, &letter.text())
    }

    /// Whether an owed message waits for another look at the database.
    fn waits(&self, owed: i64, now: Timestamp) -> bool {
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back holds nothing up.
        later.get(&owed).is_some_and(|at| now < *at && at.duration_since(now) <= YOUNG)
    }

    fn wait(&self, owed: i64, until: Timestamp) {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // What waited longer is judged or sent by now.
        later.retain(|_, at| until.duration_since(*at) < YOUNG);
        later.insert(owed, until);
    }

    /// The event with the counts of now: a storm grows while it waits to be judged.
    fn as_it_stands(&self, event: &Event) -> Event {
        let going_on = self.shared.lock().going_on();
        match going_on.into_iter().find(|now| now.storm == event.storm) {
            Some(now) if event.change != Change::Ended => {
                Event { at: event.at, change: event.change, ..now }
            }
            _ => event.clone(),
        }
    }

    async fn deliver(&self, owed: Owed) -> Result<()> {
        let letter = owed.text.as_deref().and_then(Letter::read);
        let Some(letter) = letter else {
            tracing::error!("an owed message is of another version and is dropped");
            return self.ledger.settle(owed.id);
        };
        // What cannot be noted as sent is not sent: the homeserver knows a message again for a day only.
        self.ledger.touch(owed.id)?;
        let (open, key) = (self.open().await?, key(&owed, &letter));
        // A room that is tried again after another one failed gets the same events: see `begin`.
        let mut failed = None;
        for room in &open.rooms {
            let posted = match &owed.due {
                Due::Words(_) => {
                    let words = Part::Words.of(&key);
                    send::post(room, Place::Room, &letter, &[], words).await.map(drop)
                }
                Due::Storm(event) => self.tell(room, event, &letter, &key, open.proven).await,
            };
            if let Err(error) = posted {
                failed.get_or_insert(error);
            }
        }
        failed.map_or_else(|| self.ledger.settle(owed.id), Err)
    }

    /// The storm's first message. Until a new room is proven to be the ops room its admins are mentioned in any
    /// case: they see that the room has changed.
    pub(super) async fn begin(
        &self,
        room: &Room,
        event: &Event,
        letter: &Letter,
        key: &str,
        proven: bool,
    ) -> Result<OwnedEventId> {
        let rings = match (self.config.watch.mention || !proven) && letter.rings {
            true => matrix_of(&self.config)?.admins.as_slice(),
            false => &[],
        };
        let root = send::post(room, Place::Room, letter, rings, Part::Words.of(key)).await?;
        self.ledger.rooted(event.storm, room.room_id(), &root)?;
        Ok(root)
    }

    /// What belongs to the first message: its case, its buttons, and the picture in its thread.
    pub(super) async fn furnish(
        &self,
        room: &Room,
        root: &EventId,
        event: &Event,
        key: &str,
    ) -> Result<()> {
        if let Err(error) = self.store.rethread(&standing_in(event), root) {
            tracing::error!("{root} will not find its case: {error:#}");
        }
        for (button, part) in [(AGAIN, Part::Again), (WHY, Part::Why), (MUTE, Part::Mute)] {
            send::react(room, root, button, part.of(key)).await?;
        }
        self.picture(room, root, event, key).await
    }

    /// A picture that cannot be drawn or uploaded costs the picture, not the alert.
    async fn picture(&self, room: &Room, root: &EventId, event: &Event, key: &str) -> Result<()> {
        let drawn = self.shared.lock().timeline(event.storm);
        let Some(timeline) = drawn else { return Ok(()) };
        let title = match &self.shown(event).whose {
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
        if let Err(error) = send::show(room, root, picture, Part::Picture.of(key)).await {
            tracing::warn!("the picture of storm {} was not sent: {error:#}", event.storm);
        }
        Ok(())
    }

    /// The event with its address as people may see it.
    fn shown(&self, event: &Event) -> Event {
        let mut event = event.clone();
        if let Whose::Address(address) = &mut event.whose
            && !self.config.limits.show_addresses
        {
            *address = shortened(address);
        }
        event
    }

    /// Keeps what a storm was judged by as a case: each message about it that was judged is one.
    async fn keep_case(
        &self,
        owed: &Owed,
        event: &Event,
        known: &Known,
        judged: &Judged,
        now: Timestamp,
    ) -> Option<u64> {
        let (evidence, judgement) = judged.evidence.as_ref().zip(judged.judgement.as_ref())?;
        let room = self.case_room(known).await?;
        let root = known.root.as_ref().map(|(_, root)| root.clone());
        let keep = || {
            self.store.open_case(&NewCase {
                cause: &unsent(format_args!(
                    "{}-{}-{}",
                    event.storm,
                    event.at.as_millisecond(),
                    owed.id
                )),
                thread: &root.unwrap_or_else(|| standing_in(event)),
                room: &room,
                asker: &matrix_of(&self.config)?.user,
                verdict: judged.verdict.name(),
                certainty: judgement.certainty().name(),
                evidence,
                now,
            })
        };
        keep()
            .map_err(|error| {
                tracing::error!("the case of storm {} could not be kept: {error:#}", event.storm);
            })
            .ok()
    }
}

/// Names a message to the homeserver: the same in every process, and another in another ledger.
fn key(owed: &Owed, letter: &Letter) -> String {
    let id = owed.id;
    match &owed.due {
        Due::Storm(event) => format!("{}-{}-{id}", event.storm, event.at.as_millisecond()),
        Due::Words(_) => {
            format!("{}-{id}", send::digest(letter.plain.as_bytes()))
        }
    }
}

/// How the names begin that stand for events which are not sent yet.
pub(super) const UNSENT: &str = "$storm-";

/// Where a storm's cases are kept until its root stands.
fn standing_in(event: &Event) -> OwnedEventId {
    unsent(format_args!("{}-{}", event.storm, event.first.as_millisecond()))
}

/// A name that no event has: those of rooms of today are a digest, older ones name their server.
fn unsent(what: std::fmt::Arguments<'_>) -> OwnedEventId {
    let id = format!("{UNSENT}{what}");
    ruma::EventId::parse(&id).unwrap_or_else(|_| ruma::owned_event_id!("$storm"))
}
