//! A report → read, evaluated and posted: the ops room gets a separate thread with the redacted files and the verdict,
//! the sender a receipt. Each once, also across a crash.
//!
//! A file is in memory only until it is redacted; only the redacted text is used from there. One report is processed
//! at a time, from its download to its last message.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::state::Responder;
use super::typing::while_typing;
use crate::bot::attachment::{Attachment, ReportRefused};
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::delivery;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use crate::bot::messages::transaction::{self, Purpose};
use crate::bot::outbox::owed_message;
use crate::bot::panic_guard::without_panic_text;
use crate::flow::handed_in::take_in;
use crate::flow::report::{Reported, headline};
use crate::store::{NewCase, NewMessage};
use kestrel_core::evidence::ClientFacts;
use kestrel_core::evidence::client_file::{Artefact, FileKind, Parcel};
use kestrel_core::evidence::redaction::Removed;
use kestrel_core::render::replies;
use kestrel_core::render::report::{Receipt, Root, receipt, root};
use kestrel_core::render::{self, Reply};

/// How long one may take to be redacted and read.
const READING: Duration = Duration::from_secs(60);
/// How long sending one redacted file may take.
const ENCLOSING: Duration = Duration::from_secs(60);

/// Who sent or forwarded a report.
#[derive(Clone, Copy)]
struct Sender<'a> {
    /// The event that it came in, or that asked for it.
    cause: &'a EventId,
    by: &'a UserId,
    /// An admin pointed at it.
    forwarded: bool,
    /// The user that an admin named.
    about: Option<&'a UserId>,
}

/// A report on its way to the ops room.
struct HandedReport<'a> {
    sender: Sender<'a>,
    /// Its texts are moved into the room one after the other, so that none is in memory twice.
    parcel: &'a mut Parcel,
    reported: &'a Reported,
    removed: &'a Removed,
}

/// A report that is in the ops room.
struct PostedReport {
    case: Option<u64>,
    /// The first message of its thread.
    root: OwnedEventId,
    parcel: Parcel,
    reported: Reported,
    removed: Removed,
}

