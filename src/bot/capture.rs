//! `!capture` → sessions that go on beside the loop, one a room. Each is a task that feeds its session's state
//! machine and does what that asks for; what it is told comes through here. The state is in the ledger before
//! anything is posted, so the next process goes on where this one was killed.

mod bundle;
mod drive;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use matrix_sdk::ruma::events::AnySyncTimelineEvent;
use matrix_sdk::{Client, Room};
use ruma::{OwnedDeviceId, OwnedEventId, OwnedUserId, UserId};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinError};

use self::drive::Drive;
use super::gate::{Pace, Paces, TICKS, may_command};
use super::line::ChatLine;
use super::react::reaction;
use super::words;
use crate::config::Config;
use crate::flow::Flow;
use crate::store::{KeptCapture, NewMessage, Store};
use kestrel_core::capture::{Asked, Input, Session, Step};
use kestrel_core::command::Capture;
use kestrel_core::evidence::client_file::{Artefact, FileKind};
use kestrel_core::render::{Reply, capture as told};

/// What may wait for a session that is busy posting; more is dropped and logged.
const WAITING: usize = 64;
/// How often one session is taken up again after a fault, and the first pause.
const MOST_FAULTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);
/// Reports that one capture keeps.
const REPORTS: usize = 40;

/// The sessions that go on.
#[derive(Debug)]
pub(super) struct CaptureDesk {
    flow: Flow,
    store: Store,
    due: Arc<Notify>,
    running: Mutex<HashMap<u64, Running>>,
    /// How often a session's task broke off in this process.
    faults: Mutex<HashMap<u64, u32>>,
    /// Ticks of the last hour, by person.
    ticks: Mutex<Paces>,
}

/// How a session's task is spoken to.
#[derive(Debug)]
struct Running {
    user: OwnedUserId,
    reports: usize,
    tell: mpsc::Sender<Input>,
    stop: Option<AbortHandle>,
}

/// A reaction that ticks a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) sender: OwnedUserId,
    step: Step,
    on: OwnedEventId,
}

impl Tick {
    /// The tick of this event, if it is a reaction by which a step may be ticked.
    pub(super) fn of(event: &AnySyncTimelineEvent) -> Option<Self> {
        let event = reaction(event)?;
        let annotation = &event.content.relates_to;
        let step = Step::of_button(&annotation.key)?;
        Some(Self { sender: event.sender.clone(), step, on: annotation.event_id.clone() })
    }
}

