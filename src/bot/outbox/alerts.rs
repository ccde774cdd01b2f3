//! Pending alerts → messages in the ops room, each once: judged and worded while the storm is young, sent when the
//! homeserver accepts them. A storm has one root message; everything else about it goes into its thread.

use std::mem::discriminant;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::alert_order::{AlertTurn, same_storm, turn};
use super::alert_outbox::AlertOutbox;
use super::alert_posting::WordedAlert;
use super::alert_wording::alert_message;
use super::placeholder;
use crate::bot::messages::delivery;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::bot::messages::transaction::{self, AlertPart};
use crate::bot::settings::matrix_config;
use crate::bot::supervisor::TaskEnd;
use crate::flow::{Depth, Judged, LONGEST_DENIAL, SETTLE};
use crate::store::{Due, NewCase, Owed, StoredStorm};
use kestrel_core::render::case::numbered;
use kestrel_core::storm::{Change, Confirmation, Event};

/// How often the ledger is checked without a signal.
const LOOK: Duration = Duration::from_secs(2);
/// The pause after a round that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// What is new of a storm, and what the room knows of it.
#[derive(Clone, Copy)]
struct News<'a> {
    owed: &'a Owed,
    event: &'a Event,
    known: &'a StoredStorm,
    /// The room does not know the storm yet.
    untold: bool,
}

impl AlertOutbox {
    /// Works until the process ends.
    pub(crate) async fn work(self) -> TaskEnd {
        let mut failing: Option<String> = None;
        loop {
            let spoken = self.send_notices().await;
            let sent = self.round().await;
            note_round(spoken.and(sent), &mut failing);
            if failing.is_some() {
                tokio::time::sleep(PAUSE).await;
            }
            let _ = tokio::time::timeout(LOOK, self.shared.due.notified()).await;
        }
    }

    /// Posts notices that are not in the ledger, the oldest first. Those that the homeserver does not accept stay for
    /// the next round.
    async fn send_notices(&self) -> Result<()> {
        while let Some(notice) = self.shared.notices.oldest() {
            for room in &self.open().await?.rooms {
                let words = AlertPart::Words.transaction(&notice.key);
                match room_message::post(room, Destination::Room, &notice.message, &[], words).await
                {
                    Err(error) if !delivery::is_unsendable(&error) => return Err(error),
                    _ => {}
                }
            }
            self.shared.notices.said(&notice);
        }
        Ok(())
    }

