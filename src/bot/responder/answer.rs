//! An accepted line → the messages that answer it. An error or a panic in one answer affects that answer only. The
//! messages are queued; the outbox sends them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Room;
use tokio::time::timeout;

use super::state::Responder;
use super::typing::while_typing;
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::delivery;
use crate::bot::messages::room_message;
use crate::bot::messages::transaction::{self, Purpose};
use crate::bot::request::ChatRequest;
use crate::flow::Answer;
use crate::store::NewMessage;
use kestrel_core::command::{self, CaseAction, Command};
use kestrel_core::question::Question;
use kestrel_core::render::replies;
use kestrel_core::render::{self, Reply};

/// How long a verdict waits for its attachment.
const ATTACHING: Duration = Duration::from_secs(5);

impl Responder {
    /// Answers one line. Its log window ends when the line was sent; a live watch begins now.
    pub(crate) async fn answer(
        self: Arc<Self>,
        room: Room,
        line: ChatLine,
        asked: ChatRequest,
    ) -> Result<Vec<NewMessage>> {
        let patience = self.patience + asked.watch();
        let work = self.clone().work(room.clone(), line, asked);
        while_typing(&room, tokio::spawn(work), patience).await
    }

    async fn work(
        self: Arc<Self>,
        room: Room,
        line: ChatLine,
        asked: ChatRequest,
    ) -> Result<Vec<NewMessage>> {
        let live = !asked.watch().is_zero();
        let asked_at = if live { Timestamp::now() } else { line.sent };
        let answer = match asked {
            ChatRequest::UsageError(reply) => Answer::Words(reply),
            ChatRequest::Command(Command::Why) => Answer::Words(self.why(&line)),
            ChatRequest::Command(Command::Report { about }) => {
                Answer::Words(self.forwarded(&room, &line, about.as_deref()).await?)
            }
            ChatRequest::Command(Command::Cases(user)) => {
                Answer::Words(self.cases(user.as_deref())?)
            }
            ChatRequest::Command(Command::Case { number, action: CaseAction::Again }) => {
                return Ok(self.again(&room, &line, number, asked_at).await);
            }
            ChatRequest::Command(Command::Case { number, action }) => {
                Answer::Words(self.case(number, action)?)
            }
            ChatRequest::Command(Command::Storms) => Answer::Words(self.storms()?),
            ChatRequest::Command(Command::Mute { target, length }) => {
                Answer::Words(self.mute(&line, &target, length)?)
            }
            ChatRequest::Command(Command::Unmute(target)) => {
                Answer::Words(self.unmute(target.as_ref())?)
            }
            ChatRequest::Command(Command::Capture(wanted)) => {
                match self.captures.command(&room, &line, wanted).await? {
                    Some(reply) => Answer::Words(reply),
                    None => return Ok(Vec::new()),
                }
            }
            ChatRequest::Command(Command::Help(about)) => {
                Answer::Words(render::help(&command::help(about)).reply())
            }
            ChatRequest::Command(Command::Tree(branch)) => {
                Answer::Words(render::trees(branch).reply())
            }
            ChatRequest::Command(Command::Remedies(verdict)) => {
                Answer::Words(render::remedies_named(verdict.as_deref()).reply())
            }
            ChatRequest::Command(Command::Ask(question)) => {
                self.announce(&room, &line, &question).await;
                self.flow.answer(&question, asked_at).await
            }
        };
        Ok(self.answer_messages(room.room_id(), &line, answer))
    }

    /// Announces a live watch. If that fails, the watch runs anyway.
    async fn announce(&self, room: &Room, line: &ChatLine, question: &Question) {
        let Some(note) = self.flow.announcement(question) else { return };
        let mut content = room_message::notice(&note, vec![line.sender.clone()]);
        content.relates_to = Some(room_message::under(line.root().to_owned(), line.event.clone()));
        let txn = transaction::for_event(&line.event, Purpose::Watch);
        let said = timeout(ATTACHING, delivery::once(room, content, txn)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::warn!("the start of the live watch {} could not be announced", line.event);
        }
    }

    /// The case of the thread, or of the verdict that was replied to.
    fn why(&self, line: &ChatLine) -> Reply {
        let about = line.thread.as_deref().or(line.replied.as_deref());
        // A storm that is posted in two rooms has its case in the first of them.
        let copied = |copy| self.store.ledger().original_root(copy).ok().flatten();
        let original = about.and_then(copied).map(|(_, root)| root);
        match original.as_deref().or(about).and_then(|event| self.store.evidence_of(event)) {
            Some(evidence) => self.flow.why(&evidence),
            None => replies::no_case_here(),
        }
    }
}
