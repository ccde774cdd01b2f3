//! `!capture` → capture sessions, one per room, each in its own task. The task feeds its session's state machine
//! and carries out its effects; commands and reactions reach it through here. The state is in the ledger before
//! anything is posted, so the next process resumes where this one ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::{Client, Room};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError};

use super::context::CaptureContext;
use super::session_task::SessionTask;
use super::tick::StepTick;
use crate::bot::chat_line::ChatLine;
use crate::bot::permission::may_command;
use crate::bot::rate_limit::{Rate, RateLimit, TICKS};
use crate::config::Config;
use crate::store::KeptCapture;
use kestrel_core::capture::{CaptureRequest, Input, Session, Step};
use kestrel_core::command::CaptureCommand;
use kestrel_core::evidence::client_file::{Artefact, FileKind};
use kestrel_core::render::replies;
use kestrel_core::render::{Reply, capture as wording};

/// The most inputs that wait for a busy session; more are dropped and logged.
const WAITING: usize = 64;
/// How often a failed session is resumed, and the first pause.
const MOST_FAULTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);
/// The most reports of one capture.
const REPORTS: usize = 40;

/// The running sessions.
#[derive(Debug)]
pub(crate) struct Captures {
    context: CaptureContext,
    running: Mutex<HashMap<u64, RunningSession>>,
    /// How often a session's task failed in this process.
    faults: Mutex<HashMap<u64, u32>>,
    /// Ticks of the last hour, by person.
    ticks: Mutex<RateLimit>,
}

/// The connection to a session's task.
#[derive(Debug)]
struct RunningSession {
    user: OwnedUserId,
    reports: usize,
    tell: mpsc::Sender<Input>,
    stop: Option<AbortHandle>,
}

impl Captures {
    pub(crate) fn new(context: CaptureContext) -> Arc<Self> {
        Arc::new(Self {
            context,
            running: Mutex::default(),
            faults: Mutex::default(),
            ticks: Mutex::default(),
        })
    }

    /// Resumes what an earlier process left open, or an earlier session of this one.
    pub(crate) fn take_up(self: &Arc<Self>, client: &Client) {
        for (_, running) in self.lock().drain() {
            // It posts with an old Matrix session.
            if let Some(stop) = running.stop {
                stop.abort();
            }
        }
        let open = self.context.store.ledger().captures_going_on();
        for kept in open.unwrap_or_else(|error| {
            tracing::error!("open captures cannot be read: {error:#}");
            Vec::new()
        }) {
            let found = client.get_room(&kept.room).zip(session_of(&kept));
            let Some((room, session)) = found else {
                tracing::warn!("capture {} cannot be resumed", kept.number);
                continue;
            };
            tracing::info!("capture {} resumes", kept.number);
            self.run(room, kept, session, None);
        }
    }

    /// Answers one command; nothing if the capture answers in its own thread.
    pub(crate) async fn command(
        self: &Arc<Self>,
        room: &Room,
        line: &ChatLine,
        wanted: CaptureCommand,
    ) -> Result<Option<Reply>> {
        if let CaptureCommand::Start { user, device, length } = wanted {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            return self.start(room, line, (user, device), length).await;
        }
        let Some(kept) = self.context.store.ledger().capture_in(room.room_id())? else {
            return Ok(Some(replies::no_capture()));
        };
        let input = match wanted {
            CaptureCommand::Mark(text) => Input::Marked { text, by: line.sender.clone() },
            CaptureCommand::Stop => Input::Stopped { by: line.sender.clone() },
            _ => {
                let session = session_of(&kept);
                let page = session.map(|session| {
                    wording::checklist(&session, kept.number, &self.context.flow.view())
                });
                return Ok(page.map(|page| page.reply()));
            }
        };
        self.tell(kept.number, input);
        Ok((line.root() != kept.root).then(|| replies::capture_answers_elsewhere(kept.number)))
    }

