//! What somebody enclosed → read, judged and told: the ops room gets a thread of its own with the redacted
//! files and the verdict, its sender a receipt. Each once, also across a crash.
//!
//! What was received lives in memory until it is redacted; only what is left of it goes on from here. One
//! report is on its way at a time, from its fetching to its last message.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::answer::{Desk, while_typing};
use super::enclosed::{Enclosed, Refused};
use super::letter::Letter;
use super::line::ChatLine;
use super::outbox;
use super::sealed::sealed;
use super::send::{self, About, Place};
use super::transmit;
use super::words;
use crate::flow::report::{Reported, headline};
use crate::store::{NewCase, NewMessage};
use kestrel_core::client_files::take_in_from;
use kestrel_core::evidence::ClientFacts;
use kestrel_core::evidence::client_file::{Artefact, FileKind, Parcel};
use kestrel_core::evidence::redaction::Removed;
use kestrel_core::render::report::{Receipt, Root, receipt, root};
use kestrel_core::render::{self, Reply};

/// How long one may take to be redacted and read.
const READING: Duration = Duration::from_secs(60);
/// How long the thread waits for a redacted file, which it is there for.
const ENCLOSING: Duration = Duration::from_secs(60);

/// A report on its way to the ops room.
struct Handed<'a> {
    /// The event that it came in, or that asked for it.
    cause: &'a EventId,
    by: &'a UserId,
    forwarded: bool,
    /// Its texts are moved into the room one after the other, so that none is held twice.
    parcel: &'a mut Parcel,
    reported: &'a Reported,
    removed: &'a Removed,
}

