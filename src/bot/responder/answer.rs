//! An accepted line → the messages that answer it. An error or a panic in one answer affects that answer only. The
//! messages are queued; the outbox sends them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::{OwnedUserId, RoomId};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::report_queue::ReportQueue;
use super::typing::while_typing;
use crate::bot::captures::context::CaptureContext;
use crate::bot::captures::registry::Captures;
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::delivery;
use crate::bot::messages::room_message;
use crate::bot::messages::transaction::{self, Purpose};
use crate::bot::outbox::answers::AnswerOutbox;
use crate::bot::outbox::owed_message;
use crate::bot::replies;
use crate::bot::request::ChatRequest;
use crate::bot::supervisor::TaskHealth;
use crate::config::Config;
use crate::flow::{self, Answer, Flow};
use crate::store::{NewCase, NewMessage, Store};
use kestrel_core::command::{Command, Look};
use kestrel_core::render::Reply;

/// Beyond the sources' own deadline: the time to judge, and for the few answers that post by themselves to sit
/// out a restart of the homeserver.
const SLACK: Duration = Duration::from_secs(3 * 60);

/// How long a verdict waits for its attachment.
const ATTACHING: Duration = Duration::from_secs(5);

/// What answering needs.
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) flow: Flow,
    pub(crate) store: Store,
    pub(crate) captures: Arc<Captures>,
    /// The bot itself.
    pub(crate) own: Option<OwnedUserId>,
    /// Whether storms are watched for, and addresses shown in full.
    pub(crate) watches: bool,
    pub(crate) show_addresses: bool,
    /// A flow's deadline plus everything around it.
    pub(crate) patience: Duration,
    pub(crate) report_queue: ReportQueue,
    /// Signals a new pending message.
    pub(crate) owed: Arc<Notify>,
    /// The state of the bot's own tasks.
    pub(crate) health: TaskHealth,
}

impl Responder {
    pub(crate) fn new(flow: Flow, store: Store, config: &Config, health: TaskHealth) -> Arc<Self> {
        let owed: Arc<Notify> = Arc::default();
        let captures =
            Captures::new(CaptureContext::new(flow.clone(), store.clone(), owed.clone()));
        Arc::new(Self {
            flow,
            store,
            captures,
            own: config.matrix.as_ref().map(|matrix| matrix.user.clone()),
            watches: crate::bot::settings::watches(config),
            show_addresses: config.limits.show_addresses,
            patience: config.limits.deadline + SLACK,
            report_queue: ReportQueue::new(config),
            owed,
            health,
        })
    }

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
            ChatRequest::Slip(reply) => Answer::Words(reply),
            ChatRequest::Command(Command::Why) => Answer::Words(self.why(&line)),
            ChatRequest::Command(Command::Report { about }) => {
                Answer::Words(self.forwarded(&room, &line, about.as_deref()).await?)
            }
            ChatRequest::Command(Command::Cases(user)) => {
                Answer::Words(self.cases(user.as_deref())?)
            }
            ChatRequest::Command(Command::Case { number, look: Look::Again }) => {
                return Ok(self.again(&room, &line, number, asked_at).await);
            }
            ChatRequest::Command(Command::Case { number, look }) => {
                Answer::Words(self.case(number, look)?)
            }
            ChatRequest::Command(Command::Storms) => Answer::Words(self.storms()?),
            ChatRequest::Command(Command::Mute { whom, length }) => {
                Answer::Words(self.mute(&line, &whom, length)?)
            }
            ChatRequest::Command(Command::Unmute(whom)) => {
                Answer::Words(self.unmute(whom.as_ref())?)
            }
            ChatRequest::Command(Command::Capture(wanted)) => {
                match self.captures.command(&room, &line, wanted).await? {
                    Some(reply) => Answer::Words(reply),
                    None => return Ok(Vec::new()),
                }
            }
            ChatRequest::Command(command) => {
                self.announce(&room, &line, &command).await;
                self.flow.answer(&command, asked_at).await
            }
        };
        Ok(self.answer_messages(room.room_id(), &line, answer))
    }

    /// Announces a live watch. If that fails, the watch runs anyway.
    async fn announce(&self, room: &Room, line: &ChatLine, command: &Command) {
        let Some(note) = self.flow.announcement(command) else { return };
        let mut content = room_message::notice(&note, vec![line.sender.clone()]);
        content.relates_to = Some(room_message::under(line.root().to_owned(), line.event.clone()));
        let txn = transaction::for_event(&line.event, Purpose::Watch);
        let said = timeout(ATTACHING, delivery::once(room, content, txn)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::warn!("the start of the live watch {} could not be announced", line.event);
        }
    }

    /// Saves a case and returns its answer. The case comes first, so that the answer can name its number and `!why`
    /// finds it as soon as the answer is posted. A full disk costs both, not the answer.
    pub(crate) fn answer_messages(
        &self,
        room: &RoomId,
        line: &ChatLine,
        answer: Answer,
    ) -> Vec<NewMessage> {
        let (reply, evidence) = match answer {
            Answer::Words(reply) => {
                return vec![owed_message::answer(room, line, Purpose::Answer, &reply, None)];
            }
            Answer::Case(case) => (case.reply, case.evidence),
            Answer::Survey(survey) => (survey.reply, survey.evidence),
        };
        let kept = self.store.open_case(&NewCase {
            cause: &line.event,
            thread: line.root(),
            room,
            asker: &line.sender,
            verdict: flow::verdict(&evidence),
            certainty: flow::certainty(&evidence).name(),
            evidence: &evidence,
            now: Timestamp::now(),
        });
        match kept {
            Ok(number) => {
                let reply = self.flow.numbered(&evidence, number);
                // The file goes first: the thread's preview shows the last message, and that is the verdict.
                vec![
                    owed_message::evidence(room, line, number),
                    owed_message::answer(room, line, Purpose::Answer, &reply, Some(number)),
                ]
            }
            Err(error) => {
                tracing::error!("the case of {} could not be saved: {error:#}", line.event);
                vec![owed_message::answer(room, line, Purpose::Answer, &reply, None)]
            }
        }
    }

    /// Queues messages that belong to no task.
    pub(crate) fn owe(&self, messages: &[NewMessage]) -> Result<()> {
        self.store.ledger().owe_messages(messages)?;
        self.owed.notify_one();
        Ok(())
    }

    /// What sends them, through this client.
    pub(crate) fn outbox(&self, client: &Client) -> AnswerOutbox {
        AnswerOutbox {
            flow: self.flow.clone(),
            store: self.store.clone(),
            client: client.clone(),
            due: self.owed.clone(),
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