    async fn start(
        self: &Arc<Self>,
        room: &Room,
        line: &ChatLine,
        (user, device): (OwnedUserId, Option<OwnedDeviceId>),
        length: SignedDuration,
    ) -> Result<Option<Reply>> {
        if let Some(foreign) = self.context.flow.foreign(&user) {
            return Ok(Some(foreign));
        }
        let device = match device {
            Some(device) => Some(device),
            None => self.context.flow.likely_device(&user).await,
        };
        let now = Timestamp::now();
        let root = line.root();
        let asked = CaptureRequest { user, device, by: line.sender.clone(), length };
        let (session, effects) = Session::begin(asked, now);
        let state = serde_json::to_string(&session)?;
        let ledger = self.context.store.ledger();
        let number = match ledger.begin_capture(room.room_id(), root, &state, now)? {
            Ok(number) => number,
            // The same command, answered again after a crash: the capture is already running.
            Err(going_on) if going_on.root == root => return Ok(None),
            Err(going_on) => return Ok(Some(replies::one_capture(going_on.number))),
        };
        tracing::info!("capture {number} starts");
        if let Some(kept) = ledger.capture(number)? {
            self.run(room.clone(), kept, session, Some(effects));
        }
        Ok(None)
    }

    /// Runs a session in its own task; without effects it is resumed.
    fn run(
        self: &Arc<Self>,
        room: Room,
        kept: KeptCapture,
        session: Session,
        begun: Option<Vec<kestrel_core::capture::Effect>>,
    ) {
        let (tell, heard) = mpsc::channel(WAITING);
        let number = kept.number;
        let user = session.asked.user.clone();
        let reports = session.received.len();
        let drive = SessionTask::new(self.context.clone(), room.clone(), kept, session);
        // Locked until the session is listed: one that ends at once is removed after that.
        let mut running = self.lock();
        let driven = tokio::spawn(drive.go_on(begun, heard));
        let stop = Some(driven.abort_handle());
        running.insert(number, RunningSession { user, reports, tell, stop });
        drop(running);
        let captures = Arc::clone(self);
        tokio::spawn(async move {
            let driven = driven.await;
            // It was resumed, and another task replaced it.
            if driven.as_ref().is_err_and(JoinError::is_cancelled) {
                return;
            }
            captures.lock().remove(&number);
            if let Err(error) = driven {
                tracing::error!("capture {number} failed: {error}");
                captures.go_on_after_a_fault(room, number).await;
            }
        });
    }

