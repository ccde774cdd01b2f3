//! A capture session and everything that it holds open: its state, its messages and its saved measurements.

use jiff::Timestamp;
use matrix_sdk::Room;
use ruma::{OwnedEventId, OwnedTransactionId};

use super::context::CaptureContext;
use crate::bot::messages::transaction;
use crate::bot::outbox::owed_message;
use crate::flow::InboxWatch;
use crate::store::KeptCapture;
use kestrel_core::capture::{Effect, Input, Session, Step};
use kestrel_core::evidence::delay::Metrics;
use kestrel_core::evidence::to_device::Inbox;
use kestrel_core::render::Page;

/// How often its state is saved when nothing happens.
const WRITTEN: i64 = 15;
/// Files of what was measured, so that a restart loses none of it.
pub(super) const INBOX: &str = "inbox.json";
pub(super) const LATENCY: &str = "latency.json";

/// The session and everything it holds open.
pub(crate) struct SessionTask {
    pub(crate) context: CaptureContext,
    pub(crate) room: Room,
    pub(crate) number: u64,
    pub(crate) root: OwnedEventId,
    pub(super) checklist: Option<OwnedEventId>,
    pub(crate) session: Session,
    pub(super) watch: Option<InboxWatch>,
    pub(super) watch_failed: Option<Timestamp>,
    pub(crate) inbox: Option<Inbox>,
    pub(crate) samples: Vec<(Timestamp, Metrics)>,
    written: Timestamp,
    pub(super) ticked: bool,
}

impl SessionTask {
    pub(crate) fn new(
        context: CaptureContext,
        room: Room,
        kept: KeptCapture,
        session: Session,
    ) -> Self {
        let measured = |name: &str| context.store.part(kept.number, name).ok().flatten();
        let inbox = measured(INBOX).and_then(|text| serde_json::from_str(&text).ok());
        let samples = measured(LATENCY).and_then(|text| serde_json::from_str(&text).ok());
        Self {
            context,
            room,
            number: kept.number,
            root: kept.root,
            checklist: kept.checklist,
            session,
            watch: None,
            watch_failed: None,
            inbox,
            samples: samples.unwrap_or_default(),
            written: Timestamp::UNIX_EPOCH,
            ticked: false,
        }
    }

    pub(super) fn is_open(&self, step: Step) -> bool {
        self.session.items.iter().any(|item| item.step == step && item.ticked.is_none())
    }

    /// One step of the state machine, saved before anything is posted.
    pub(super) fn step(&mut self, input: Input) -> Vec<Effect> {
        let now = Timestamp::now();
        let happened = !matches!(input, Input::Clock | Input::Polled | Input::Sampled);
        let effects = self.session.take(input, now);
        let idle = |effect: &Effect| matches!(effect, Effect::Poll | Effect::Sample);
        let old = now.duration_since(self.written).as_secs() >= WRITTEN;
        if happened || old || !effects.iter().all(idle) {
            self.save(now);
        }
        effects
    }

    pub(super) fn save(&mut self, now: Timestamp) {
        let state = serde_json::to_string(&self.session).unwrap_or_default();
        match self.context.store.ledger().save_capture(self.number, &state) {
            Ok(()) => self.written = now,
            Err(error) => tracing::error!("capture {} could not be saved: {error:#}", self.number),
        }
    }

    pub(super) fn keep(&self, name: &str, what: &impl serde::Serialize) {
        let text = serde_json::to_vec(what).unwrap_or_default();
        if let Err(error) = self.context.store.keep_part(self.number, name, &text) {
            tracing::warn!("{name} of capture {} could not be saved: {error:#}", self.number);
        }
    }

    /// The transaction ID of one message, the same in every process. A thread can have several captures.
    pub(crate) fn txn(&self, part: &str) -> OwnedTransactionId {
        transaction::for_part(&self.root, &format!("capture-{}-{part}", self.number))
    }

    /// Queues a message for the session's thread: it is sent once, however long the homeserver is offline.
    pub(crate) fn tell(&self, page: Option<Page>, part: &str) {
        let Some(page) = page else { return };
        let txn = self.txn(part);
        let summary = format!("capture {}", self.number);
        let asked = (Timestamp::now(), summary.as_str());
        let in_thread = (&*self.root, &*txn);
        let message =
            owed_message::in_own_thread(self.room.room_id(), in_thread, asked, &page.reply(), None);
        if let Err(error) = self.context.owe(&message) {
            tracing::error!("a message of capture {} is lost: {error:#}", self.number);
        }
    }
}
