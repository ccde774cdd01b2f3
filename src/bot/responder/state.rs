//! What answering works with, and how an answer is saved and queued.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use matrix_sdk::Client;
use ruma::{OwnedUserId, RoomId};
use tokio::sync::Notify;

use super::report_queue::ReportQueue;
use crate::bot::captures::context::CaptureContext;
use crate::bot::captures::registry::Captures;
use crate::bot::chat_line::ChatLine;
use crate::bot::messages::transaction::Purpose;
use crate::bot::outbox::answers::AnswerOutbox;
use crate::bot::outbox::owed_message;
use crate::bot::supervisor::TaskHealth;
use crate::config::Config;
use crate::flow::{Answer, Flow};
use crate::store::{NewCase, NewMessage, Store};

/// Added to the sources' own deadline: the time to evaluate, and, for the few answers that post by themselves, to wait
/// for a restart of the homeserver.
const SLACK: Duration = Duration::from_secs(3 * 60);

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

    /// Saves a case and returns its answer. The case comes first, so that the answer can name its number and `!why`
    /// finds it as soon as the answer is posted. Without space on the disk both are missing, but there is still an answer.
    pub(crate) fn answer_messages(
        &self,
        room: &RoomId,
        line: &ChatLine,
        answer: Answer,
    ) -> Vec<NewMessage> {
        let (reply, evidence, judgement) = match answer {
            Answer::Words(reply) => {
                return vec![owed_message::answer(room, line, Purpose::Answer, &reply, None)];
            }
            Answer::Case(case) => (case.reply, case.evidence, case.judgement),
            Answer::Survey(survey) => (survey.reply, survey.evidence, survey.judgement),
        };
        let kept = self.store.open_case(&NewCase {
            cause: &line.event,
            thread: line.root(),
            room,
            asker: &line.sender,
            verdict: judgement.name(),
            certainty: judgement.certainty().name(),
            evidence: &evidence,
            now: Timestamp::now(),
        });
        match kept {
            Ok(number) => {
                let reply = self.flow.numbered(&evidence, &judgement, number);
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
}