    /// Everything that is pending: first worded, so that a verdict is of the storm's own time, then sent.
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
                // It would be refused forever, and block all others.
                Err(error) if delivery::is_unsendable(&error) => {
                    tracing::error!("an alert is dropped: {error:#}");
                    self.ledger.settle(id)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The verdict of a storm. Logs are hostile input: if judging them panics, the alert goes out without a verdict.
    async fn judge(&self, event: &Event, now: Timestamp) -> Judged {
        let flow = self.flow.clone();
        let event = event.clone();
        let judging = tokio::spawn(async move { flow.judge_storm(&event, now, Depth::Full).await });
        judging.await.unwrap_or_else(|error| {
            tracing::error!("a storm could not be evaluated: {error}");
            Judged::none("Kestrel failed to evaluate it; Kestrel's log has the details".into())
        })
    }

    /// Words a message, or drops it if there is nothing new.
    async fn prepare(&self, owed: &Owed, newer: bool) -> Result<()> {
        let event = match &owed.due {
            Due::Words(message) if owed.text.is_none() => {
                return self.ledger.compose(owed.id, message);
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
        let event = &self.with_current_counts(event);
        let Some(known) = self.ledger.storm(event.storm)? else {
            return self.ledger.settle(owed.id);
        };
        let turn = turn(owed, event.change, &self.ledger.owed()?, known.root.is_some());
        if turn == AlertTurn::Wait {
            return Ok(());
        }
        let untold = turn == AlertTurn::First;
        let middle = !matches!(event.change, Change::Started | Change::Ended);
        let muted = self.ledger.mutes(now)?.iter().any(|mute| mute.what.covers(event));
        // An end is posted if the start was, muted or not.
        let silent = muted && event.change != Change::Ended;
        // In the meantime it became part of a storm of many devices.
        let spoken_for = untold && self.shared.lock().is_part(event.storm);
        if turn == AlertTurn::Nothing || silent || spoken_for || middle && newer {
            return self.ledger.settle(owed.id);
        }
        // Judging is expensive: first check that the result can be saved.
        self.ledger.touch(owed.id)?;
        self.judge_and_word(&News { owed, event, known: &known, untold }, now).await
    }

    /// Judges a storm and words its message, unless the verdict brings nothing new.
    async fn judge_and_word(&self, news: &News<'_>, now: Timestamp) -> Result<()> {
        let News { owed, event, known, untold } = *news;
        let mut judged = self.judge(event, now).await;
        if untold && let Some(again) = judged.again {
            self.wait(owed.id, again);
            return Ok(());
        }
        if !untold && known.sure == Some(Confirmation::Confirmed) {
            judged = judged.of_known();
        }
        if untold && matches!(judged.sure, Confirmation::Contradicted(_)) {
            tracing::warn!("the alert of storm {} is not sent: {:?}", event.storm, judged.sure);
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
        if let Some(number) = self.keep_case(news, &judged, now).await {
            judged.page = judged.page.map(|page| numbered(page, number));
        }
        let waited = now.duration_since(event.at);
        let shown = self.with_shown_address(event);
        let message = alert_message(&shown, untold, &judged, waited, &self.flow.view());
        self.ledger.compose(owed.id, &message.text())
    }

    /// Whether a pending message waits for another database poll.
    fn waits(&self, owed: i64, now: Timestamp) -> bool {
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back holds nothing up.
        later.get(&owed).is_some_and(|at| now < *at && at.duration_since(now) <= LONGEST_DENIAL)
    }

    fn wait(&self, owed: i64, until: Timestamp) {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // Messages that waited longer are judged or sent by now.
        later.retain(|_, at| until.duration_since(*at) < LONGEST_DENIAL);
        later.insert(owed, until);
    }

    /// The event with the counts of now: a storm grows while it waits to be judged.
    fn with_current_counts(&self, event: &Event) -> Event {
        let going_on = self.shared.lock().going_on();
        match going_on.into_iter().find(|now| now.storm == event.storm) {
            Some(now) if event.change != Change::Ended => {
                Event { at: event.at, change: event.change, ..now }
            }
            _ => event.clone(),
        }
    }

    async fn deliver(&self, owed: Owed) -> Result<()> {
        let message = owed.text.as_deref().and_then(OutgoingMessage::read);
        let Some(message) = message else {
            tracing::error!("an alert saved by another version is dropped");
            return self.ledger.settle(owed.id);
        };
        // If it cannot be marked as sent, it is not sent: the homeserver recognises a repeated message for a day
        // only.
        self.ledger.touch(owed.id)?;
        let open = self.open().await?;
        let key = key(&owed, &message);
        // A room that is tried again after another one failed gets the same events: see `post_in_room`.
        let mut failed = None;
        for room in &open.rooms {
            let posted = match &owed.due {
                Due::Words(_) => {
                    let words = AlertPart::Words.transaction(&key);
                    room_message::post(room, Destination::Room, &message, &[], words)
                        .await
                        .map(drop)
                }
                Due::Storm(event) => {
                    let alert =
                        WordedAlert { event, message: &message, key: &key, proven: open.proven };
                    self.post_in_room(room, &alert).await
                }
            };
            if let Err(error) = posted {
                failed.get_or_insert(error);
            }
        }
        failed.map_or_else(|| self.ledger.settle(owed.id), Err)
    }

    /// Saves the evidence of a storm as a case, one for each judged message.
    async fn keep_case(&self, news: &News<'_>, judged: &Judged, now: Timestamp) -> Option<u64> {
        let evidence = judged.evidence.as_ref()?;
        let judgement = judged.judgement.as_ref()?;
        let room = self.case_room(news.known).await?;
        let root = news.known.root.as_ref().map(|(_, root)| root.clone());
        let keep = || {
            self.store.open_case(&NewCase {
                cause: &placeholder::for_message(news.event, news.owed.id),
                thread: &root.unwrap_or_else(|| placeholder::for_root(news.event)),
                room: &room,
                asker: &matrix_config(&self.config)?.user,
                verdict: judged.verdict.name(),
                certainty: judgement.certainty().name(),
                evidence,
                now,
            })
        };
        keep()
            .map_err(|error| {
                let storm = news.event.storm;
                tracing::error!("the case of storm {storm} could not be saved: {error:#}");
            })
            .ok()
    }
}

/// Logs a failure that lasts when it begins, when it becomes another, and when it is over.
fn note_round(ended: Result<()>, failing: &mut Option<String>) {
    let Err(error) = ended else {
        if failing.take().is_some() {
            tracing::info!("alerts can be sent again");
        }
        return;
    };
    let why = format!("{error:#}");
    if failing.as_ref() != Some(&why) {
        tracing::warn!("an alert cannot be sent, trying again: {why}");
    }
    *failing = Some(why);
}

/// The key of a message's transactions: the same in every process, different in another ledger.
fn key(owed: &Owed, message: &OutgoingMessage) -> String {
    let id = owed.id;
    match &owed.due {
        Due::Storm(event) => format!("{}-{}-{id}", event.storm, event.at.as_millisecond()),
        Due::Words(_) => {
            format!("{}-{id}", transaction::digest(message.plain.as_bytes()))
        }
    }
}