    /// Resumes a session whose task failed, a few times with growing pauses.
    async fn go_on_after_a_fault(self: Arc<Self>, room: Room, number: u64) {
        let faults = {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let faults = faults.entry(number).or_default();
            *faults += 1;
            *faults
        };
        if faults > MOST_FAULTS {
            tracing::error!("capture {number} failed {faults} times; the next start resumes it");
            return;
        }
        tokio::time::sleep(PAUSE * faults).await;
        match self.context.store.ledger().capture(number) {
            Ok(Some(kept)) => {
                if let Some(session) = session_of(&kept).filter(|session| !session.is_done()) {
                    self.run(room, kept, session, None);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!("capture {number} cannot be resumed: {error:#}"),
        }
    }

    /// A tick by somebody who may command; other ticks are ignored. Reactions are never encrypted, so a stolen token
    /// can tick: it only checks off a step, and the rate is limited.
    pub(crate) async fn ticked(self: &Arc<Self>, room: &Room, tick: StepTick, config: &Config) {
        let kept = match self.context.store.ledger().capture_of(&tick.on) {
            Ok(Some(kept)) if kept.checklist.as_ref() == Some(&tick.on) => kept,
            Ok(_) => return,
            Err(error) => return tracing::error!("the ledger cannot be read: {error:#}"),
        };
        if kept.room != room.room_id() || !may_command(room, &tick.sender, config).await {
            return;
        }
        match self.step(&tick.sender, Timestamp::now()) {
            Rate::Allowed => {}
            Rate::JustExceeded { .. } => {
                return tracing::warn!("{} ticked {TICKS} times in an hour", tick.sender);
            }
            Rate::Exceeded => return,
        }
        let input = Input::Ticked { step: tick.step, by: tick.sender };
        if self.lock().contains_key(&kept.number) {
            return self.tell(kept.number, input);
        }
        if let Some(session) = session_of(&kept).filter(Session::is_over) {
            let drive = SessionTask::new(self.context.clone(), room.clone(), kept, session);
            tokio::spawn(drive.late(input));
        }
    }

    /// Counts one more tick.
    fn step(&self, person: &UserId, now: Timestamp) -> Rate {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.step(person, TICKS, now)
    }

    /// A user's file arrived, redacted: it is saved with every running capture of that user, and is part of its
    /// verdict.
    pub(crate) fn received(&self, user: &UserId, artefact: &Artefact) {
        let mut running = self.lock();
        for (number, one) in running.iter_mut().filter(|(_, one)| one.user == *user) {
            if one.reports >= REPORTS {
                tracing::warn!("capture {number} has {REPORTS} reports and takes no more");
                continue;
            }
            let at = one.reports + 1;
            let name = format!("report-{at:02}-{}", artefact.name);
            let facts = serde_json::to_vec(&artefact.facts).unwrap_or_default();
            let kept = self
                .context
                .store
                .keep_part(*number, &format!("facts-{at:02}.json"), &facts)
                .and_then(|_| {
                    self.context.store.keep_part(*number, &name, artefact.text.as_bytes())
                });
            if let Err(error) = kept {
                tracing::error!("a report of capture {number} could not be saved: {error:#}");
                continue;
            }
            one.reports = at;
            let step = match artefact.kind {
                FileKind::Har => Step::Har,
                FileKind::Report | FileKind::Console => Step::Report,
            };
            let _ = one.tell.try_send(Input::Received { name, step });
        }
    }

    fn tell(&self, number: u64, input: Input) {
        let told = self.lock().get(&number).map(|running| running.tell.try_send(input));
        if !matches!(told, Some(Ok(()))) {
            tracing::warn!("capture {number} did not get an event");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, RunningSession>> {
        // A panic elsewhere while it was locked leaves at worst a session that gets no input.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session of a row; none if another version saved it.
fn session_of(kept: &KeptCapture) -> Option<Session> {
    let session = serde_json::from_str::<Session>(&kept.state);
    session
        .map_err(|error| {
            tracing::error!("capture {} was saved by another version: {error}", kept.number)
        })
        .ok()
        .filter(|session| session.schema == kestrel_core::capture::SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Flow;
    use crate::store::Store;

    #[test]
    fn a_report_is_kept_with_the_captures_of_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let config = Config::parse(crate::bot::settings::BOT, std::path::Path::new(".")).unwrap();
        let captures = Captures::new(CaptureContext::new(
            Flow::new(Arc::new(config)),
            store.clone(),
            Arc::default(),
        ));
        let users = ["@a:example.org", "@b:example.org"].map(|user| UserId::parse(user).unwrap());
        let mut heard = Vec::new();
        for (number, user) in (1..).zip(&users) {
            let (tell, hears) = mpsc::channel(WAITING);
            captures.lock().insert(
                number,
                RunningSession { user: user.clone(), reports: 0, tell, stop: None },
            );
            heard.push(hears);
        }
        let line = "2026-11-22T11:50:00.000Z WARN One time key signed_curve25519:AAAAAAAAAA0 already \
                    exists. syt_PLANTED_1";
        let parcel =
            kestrel_core::client_files::take_in("c.log", line.as_bytes(), &Default::default());
        let parcel = parcel.unwrap();
        for _ in 0..REPORTS + 3 {
            captures.received(&users[0], &parcel.artefacts[0]);
        }
        let first = heard[0].try_recv().unwrap();
        let name = "report-01-console.log".to_owned();
        assert_eq!(first, Input::Received { name: name.clone(), step: Step::Report });
        assert!(heard[1].try_recv().is_err(), "another's capture was told");
        assert_eq!(store.parts(1).unwrap().len(), 2 * REPORTS);
        assert!(store.parts(2).unwrap().is_empty());
        let kept = store.part(1, &name).unwrap().unwrap();
        assert!(kept.contains("already exists") && !kept.contains("PLANTED"), "{kept}");
        assert!(store.part(1, "facts-01.json").unwrap().is_some());
    }
}
