//! An admin's command → whether it counts, by how it reached the bot; and the reason in its thread when it does not.
//! Commands from the ops rooms all pass here: from a sync, from the backlog, and after a late key.

use jiff::Timestamp;
use matrix_sdk::Room;
use matrix_sdk::deserialized_responses::TimelineEvent;
use ruma::{RoomId, UserId};

use super::state::SyncLoop;
use crate::bot::chat_line::ChatLine;
use crate::bot::event_origin::{self, Origin};
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::owed_message;
use crate::bot::permission::{CommandRefusal, judge};
use crate::bot::rate_limit::Rate;
use crate::bot::request::ChatRequest;
use crate::bot::settings::matrix_config;
use kestrel_core::render::replies;

/// How often the homeserver is asked for one sender's devices in an hour.
const LOOKUPS: usize = 30;
/// Commands that wait until the homeserver answers; what is more is found again by the next start.
const MOST_WAITING: usize = 100;

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Counts,
    Refused(CommandRefusal),
    /// Its sender redacted it in the meantime.
    TakenBack,
    /// The homeserver has to answer first; it is retried after the next sync.
    Later,
}

impl SyncLoop {
    /// Whether a command counts.
    pub(crate) async fn admit(
        &mut self,
        room: &Room,
        line: &ChatLine,
        asked: &ChatRequest,
        event: &TimelineEvent,
    ) -> Admission {
        let config = self.config.clone();
        let Ok(matrix) = matrix_config(&config) else {
            return Admission::TakenBack;
        };
        let destructive =
            matches!(asked, ChatRequest::Command(command) if command.is_destructive());
        // First, so that a command that is rejected now is not a new one when it is copied later.
        if event.kind.encryption_info().is_some() {
            match self.first_of_its_message(room, line, destructive).await {
                Admission::Counts => {}
                other => return other,
            }
        }
        let mut known = event_origin::origin(room, &line.sender, event).await;
        let mut judged = judge(known, destructive, matrix);
        if judged.is_err_and(CommandRefusal::is_of_old_news) && self.may_look_up(&line.sender) {
            known = event_origin::asked_origin(room, &line.sender, event).await;
            judged = judge(known, destructive, matrix);
        }
        if let Err(refusal) = judged {
            return Admission::Refused(refusal);
        }
        if matches!(known, Origin::Plain { .. }) {
            self.warn_not_encrypted(room, line);
        }
        Admission::Counts
    }

    /// Whether this event is the first that its message came in. A copy needs no key, only an access token; the
    /// Matrix client decrypts it like the original.
    async fn first_of_its_message(
        &mut self,
        room: &Room,
        line: &ChatLine,
        destructive: bool,
    ) -> Admission {
        let ledger = self.store.ledger();
        if ledger.is_first_event(&line.event).unwrap_or_default() {
            return Admission::Counts;
        }
        let message = match event_origin::message(room, &line.event).await {
            Ok(Some(message)) => message,
            Ok(None) => return Admission::TakenBack,
            Err(error) => {
                tracing::warn!("{} is retried later: {error:#}", line.event);
                return Admission::Later;
            }
        };
        match ledger.note_message(&message.session, message.index, &line.event) {
            Ok(true) => Admission::Counts,
            Ok(false) => Admission::Refused(CommandRefusal::Copied),
            Err(error) => {
                tracing::error!("the message of {} could not be saved: {error:#}", line.event);
                // A full disk must not stop the bot from answering; harmful commands wait until there is space.
                if destructive {
                    return Admission::Refused(CommandRefusal::Unnoted);
                }
                Admission::Counts
            }
        }
    }

    fn may_look_up(&mut self, sender: &UserId) -> bool {
        self.admissions.lookups.step(sender, LOOKUPS, Timestamp::now()) == Rate::Allowed
    }

    /// Stores a command until the homeserver answers.
    pub(crate) fn retry_later(&mut self, room: &Room, event: &TimelineEvent) {
        let waiting = &mut self.admissions.waiting;
        if waiting.len() >= MOST_WAITING {
            return tracing::error!(
                "too many commands are waiting for the homeserver; the next start retries this one"
            );
        }
        waiting.push((room.room_id().to_owned(), event.clone()));
    }

    /// Whether a command of a room waits for the homeserver.
    pub(crate) fn waits_for_an_answer(&self, room: &RoomId) -> bool {
        self.admissions.waiting.iter().any(|(waiting, _)| waiting == room)
    }

    /// Rejects a command that does not count; its sender gets the reason, once per hour.
    pub(crate) fn refuse(
        &mut self,
        room: &Room,
        line: &ChatLine,
        refusal: CommandRefusal,
        now: Timestamp,
    ) {
        if !self.admissions.reasons.due(&line.sender, refusal, now) {
            return self.note_settled(room, &line.event);
        }
        tracing::warn!("the command {} of {} is not run: {refusal}", line.event, line.sender);
        self.say_at_once(room, line, Purpose::Refused, &replies::not_run(refusal.reason()));
    }

    /// Warns once that anybody with an admin's access token can command the bot here.
    fn warn_not_encrypted(&mut self, room: &Room, line: &ChatLine) {
        let ledger = self.store.ledger();
        let first = self.admissions.warned.insert(room.room_id().to_owned());
        if !first || ledger.was_warned(room.room_id()).unwrap_or_default() {
            return;
        }
        tracing::warn!(
            "{} is not encrypted: commands there do not prove who sent them",
            room.room_id()
        );
        let says = replies::not_encrypted_here();
        let warning = owed_message::answer(room.room_id(), line, Purpose::Unencrypted, &says, None);
        let noted =
            self.responder.owe(&[warning]).and_then(|()| ledger.note_warned(room.room_id()));
        if let Err(error) = noted {
            tracing::error!("the warning for {} could not be saved: {error:#}", room.room_id());
        }
    }
}
