//! A line that passed the gate → the messages that answer it. A fault or a panic in one answer is an error
//! of that answer only. What is returned is owed to the room; the outbox sends it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use matrix_sdk::{Client, Room};
use ruma::{OwnedUserId, RoomId};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::capture::CaptureDesk;
use super::line::ChatLine;
use super::outbox::{self, Outbox};
use super::reception::Reception;
use super::send::{self, About};
use super::supervise::Health;
use super::transmit;
use super::words;
use crate::config::Config;
use crate::flow::{Answer, Flow};
use crate::store::{NewCase, NewMessage, Store};
use kestrel_core::command::{Command, Look};
use kestrel_core::render::Reply;

/// Beyond the sources' own deadline: the time to judge, and for the few answers that post by themselves to sit
/// out a restart of the homeserver.
const SLACK: Duration = Duration::from_secs(3 * 60);

/// How long a verdict waits for its attachment.
const ATTACHING: Duration = Duration::from_secs(5);

/// A typing notice lasts four seconds and the client renews it after three.
const TYPING_EVERY: Duration = Duration::from_secs(3);

/// What a line asks for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Command(Command),
    /// It was meant as a command and is none; the reply says how it is written.
    Slip(Reply),
}

impl Asked {
    /// How long it watches before it answers.
    fn watch(&self) -> Duration {
        match self {
            Self::Command(Command::Ke2(typed)) => typed.live.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

/// What answering needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) flow: Flow,
    pub(super) store: Store,
    pub(super) captures: Arc<CaptureDesk>,
    /// The bot itself.
    pub(super) own: Option<OwnedUserId>,
    /// Whether storms are watched for, and addresses shown in full.
    pub(super) watches: bool,
    pub(super) show_addresses: bool,
    /// A flow's deadline plus everything around it.
    pub(super) patience: Duration,
    pub(super) reception: Reception,
    /// Told when a message becomes owed.
    pub(super) owed: Arc<Notify>,
    /// How the bot's own tasks stand.
    pub(super) health: Health,
}

impl Desk {
    pub(super) fn new(flow: Flow, store: Store, config: &Config, health: Health) -> Arc<Self> {
        let owed: Arc<Notify> = Arc::default();
        let captures = CaptureDesk::new(flow.clone(), store.clone(), owed.clone());
        Arc::new(Self {
            flow,
            store,
            captures,
            own: config.matrix.as_ref().map(|matrix| matrix.user.clone()),
            watches: super::watches(config),
            show_addresses: config.limits.show_addresses,
            patience: config.limits.deadline + SLACK,
            reception: Reception::new(config),
            owed,
            health,
        })
    }

    /// Answers one line: the messages that are owed for it. Its log window ends when it was sent; a live watch
    /// begins now.
    pub(super) async fn answer(
        self: Arc<Self>,
        room: Room,
        line: ChatLine,
        asked: Asked,
    ) -> Result<Vec<NewMessage>> {
        let patience = self.patience + asked.watch();
        let work = self.clone().work(room.clone(), line, asked);
        while_typing(&room, tokio::spawn(work), patience).await
    }

    async fn work(
        self: Arc<Self>,
        room: Room,
        line: ChatLine,
        asked: Asked,
    ) -> Result<Vec<NewMessage>> {
        let live = !asked.watch().is_zero();
        let asked_at = if live { Timestamp::now() } else { line.sent };
        let answer = match asked {
            Asked::Slip(reply) => Answer::Words(reply),
            Asked::Command(Command::Why) => Answer::Words(self.why(&line)),
            Asked::Command(Command::Report { about }) => {
                Answer::Words(self.forwarded(&room, &line, about.as_deref()).await?)
            }
            Asked::Command(Command::Cases(user)) => Answer::Words(self.cases(user.as_deref())?),
            Asked::Command(Command::Case { number, look: Look::Again }) => {
                return Ok(self.again(&room, &line, number, asked_at).await);
            }
            Asked::Command(Command::Case { number, look }) => {
                Answer::Words(self.case(number, look)?)
            }
            Asked::Command(Command::Storms) => Answer::Words(self.storms()?),
            Asked::Command(Command::Mute { whom, length }) => {
                Answer::Words(self.mute(&line, &whom, length)?)
            }
            Asked::Command(Command::Unmute(whom)) => Answer::Words(self.unmute(whom.as_ref())?),
            Asked::Command(Command::Capture(wanted)) => {
                match self.captures.command(&room, &line, wanted).await? {
                    Some(reply) => Answer::Words(reply),
                    None => return Ok(Vec::new()),
                }
            }
            Asked::Command(command) => {
                self.announce(&room, &line, &command).await;
                self.flow.answer(&command, asked_at).await
            }
        };
        Ok(self.give(room.room_id(), &line, answer))
    }

    /// Says that a live watch begins. The watch goes on without: its answer still counts.
    async fn announce(&self, room: &Room, line: &ChatLine, command: &Command) {
        let Some(note) = self.flow.announcement(command) else { return };
        let mut content = send::notice(&note, vec![line.sender.clone()]);
        content.relates_to = Some(send::under(line.root().to_owned(), line.event.clone()));
        let txn = send::txn_id(&line.event, About::Watch);
        let said = timeout(ATTACHING, transmit::once(room, content, txn)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::warn!("the watch of {} could not be announced", line.event);
        }
    }

    /// Keeps a case and owes its answer: kept first, so that the answer can name its number and `!why` finds it
    /// as soon as the answer is in the room. A full disk costs both, not the answer.
    pub(super) fn give(&self, room: &RoomId, line: &ChatLine, answer: Answer) -> Vec<NewMessage> {
        let (reply, evidence, judgement) = match answer {
            Answer::Words(reply) => {
                return vec![outbox::answer(room, line, About::Answer, &reply, None)];
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
                    outbox::evidence(room, line, number),
                    outbox::answer(room, line, About::Answer, &reply, Some(number)),
                ]
            }
            Err(error) => {
                tracing::error!("the case of {} could not be kept: {error:#}", line.event);
                vec![outbox::answer(room, line, About::Answer, &reply, None)]
            }
        }
    }

    /// Owes messages that no task settles.
    pub(super) fn owe(&self, messages: &[NewMessage]) -> Result<()> {
        self.store.ledger().owe_messages(messages)?;
        self.owed.notify_one();
        Ok(())
    }

    /// What sends them, through this client.
    pub(super) fn outbox(&self, client: &Client) -> Outbox {
        Outbox {
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
            None => words::no_case_here(),
        }
    }
}

/// The work did not end in time.
#[derive(Debug)]
pub(super) struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the answer took too long")
    }
}

impl std::error::Error for TooLong {}

/// Waits for the work while the room sees the bot type.
pub(super) async fn while_typing<T>(
    room: &Room,
    mut work: JoinHandle<Result<T>>,
    patience: Duration,
) -> Result<T> {
    let _ends = AbortOnDrop(work.abort_handle());
    let typing = async {
        let mut beat = interval(TYPING_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            show_typing(room, true).await;
        }
    };
    let ended = tokio::select! {
        ended = timeout(patience, &mut work) => ended,
        () = typing => unreachable!("typing has no end"),
    };
    show_typing(room, false).await;
    match ended {
        Ok(joined) => joined.unwrap_or_else(|error| Err(broken_off(error))),
        Err(_) => Err(TooLong.into()),
    }
}

/// Work does not outlive whoever waits for it.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn show_typing(room: &Room, typing: bool) {
    if let Err(error) = room.typing_notice(typing).await {
        tracing::debug!("typing could not be shown: {error}");
    }
}

/// A panic's own words may quote what somebody wrote, so they are left to the panic hook.
pub(super) fn broken_off(error: JoinError) -> anyhow::Error {
    if error.is_panic() {
        return anyhow!("the answer panicked");
    }
    anyhow!("the answer was broken off")
}