impl Responder {
    /// Handles a report from a direct chat; returns the messages for its sender. The message is fetched again: its
    /// content is not redacted yet and is saved nowhere.
    pub(crate) async fn receive(
        self: Arc<Self>,
        chat: Room,
        (event, sender, sent): (OwnedEventId, OwnedUserId, Timestamp),
    ) -> Result<Vec<NewMessage>> {
        let room = chat.room_id().to_owned();
        let owed = |about, says: &Reply| {
            owed_message::reply(&room, (&event, sent), about, says, "the report that you sent")
        };
        let slot = match self.report_queue.try_slot(&sender) {
            Some(slot) => slot,
            None => {
                if let Err(error) = self.owe(&[owed(Purpose::Waiting, &replies::your_turn_comes())])
                {
                    tracing::warn!(
                        "the notice that a report waits could not be sent to {sender}: {error:#}"
                    );
                }
                self.report_queue.slot(&sender).await?
            }
        };
        tracing::info!("reading the report {event} of {sender}");
        let work = self.clone().take(chat.clone(), event.clone(), slot.place.clone());
        match while_typing(&chat, tokio::spawn(work), self.patience * 2).await {
            Ok(receipt) => Ok(vec![owed(Purpose::Receipt, &receipt)]),
            Err(error) => match error.downcast::<ReportRefused>() {
                Ok(ReportRefused(says)) => {
                    tracing::info!("the report {event} was not accepted");
                    Ok(vec![owed(Purpose::Fault, &render::lines([says.as_str()]).reply())])
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
        let ops = self.report_queue.ops_room(&chat.client(), &self.store.ledger()).await?;
        let sent = pointed_at(&chat, &event).await?;
        let sender = sent.sender.clone();
        let parcel = self.read(sent, &chat.client(), place).await?;
        let by = Sender { cause: &event, by: &sender, forwarded: false, about: Some(&sender) };
        let posted = self.judge_and_post(&ops, parcel, by).await?;
        let facts: Vec<_> = facts(&posted.parcel);
        let says = receipt(
            &Receipt {
                case: posted.case,
                facts: &facts,
                notes: &posted.parcel.notes,
                removed: &posted.removed,
                believed: posted.reported.names.is_none(),
                advice: posted.reported.advice,
            },
            &self.flow.view(),
        );
        Ok(says.reply())
    }

    /// Reads the file or the paste that an admin pointed at.
    pub(crate) async fn forwarded(
        &self,
        room: &Room,
        line: &ChatLine,
        about: Option<&UserId>,
    ) -> Result<Reply> {
        let Some(target) = line.replied.as_deref().or(line.thread.as_deref()) else {
            return Ok(replies::report_of_what());
        };
        let handing = async {
            let ops = self.report_queue.ops_room(&room.client(), &self.store.ledger()).await?;
            let slot = self.report_queue.anonymous_slot().await?;
            let sent = pointed_at(room, target).await?;
            let parcel = self.read(sent, &room.client(), slot.place.clone()).await?;
            let by = Sender { cause: &line.event, by: &line.sender, forwarded: true, about };
            let posted = self.judge_and_post(&ops, parcel, by).await?;
            let thread = ops.room_id().matrix_to_event_uri(posted.root).to_string();
            anyhow::Ok(replies::in_its_thread(posted.case, &thread))
        };
        match handing.await {
            Err(error) => match error.downcast::<ReportRefused>() {
                Ok(ReportRefused(says)) => Ok(render::lines([says.as_str()]).reply()),
                Err(error) => Err(error),
            },
            told => told,
        }
    }

    /// Downloads, redacts and reads, on a separate thread that keeps the slot until it ends.
    async fn read(
        &self,
        sent: Attachment,
        client: &Client,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Parcel> {
        let limits = self.report_queue.limits.clone();
        let (name, bytes) = sent.bytes(client, limits.size).await?;
        let reading = self.report_queue.read(move || {
            let _place = place;
            without_panic_text(|| take_in(&name, Cursor::new(bytes), &limits))
        });
        let says = match timeout(READING, reading).await {
            Ok(Ok(Ok(parcel))) if !parcel.artefacts.is_empty() => return Ok(parcel),
            Ok(Ok(Ok(parcel))) => parcel.notes.join("; "),
            Ok(Ok(Err(why))) => why,
            Ok(Err(error)) => return Err(error),
            Err(_) => "it took longer than a minute".to_owned(),
        };
        Err(ReportRefused(replies::not_read(&says)).into())
    }

    /// Evaluates what was read, and posts it in the ops room.
    async fn judge_and_post(
        &self,
        ops: &Room,
        mut parcel: Parcel,
        sender: Sender<'_>,
    ) -> Result<PostedReport> {
        let removed = removed(&parcel);
        let reported = self.flow.report(&parcel, sender.about, Timestamp::now()).await;
        let handed =
            HandedReport { sender, parcel: &mut parcel, reported: &reported, removed: &removed };
        let (case, root) = self.hand_on(ops, handed).await?;
        Ok(PostedReport { case, root, parcel, reported, removed })
    }

    /// Opens the case and posts it in a separate thread; returns its number and the thread's root.
    async fn hand_on(
        &self,
        room: &Room,
        mut handed: HandedReport<'_>,
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
                by: handed.sender.by,
                forwarded: handed.sender.forwarded,
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
        let message = OutgoingMessage::quiet(&page.reply());
        let txn = transaction::for_event(handed.sender.cause, Purpose::Root);
        let root = room_message::post(room, Destination::Room, &message, &[], txn).await?;
        if let Err(error) = self.store.rethread(handed.sender.cause, &root) {
            tracing::error!(
                "the thread {root} could not be linked to its case, so !why does not find it: {error:#}"
            );
        }
        let unsent = self.enclose(room, &root, &mut handed).await;
        let notes = handed.parcel.notes.iter().chain(&reported.notes).chain(&unsent);
        let notes: Vec<_> = notes.map(String::as_str).collect();
        if !notes.is_empty() {
            let message = OutgoingMessage::quiet(&render::lines(notes).reply());
            let txn = transaction::for_event(handed.sender.cause, Purpose::Notes);
            room_message::post(room, Destination::Thread(&root), &message, &[], txn).await?;
        }
        self.say_verdict(room, &root, (handed.sender.cause, reported), case).await?;
        Ok((case, root))
    }

    /// Queues the verdict and its evidence: the ledger stores both until the homeserver accepts them.
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
            let txn = transaction::for_event(cause, Purpose::Evidence);
            owed_message::evidence_in_own_thread(room.room_id(), (root, &txn), asked, number)
        });
        let txn = transaction::for_event(cause, Purpose::Verdict);
        let verdict = owed_message::in_own_thread(room.room_id(), (root, &txn), asked, page, case);
        let owed: Vec<_> = file.into_iter().chain([verdict]).collect();
        if let Err(error) = self.owe(&owed) {
            // Without space on the disk there is no file, but still a verdict.
            tracing::error!("the verdict of {root} could not be saved: {error:#}");
            let message = OutgoingMessage::quiet(page);
            room_message::post(room, Destination::Thread(root), &message, &[], txn).await?;
        }
        Ok(())
    }

    /// Posts the redacted files in the thread; returns a line for each that is missing.
    async fn enclose(
        &self,
        room: &Room,
        root: &EventId,
        handed: &mut HandedReport<'_>,
    ) -> Vec<String> {
        let mut unsent = Vec::new();
        for (number, artefact) in handed.parcel.artefacts.iter_mut().enumerate() {
            let sending = attach(room, root, artefact, handed.sender.cause, number);
            if !matches!(timeout(ENCLOSING, sending).await, Ok(Ok(()))) {
                tracing::warn!("a file of {} was not attached", handed.sender.cause);
                unsent.push(replies::file_not_attached(&artefact.name));
            }
        }
        unsent
    }

    /// Without space on the disk there is no number, but still an answer.
    fn open(&self, room: &Room, handed: &HandedReport<'_>) -> Option<u64> {
        let (verdict, certainty) = handed.reported.kept_as();
        let opened = self.store.open_case(&NewCase {
            cause: handed.sender.cause,
            thread: handed.sender.cause,
            room: room.room_id(),
            asker: handed.sender.by,
            verdict,
            certainty,
            evidence: &handed.reported.evidence,
            now: Timestamp::now(),
        });
        if let Err(error) = &opened {
            tracing::error!("the case of {} could not be saved: {error:#}", handed.sender.cause);
        }
        opened.ok()
    }
}

/// The message that was replied to. It may be a plain event from anybody: a report is foreign text anyway, and the
/// post names who forwarded it. The command itself was checked.
async fn pointed_at(room: &Room, target: &EventId) -> Result<Attachment> {
    let refused = |says: &str| anyhow::Error::from(ReportRefused(says.to_owned()));
    let event = match room.event(target, None).await.context("the message cannot be fetched") {
        Ok(event) => event,
        Err(error) if delivery::is_unreachable(&error) => return Err(error),
        Err(error) => {
            tracing::warn!("{target}: {error:#}");
            return Err(refused(replies::message_not_fetched()));
        }
    };
    if event.kind.is_utd() {
        return Err(refused(replies::message_without_key()));
    }
    let read = event.raw().deserialize().ok();
    read.as_ref().and_then(Attachment::from_event).ok_or_else(|| refused(replies::no_file_there()))
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
    let file = room_message::Attached { name: &artefact.name, kind, text };
    let content = room_message::enclosed(room, (root, root), file).await?;
    let txn = transaction::for_event(cause, Purpose::File(number));
    delivery::patiently(room, content, txn).await.map(drop)
}

fn facts(parcel: &Parcel) -> Vec<&ClientFacts> {
    parcel.artefacts.iter().map(|artefact| &artefact.facts).collect()
}

fn removed(parcel: &Parcel) -> Removed {
    let mut all = Removed::default();
    parcel.artefacts.iter().for_each(|artefact| all.add(&artefact.removed));
    all
}