impl Desk {
    /// Takes what a user sent in a direct chat: what is owed to them for it. The message is fetched anew: what it
    /// holds is not redacted yet and is kept nowhere.
    pub(super) async fn receive(
        self: Arc<Self>,
        chat: Room,
        (event, sender, sent): (OwnedEventId, OwnedUserId, Timestamp),
    ) -> Result<Vec<NewMessage>> {
        let room = chat.room_id().to_owned();
        let owed = |about, says: &Reply| {
            outbox::reply(&room, (&event, sent), about, says, "the report that you sent")
        };
        let seat = match self.reception.try_seat(&sender) {
            Some(seat) => seat,
            None => {
                if let Err(error) = self.owe(&[owed(About::Waiting, &words::your_turn_comes())]) {
                    tracing::warn!("{sender} is not told that the report waits: {error:#}");
                }
                self.reception.seat(&sender).await?
            }
        };
        tracing::info!("reading the report {event} of {sender}");
        let work = self.clone().take(chat.clone(), event.clone(), seat.place.clone());
        match while_typing(&chat, tokio::spawn(work), self.patience * 2).await {
            Ok(receipt) => Ok(vec![owed(About::Receipt, &receipt)]),
            Err(error) => match error.downcast::<Refused>() {
                Ok(Refused(says)) => {
                    tracing::info!("the report {event} was not taken");
                    Ok(vec![owed(About::Fault, &render::lines([says.as_str()]).reply())])
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn take(
        self: Arc<Self>,
        chat: Room,
        event: OwnedEventId,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Reply> {
        let ops = self.reception.ops_room(&chat.client(), &self.store.ledger()).await?;
        let sent = pointed_at(&chat, &event).await?;
        let sender = sent.sender.clone();
        let mut parcel = self.read(sent, &chat.client(), place).await?;
        let removed = removed(&parcel);
        let reported = self.flow.report(&parcel, Some(&sender), Timestamp::now()).await;
        let (forwarded, cause, by) = (false, &*event, &*sender);
        let handed = Handed {
            cause,
            by,
            forwarded,
            parcel: &mut parcel,
            reported: &reported,
            removed: &removed,
        };
        let (case, _) = self.hand_on(&ops, handed).await?;
        let facts: Vec<_> = facts(&parcel);
        let says = receipt(
            &Receipt {
                case,
                facts: &facts,
                notes: &parcel.notes,
                removed: &removed,
                believed: reported.names.is_none(),
                advice: reported.advice,
            },
            &self.flow.view(),
        );
        Ok(says.reply())
    }

    /// Reads the file or the paste that an admin pointed at.
    pub(super) async fn forwarded(
        &self,
        room: &Room,
        line: &ChatLine,
        about: Option<&UserId>,
    ) -> Result<Reply> {
        let Some(target) = line.replied.as_deref().or(line.thread.as_deref()) else {
            return Ok(words::report_of_what());
        };
        let handing = async {
            let ops = self.reception.ops_room(&room.client(), &self.store.ledger()).await?;
            let seat = self.reception.place().await?;
            let sent = pointed_at(room, target).await?;
            let mut parcel = self.read(sent, &room.client(), seat.place.clone()).await?;
            let removed = removed(&parcel);
            let reported = self.flow.report(&parcel, about, Timestamp::now()).await;
            let (forwarded, cause, by) = (true, &*line.event, &*line.sender);
            let handed = Handed {
                cause,
                by,
                forwarded,
                parcel: &mut parcel,
                reported: &reported,
                removed: &removed,
            };
            let (case, root) = self.hand_on(&ops, handed).await?;
            anyhow::Ok(words::in_its_thread(
                case,
                &ops.room_id().matrix_to_event_uri(root).to_string(),
            ))
        };
        match handing.await {
            Err(error) => match error.downcast::<Refused>() {
                Ok(Refused(says)) => Ok(render::lines([says.as_str()]).reply()),
                Err(error) => Err(error),
            },
            told => told,
        }
    }

    /// Fetches, redacts and reads, on a thread of its own that keeps the place until it has ended.
    async fn read(
        &self,
        sent: Enclosed,
        client: &Client,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Parcel> {
        let limits = self.reception.limits.clone();
        let (name, bytes) = sent.bytes(client, limits.size).await?;
        let reading = self.reception.read(move || {
            let _place = place;
            sealed(|| take_in_from(&name, Cursor::new(bytes), &limits))
        });
        let says = match timeout(READING, reading).await {
            Ok(Ok(Ok(parcel))) if !parcel.artefacts.is_empty() => return Ok(parcel),
            Ok(Ok(Ok(parcel))) => parcel.notes.join("; "),
            Ok(Ok(Err(why))) => why,
            Ok(Err(error)) => return Err(error),
            Err(_) => "it took longer than a minute to read".to_owned(),
        };
        Err(Refused(words::not_read(&says)).into())
    }

    /// Opens the case and tells it in a thread of its own; gives its number and the thread's root.
    async fn hand_on(
        &self,
        room: &Room,
        mut handed: Handed<'_>,
    ) -> Result<(Option<u64>, OwnedEventId)> {
        let reported = handed.reported;
        if let Some(user) = reported.user.as_deref().filter(|_| reported.names.is_none()) {
            let artefacts = &handed.parcel.artefacts;
            artefacts.iter().for_each(|artefact| self.captures.received(user, artefact));
        }
        // Opened before there is a thread, because the first message names the case.
        let case = self.open(room, &handed);
        let facts = facts(handed.parcel);
        let page = root(
            &Root {
                case,
                by: handed.by,
                forwarded: handed.forwarded,
                user: reported.user.as_deref(),
                device: reported.device.as_deref(),
                judged: reported.evidence.device().map(|subject| &*subject.device),
                headline: headline(reported),
                verdict: reported.verdict(),
                facts: &facts,
                removed: handed.removed,
            },
            &self.flow.view(),
        );
        let letter = Letter::quiet(&page.reply());
        let txn = send::txn_id(handed.cause, About::Root);
        let root = send::post(room, Place::Room, &letter, &[], txn).await?;
        if let Err(error) = self.store.rethread(handed.cause, &root) {
            tracing::error!("!why will not find the case of {root}: {error:#}");
        }
        let unsent = self.enclose(room, &root, &mut handed).await;
        let notes = handed.parcel.notes.iter().chain(&reported.notes).chain(&unsent);
        let notes: Vec<_> = notes.map(String::as_str).collect();
        if !notes.is_empty() {
            let letter = Letter::quiet(&render::lines(notes).reply());
            let txn = send::txn_id(handed.cause, About::Notes);
            send::post(room, Place::Thread(&root), &letter, &[], txn).await?;
        }
        self.say_verdict(room, &root, (handed.cause, reported), case).await?;
        Ok((case, root))
    }

    /// Owes the verdict and what it rests on: the ledger keeps both until the homeserver takes them.
    async fn say_verdict(
        &self,
        room: &Room,
        root: &EventId,
        (cause, reported): (&EventId, &Reported),
        case: Option<u64>,
    ) -> Result<()> {
        let judged = case.zip(reported.judgement.as_ref());
        let page = match judged {
            Some((number, of)) => &self.flow.numbered(&reported.evidence, of, number),
            None => &reported.page,
        };
        let asked = (Timestamp::now(), "a report");
        let file = judged.map(|(number, _)| {
            let txn = send::txn_id(cause, About::Evidence);
            outbox::evidence_in_own_thread(room.room_id(), (root, &txn), asked, number)
        });
        let txn = send::txn_id(cause, About::Verdict);
        let verdict = outbox::in_own_thread(room.room_id(), (root, &txn), asked, page, case);
        let owed: Vec<_> = file.into_iter().chain([verdict]).collect();
        if let Err(error) = self.owe(&owed) {
            // A full disk costs the file, not the verdict.
            tracing::error!("the verdict of {root} cannot be kept: {error:#}");
            let letter = Letter::quiet(page);
            send::post(room, Place::Thread(root), &letter, &[], txn).await?;
        }
        Ok(())
    }

    /// Puts the redacted files into the thread; gives what is missing there.
    async fn enclose(&self, room: &Room, root: &EventId, handed: &mut Handed<'_>) -> Vec<String> {
        let mut unsent = Vec::new();
        for (number, artefact) in handed.parcel.artefacts.iter_mut().enumerate() {
            let sending = attach(room, root, artefact, handed.cause, number);
            if !matches!(timeout(ENCLOSING, sending).await, Ok(Ok(()))) {
                tracing::warn!("a file of {} was not attached", handed.cause);
                unsent.push(format!("{} could not be attached.", artefact.name));
            }
        }
        unsent
    }

    /// A full disk costs the number, not the answer.
    fn open(&self, room: &Room, handed: &Handed<'_>) -> Option<u64> {
        let (verdict, certainty) = handed.reported.kept_as();
        let opened = self.store.open_case(&NewCase {
            cause: handed.cause,
            thread: handed.cause,
            room: room.room_id(),
            asker: handed.by,
            verdict,
            certainty,
            evidence: &handed.reported.evidence,
            now: Timestamp::now(),
        });
        if let Err(error) = &opened {
            tracing::error!("the case of {} could not be kept: {error:#}", handed.cause);
        }
        opened.ok()
    }
}

/// The message that was replied to. It may be a plain event, and anybody's: a report is foreign text in any case,
/// and who handed it on stands above it. That line passed the gate.
async fn pointed_at(room: &Room, target: &EventId) -> Result<Enclosed> {
    let refused = |says: &str| anyhow::Error::from(Refused(says.to_owned()));
    let event = match room.event(target, None).await.context("the message cannot be fetched") {
        Ok(event) => event,
        Err(error) if transmit::is_unreachable(&error) => return Err(error),
        Err(error) => {
            tracing::warn!("{target}: {error:#}");
            let says = "I cannot fetch that message; send the file once more and reply to it.";
            return Err(refused(says));
        }
    };
    if event.kind.is_utd() {
        return Err(refused(
            "I have no key to that message; send the file once more and reply to it.",
        ));
    }
    let read = event.raw().deserialize().ok();
    read.as_ref().and_then(Enclosed::of).ok_or_else(|| {
        refused(
            "There is no file and no text in that message. Reply to the file itself with !report.",
        )
    })
}

async fn attach(
    room: &Room,
    root: &EventId,
    artefact: &mut Artefact,
    cause: &EventId,
    number: usize,
) -> Result<()> {
    let kind = match artefact.kind {
        FileKind::Report | FileKind::Har => "application/json",
        FileKind::Console => "text/plain",
    };
    let text = std::mem::take(&mut artefact.text);
    let file = send::Attached { name: &artefact.name, kind, text };
    let content = send::enclosed(room, (root, root), file).await?;
    let txn = send::txn_id(cause, About::File(number));
    transmit::patiently(room, content, txn).await.map(drop)
}

fn facts(parcel: &Parcel) -> Vec<&ClientFacts> {
    parcel.artefacts.iter().map(|artefact| &artefact.facts).collect()
}

fn removed(parcel: &Parcel) -> Removed {
    let mut all = Removed::default();
    parcel.artefacts.iter().for_each(|artefact| all.add(&artefact.removed));
    all
}