impl CaptureDesk {
    /// `due` wakes what sends owed messages.
    pub(super) fn new(flow: Flow, store: Store, due: Arc<Notify>) -> Arc<Self> {
        let (running, faults, ticks) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { flow, store, due, running, faults, ticks })
    }

    fn owe(&self, message: &NewMessage) -> Result<()> {
        self.store.ledger().owe_messages(std::slice::from_ref(message))?;
        self.due.notify_one();
        Ok(())
    }

    /// Goes on with what an earlier process left open, or an earlier session of this one.
    pub(super) fn take_up(self: &Arc<Self>, client: &Client) {
        for (_, running) in self.lock().drain() {
            // It posts with a session that is over.
            if let Some(stop) = running.stop {
                stop.abort();
            }
        }
        let open = self.store.ledger().captures_going_on();
        for kept in open.unwrap_or_else(|error| {
            tracing::error!("captures cannot be looked for: {error:#}");
            Vec::new()
        }) {
            let (Some(room), Some(session)) = (client.get_room(&kept.room), session_of(&kept))
            else {
                tracing::warn!("capture {} cannot be taken up", kept.number);
                continue;
            };
            tracing::info!("capture {} goes on", kept.number);
            self.run(room, kept, session, None);
        }
    }

    /// Answers one command; nothing where the capture's own thread says it.
    pub(super) async fn command(
        self: &Arc<Self>,
        room: &Room,
        line: &ChatLine,
        wanted: Capture,
    ) -> Result<Option<Reply>> {
        if let Capture::Start { user, device, length } = wanted {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            return self.start(room, line, (user, device), length).await;
        }
        let Some(kept) = self.store.ledger().capture_in(room.room_id())? else {
            return Ok(Some(words::no_capture()));
        };
        let input = match wanted {
            Capture::Mark(text) => Input::Marked { text, by: line.sender.clone() },
            Capture::Stop => Input::Stopped { by: line.sender.clone() },
            _ => {
                let session = session_of(&kept);
                let page = session
                    .map(|session| told::checklist(&session, kept.number, &self.flow.view()));
                return Ok(page.map(|page| page.reply()));
            }
        };
        self.tell(kept.number, input);
        Ok((line.root() != kept.root).then(|| words::taken_for(kept.number)))
    }

    async fn start(
        self: &Arc<Self>,
        room: &Room,
        line: &ChatLine,
        (user, device): (OwnedUserId, Option<OwnedDeviceId>),
        length: SignedDuration,
    ) -> Result<Option<Reply>> {
        if let Some(foreign) = self.flow.foreign(&user) {
            return Ok(Some(foreign));
        }
        let device = match device {
            Some(device) => Some(device),
            None => self.flow.likely_device(&user).await,
        };
        let (now, root) = (Timestamp::now(), line.root());
        let asked = Asked { user, device, by: line.sender.clone(), length };
        let (session, effects) = Session::begin(asked, now);
        let state = serde_json::to_string(&session)?;
        let ledger = self.store.ledger();
        let number = match ledger.begin_capture(room.room_id(), root, &state, now)? {
            Ok(number) => number,
            // The same command, answered again after a crash: it goes on already.
            Err(going_on) if going_on.root == root => return Ok(None),
            Err(going_on) => return Ok(Some(words::one_capture(going_on.number))),
        };
        tracing::info!("capture {number} begins");
        if let Some(kept) = ledger.capture(number)? {
            self.run(room.clone(), kept, session, Some(effects));
        }
        Ok(None)
    }

    /// Lets a session go on in a task of its own; without effects it is taken up.
    fn run(
        self: &Arc<Self>,
        room: Room,
        kept: KeptCapture,
        session: Session,
        begun: Option<Vec<kestrel_core::capture::Effect>>,
    ) {
        let (tell, heard) = mpsc::channel(WAITING);
        let (number, user) = (kept.number, session.asked.user.clone());
        let reports = session.received.len();
        let drive = Drive::new(Arc::clone(self), room.clone(), kept, session);
        // Held until the session is listed: one that ends at once is removed after that.
        let mut running = self.lock();
        let driven = tokio::spawn(drive.go_on(begun, heard));
        let stop = Some(driven.abort_handle());
        running.insert(number, Running { user, reports, tell, stop });
        drop(running);
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            let driven = driven.await;
            // It was taken up again, and another is in its place.
            if driven.as_ref().is_err_and(JoinError::is_cancelled) {
                return;
            }
            desk.lock().remove(&number);
            if let Err(error) = driven {
                tracing::error!("capture {number} broke off: {error}");
                desk.go_on_after_a_fault(room, number).await;
            }
        });
    }

    /// Takes a session up again whose task broke off, a few times with growing pauses.
    async fn go_on_after_a_fault(self: Arc<Self>, room: Room, number: u64) {
        let faults = {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let faults = faults.entry(number).or_default();
            *faults += 1;
            *faults
        };
        if faults > MOST_FAULTS {
            tracing::error!(
                "capture {number} broke off {faults} times; the next start takes it up"
            );
            return;
        }
        tokio::time::sleep(PAUSE * faults).await;
        match self.store.ledger().capture(number) {
            Ok(Some(kept)) => {
                if let Some(session) = session_of(&kept).filter(|session| !session.is_done()) {
                    self.run(room, kept, session, None);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!("capture {number} cannot be taken up: {error:#}"),
        }
    }

    /// A tick by somebody who may command; of others nothing is said. Reactions are never encrypted, so a stolen
    /// token can tick: it checks off a step, and only so often.
    pub(super) async fn ticked(self: &Arc<Self>, room: &Room, tick: Tick, config: &Config) {
        let kept = match self.store.ledger().capture_of(&tick.on) {
            Ok(Some(kept)) if kept.checklist.as_ref() == Some(&tick.on) => kept,
            Ok(_) => return,
            Err(error) => return tracing::error!("the ledger cannot be read: {error:#}"),
        };
        if kept.room != room.room_id() || !may_command(room, &tick.sender, config).await {
            return;
        }
        match self.step(&tick.sender, Timestamp::now()) {
            Pace::Go => {}
            Pace::Tell => {
                return tracing::warn!("{} ticked {TICKS} times in an hour", tick.sender);
            }
            Pace::Silent => return,
        }
        let input = Input::Ticked { step: tick.step, by: tick.sender };
        if self.lock().contains_key(&kept.number) {
            return self.tell(kept.number, input);
        }
        if let Some(session) = session_of(&kept).filter(Session::is_over) {
            let drive = Drive::new(Arc::clone(self), room.clone(), kept, session);
            tokio::spawn(drive.late(input));
        }
    }

    /// Counts one more tick.
    fn step(&self, person: &UserId, now: Timestamp) -> Pace {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.step(person, TICKS, now)
    }

    /// A user's file came in, redacted: kept with every capture of that user that goes on, whose verdict it
    /// will be part of.
    pub(super) fn received(&self, user: &UserId, artefact: &Artefact) {
        let mut running = self.lock();
        for (number, one) in running.iter_mut().filter(|(_, one)| one.user == *user) {
            if one.reports >= REPORTS {
                tracing::warn!("capture {number} keeps no more reports");
                continue;
            }
            let at = one.reports + 1;
            let name = format!("report-{at:02}-{}", artefact.name);
            let facts = serde_json::to_vec(&artefact.facts).unwrap_or_default();
            let kept = self
                .store
                .keep_part(*number, &format!("facts-{at:02}.json"), &facts)
                .and_then(|_| self.store.keep_part(*number, &name, artefact.text.as_bytes()));
            if let Err(error) = kept {
                tracing::error!("a report of capture {number} cannot be kept: {error:#}");
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
            tracing::warn!("capture {number} could not be told");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        // A panic elsewhere while it was held leaves a session that nobody is told of.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session of a row; none of another version.
fn session_of(kept: &KeptCapture) -> Option<Session> {
    let session = serde_json::from_str::<Session>(&kept.state);
    session
        .map_err(|error| tracing::error!("capture {} is of another version: {error}", kept.number))
        .ok()
        .filter(|session| session.schema == kestrel_core::capture::SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reaction_with_a_number_is_a_tick() {
        let tick = |key: &str| {
            let event = json!({
                "type": "m.reaction", "event_id": "$press", "sender": "@a:example.org",
                "origin_server_ts": 1_000,
                "content": {"m.relates_to": {
                    "rel_type": "m.annotation", "event_id": "$list", "key": key,
                }},
            });
            Tick::of(&serde_json::from_value(event).ok()?)
        };
        let first = tick("1️⃣").unwrap();
        assert_eq!((first.step, first.on.as_str()), (Step::RaiseLoggers, "$list"));
        assert_eq!(tick("1\u{20e3}"), Some(first));
        assert_eq!(tick("🔁"), None);
    }

    #[test]
    fn a_report_is_kept_with_the_captures_of_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let config = Config::parse(super::super::BOT, std::path::Path::new(".")).unwrap();
        let desk = CaptureDesk::new(Flow::new(Arc::new(config)), store.clone(), Arc::default());
        let users = ["@a:example.org", "@b:example.org"].map(|user| UserId::parse(user).unwrap());
        let mut heard = Vec::new();
        for (number, user) in (1..).zip(&users) {
            let (tell, hears) = mpsc::channel(WAITING);
            desk.lock()
                .insert(number, Running { user: user.clone(), reports: 0, tell, stop: None });
            heard.push(hears);
        }
        let line = "2026-11-22T11:50:00.000Z WARN One time key signed_curve25519:AAAAAAAAAA0 already \
                    exists. syt_PLANTED_1";
        let parcel =
            kestrel_core::client_files::take_in("c.log", line.as_bytes(), &Default::default());
        let parcel = parcel.unwrap();
        for _ in 0..REPORTS + 3 {
            desk.received(&users[0], &parcel.artefacts[0]);
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
