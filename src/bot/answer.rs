//! A line that passed the gate → its answer in the thread. Each runs in its own task; a few run at a
//! time, the rest wait. A fault or a panic in one ends in one calm sentence, never in the others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use matrix_sdk::Room;
use ruma::{EventId, OwnedUserId};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::capture::CaptureDesk;
use super::line::ChatLine;
use super::reception::Reception;
use super::send::{self, About};
use super::words;
use crate::command::{Command, Look};
use crate::config::Config;
use crate::flow::{self, Answer, Flow};
use crate::render::Reply;
use crate::store::{NewCase, Store};

/// How many answers are worked on at a time: each may read the whole log.
const AT_ONCE: usize = 4;

/// Beyond the sources' own deadline: the time to judge, to upload, and to sit out a restart of the
/// homeserver while sending.
const SLACK: Duration = Duration::from_secs(3 * 60);

/// How long a verdict waits for its attachment.
pub(super) const ATTACHING: Duration = Duration::from_secs(5);

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
    places: Semaphore,
}

impl Desk {
    pub(super) fn new(flow: Flow, store: Store, config: &Config) -> Arc<Self> {
        let captures = CaptureDesk::new(flow.clone(), store.clone());
        Arc::new(Self {
            flow,
            store,
            captures,
            own: config.matrix.as_ref().map(|matrix| matrix.user.clone()),
            watches: super::watches(config),
            show_addresses: config.limits.show_addresses,
            patience: config.limits.deadline + SLACK,
            reception: Reception::new(config),
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// Answers one line, from the first typing notice to the note that it is done.
    pub(super) async fn answer(self: Arc<Self>, room: Room, line: ChatLine, asked: Asked) {
        let Ok(_place) = self.places.acquire().await else {
            return;
        };
        let (event, asker) = (&line.event, &line.sender);
        tracing::info!("answering {event} of {asker}");
        let patience = self.patience + asked.watch();
        let work = tokio::spawn(self.clone().work(room.clone(), line.clone(), asked));
        let ended = while_typing(&room, work, patience).await;
        if let Err(error) = ended {
            tracing::error!("answering {event} failed: {error:#}");
            let sentence = match error.downcast_ref::<TooLong>() {
                Some(TooLong) => words::took_too_long(),
                None => words::our_fault(),
            };
            if let Err(error) = send::answer(&room, &line, About::Fault, &sentence).await {
                // Not noted as done: the next start takes it up again, if it is still young.
                tracing::error!("and not even that could be said: {error:#}");
                return;
            }
        }
        self.done(&line.event);
    }

    /// Tells a stranger, once, whom the bot answers.
    pub(super) async fn turn_away(self: Arc<Self>, room: Room, line: ChatLine) {
        let said = send::answer(&room, &line, About::Stranger, &words::not_for_you()).await;
        if let Err(error) = said {
            tracing::warn!("the polite line for {} was not sent: {error:#}", line.event);
        }
        self.done(&line.event);
    }

    /// Ends a command that no process survived.
    pub(super) async fn give_up(self: Arc<Self>, room: Room, line: ChatLine) {
        let said = send::answer(&room, &line, About::Fault, &words::our_fault()).await;
        if let Err(error) = said {
            tracing::warn!("nothing was said about {}: {error:#}", line.event);
        }
        self.done(&line.event);
    }

    /// Tells a room how many of its commands came too late.
    pub(super) async fn own_up(room: Room, newest: ChatLine, count: usize, oldest: Duration) {
        let said = words::skipped(count, oldest);
        if let Err(error) = send::remark(&room, &newest.event, About::Skipped, &said).await {
            tracing::warn!("the line about skipped commands was not sent: {error:#}");
        }
    }

    /// Notes that an event needs nothing any more.
    pub(super) fn done(&self, event: &EventId) {
        if let Err(error) = self.store.finish(event) {
            tracing::error!("{event} could not be noted as answered: {error:#}");
        }
    }

    async fn work(self: Arc<Self>, room: Room, line: ChatLine, asked: Asked) -> Result<()> {
        let answer = match asked {
            Asked::Slip(reply) => Answer::Words(reply),
            Asked::Command(Command::Why) => Answer::Words(self.why(&line)),
            Asked::Command(Command::Report { about }) => {
                Answer::Words(self.forwarded(&room, &line, about.as_deref()).await?)
            }
            Asked::Command(Command::Cases(user)) => Answer::Words(self.cases(user.as_deref())?),
            Asked::Command(Command::Case { number, look: Look::Again }) => {
                return self.again(&room, &line, number).await;
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
                    None => return Ok(()),
                }
            }
            Asked::Command(command) => {
                self.announce(&room, &line, &command).await;
                self.flow.answer(&command, Timestamp::now()).await
            }
        };
        self.give(&room, &line, answer).await
    }

    /// Says that a live watch begins. The watch goes on without: its answer still counts.
    async fn announce(&self, room: &Room, line: &ChatLine, command: &Command) {
        let Some(note) = self.flow.announcement(command) else { return };
        let said = timeout(ATTACHING, send::answer(room, line, About::Watch, &note)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::warn!("the watch of {} could not be announced", line.event);
        }
    }

    /// Keeps a case and sends it: kept first, so that the answer can name its number and `!why` finds it as
    /// soon as it stands. A full disk costs both, not the answer.
    pub(super) async fn give(&self, room: &Room, line: &ChatLine, answer: Answer) -> Result<()> {
        let (reply, evidence) = match answer {
            Answer::Words(reply) => {
                send::answer(room, line, About::Answer, &reply).await?;
                return Ok(());
            }
            Answer::Case(case) => (case.reply, case.evidence),
            Answer::Survey(survey) => (survey.reply, survey.evidence),
        };
        let kept = self.store.open_case(&NewCase {
            cause: &line.event,
            thread: line.root(),
            room: room.room_id(),
            asker: &line.sender,
            verdict: flow::verdict(&evidence),
            certainty: flow::certainty(&evidence).name(),
            evidence: &evidence,
            now: Timestamp::now(),
        });
        let number = kept
            .map_err(|error| {
                tracing::error!("the case of {} could not be kept: {error:#}", line.event);
            })
            .ok();
        let reply = number.map_or(reply, |number| self.flow.numbered(&evidence, number));
        // The file goes first: the thread's preview shows the last message, and that is the verdict. It
        // stands without its attachment: `!why` shows the same.
        let text = self.flow.evidence_json(&evidence);
        match timeout(ATTACHING, send::attach(room, line, text)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("evidence.json was not attached for {}: {error:#}", line.event);
            }
            Err(_) => tracing::warn!("evidence.json took too long for {}", line.event),
        }
        let answer = send::answer(room, line, About::Answer, &reply).await?;
        if let Some(Err(error)) = number.map(|number| self.store.answered(number, &answer)) {
            tracing::error!("a reply to {answer} will not find its case: {error:#}");
        }
        Ok(())
    }

    /// The case of the thread, or of the verdict that was replied to.
    fn why(&self, line: &ChatLine) -> Reply {
        let about = line.thread.as_deref().or(line.replied.as_deref());
        match about.and_then(|event| self.store.evidence_of(event)) {
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
pub(super) async fn while_typing(
    room: &Room,
    mut work: JoinHandle<Result<()>>,
    patience: Duration,
) -> Result<()> {
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
        Err(_) => {
            work.abort();
            Err(TooLong.into())
        }
    }
}

async fn show_typing(room: &Room, typing: bool) {
    if let Err(error) = room.typing_notice(typing).await {
        tracing::debug!("typing could not be shown: {error}");
    }
}

/// A panic's own words may quote what somebody wrote, so they are left to the panic hook.
pub(super) fn broken_off(error: JoinError) -> anyhow::Error {
    match error.is_panic() {
        true => anyhow!("the answer panicked"),
        false => anyhow!("the answer was broken off"),
    }
}
