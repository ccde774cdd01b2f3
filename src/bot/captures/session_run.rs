//! One session's task: time and inputs → its state machine → posts, database polls and, at the end, the bundle.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::session_task::{INBOX, LATENCY, SessionTask};
use crate::bot::messages::delivery;
use crate::bot::messages::outgoing_message::OutgoingMessage;
use crate::bot::messages::room_message::{self, Destination};
use kestrel_core::capture::{Effect, Input, Said, Step};
use kestrel_core::evidence::Subject;
use kestrel_core::render::capture as wording;

/// The shortest sleep between two steps.
const SHORTEST: Duration = Duration::from_millis(200);
/// A watch that failed is opened again after this.
const REOPEN: i64 = 30;
/// The pause before a bundle that could not be posted is posted again.
const PAUSE: Duration = Duration::from_secs(30);
/// Samples of the latency that are kept: four hours of them.
const SAMPLES: usize = 1000;

impl SessionTask {
    /// Runs until the bundle is posted.
    pub(crate) async fn go_on(
        mut self,
        begun: Option<Vec<Effect>>,
        mut heard: mpsc::Receiver<Input>,
    ) {
        match begun {
            Some(effects) => self.work(effects).await,
            None => {
                self.ticked = true;
                self.take(Input::Restarted).await;
                // The previous process ended right after the start.
                if self.is_open(Step::LogPlaces) && !self.session.is_over() {
                    let effects = self.measure().await;
                    self.work(effects).await;
                }
            }
        }
        while let Some(due) = self.session.due() {
            let pause = due.duration_since(Timestamp::now());
            let pause = Duration::try_from(pause).unwrap_or_default().max(SHORTEST);
            let input = tokio::select! {
                Some(input) = heard.recv() => input,
                () = tokio::time::sleep(pause) => Input::Clock,
            };
            self.take(input).await;
        }
        if self.session.is_done()
            && let Err(error) =
                self.context.store.ledger().end_capture(self.number, Timestamp::now())
        {
            tracing::error!("capture {} cannot be ended: {error:#}", self.number);
        }
    }

    /// Takes an input after the end: a step that restores the server is checked off.
    pub(crate) async fn late(mut self, input: Input) {
        self.take(input).await;
    }

    async fn take(&mut self, input: Input) {
        let effects = self.step(input);
        self.work(effects).await;
    }

    async fn work(&mut self, effects: Vec<Effect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Say(Said::Began) => queue.extend(self.measure().await),
                Effect::Say(said) => {
                    let view = self.context.flow.view();
                    let page = wording::said(&said, &self.session, self.number, &view);
                    self.tell(page, &self.part(&said));
                }
                Effect::Remind(reminder) => {
                    let view = self.context.flow.view();
                    self.tell(wording::reminder(reminder, &self.session, &view), "soon");
                }
                Effect::Tick(_) => self.ticked = true,
                Effect::Poll => queue.extend(self.poll().await),
                Effect::Sample => queue.extend(self.sample().await),
                Effect::Finish(_) => {
                    self.bundle().await;
                    queue.extend(self.step(Input::Bundled));
                }
            }
        }
        self.show().await;
    }

    /// Posts the bundle; tries again until the homeserver takes it, or never will.
    async fn bundle(&mut self) {
        self.show().await;
        self.watch = None;
        while let Err(error) = self.finish().await {
            tracing::error!("capture {} has no bundle yet: {error:#}", self.number);
            if delivery::is_unsendable(&error) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Each message has its own name, so that a process after a crash does not repeat it.
    fn part(&self, said: &Said) -> String {
        match said {
            Said::Began => "began".into(),
            Said::Marked(which) => format!("mark-{which}"),
            Said::MarksFull => "marks-full".into(),
            Said::Ended(_) => "ended".into(),
            Said::WentOn(_) | Said::IsOver => {
                format!("at-{}", Timestamp::now().as_millisecond())
            }
        }
    }

    /// Measures what is recorded once, at the start.
    async fn measure(&mut self) -> Vec<Effect> {
        let flow = self.context.flow.clone();
        let places = tokio::task::spawn_blocking(move || flow.log_places()).await;
        let mut effects = Vec::new();
        for (source, position) in places.unwrap_or_default() {
            effects.extend(self.step(Input::Place { source, position }));
        }
        match self.context.flow.database_skew(Timestamp::now()).await {
            Some(Ok(millis)) => {
                let source = "the database's clock".to_owned();
                effects.extend(self.step(Input::Clocks { source, millis }));
            }
            Some(Err(why)) => tracing::warn!("the clocks could not be compared: {why}"),
            None => {}
        }
        self.ticked = true;
        effects
    }

    /// Polls the inbox once. A watch that cannot be opened is tried again later.
    async fn poll(&mut self) -> Vec<Effect> {
        let now = Timestamp::now();
        if self.watch.is_none() {
            let rested = |at: Timestamp| now.duration_since(at).as_secs() >= REOPEN;
            let Some(device) = self.session.asked.device.clone() else { return Vec::new() };
            if !self.watch_failed.is_none_or(rested) {
                return Vec::new();
            }
            let subject = Subject { user: self.session.asked.user.clone(), device };
            let opened = self.context.flow.watch_inbox(subject, self.inbox.clone(), now).await;
            match opened {
                Some(Ok(watch)) => self.watch = Some(watch),
                Some(Err(why)) => {
                    tracing::warn!("the inbox of capture {} cannot be watched: {why}", self.number);
                    self.watch_failed = Some(now);
                }
                None => self.watch_failed = Some(Timestamp::MAX),
            }
        }
        let Some(watch) = &mut self.watch else { return Vec::new() };
        let first = self.inbox.is_none();
        match watch.look(now).await {
            Ok(came) => {
                self.inbox = Some(watch.seen().clone());
                if came || first {
                    self.keep(INBOX, &self.inbox);
                }
                self.step(Input::Polled)
            }
            Err(why) => {
                tracing::warn!("the inbox of capture {} could not be read: {why}", self.number);
                (self.watch, self.watch_failed) = (None, Some(now));
                Vec::new()
            }
        }
    }

    async fn sample(&mut self) -> Vec<Effect> {
        let now = Timestamp::now();
        let sampled = self.context.flow.latency(&self.session.asked.user, now).await;
        let Some(metrics) = sampled.filter(|_| self.samples.len() < SAMPLES) else {
            return Vec::new();
        };
        self.samples.push((now, metrics));
        self.keep(LATENCY, &self.samples);
        self.step(Input::Sampled)
    }

    /// Posts the current checklist: the message with its buttons first, then edits of it.
    async fn show(&mut self) {
        if !std::mem::take(&mut self.ticked) {
            return;
        }
        if let Err(error) = self.try_show().await {
            tracing::error!(
                "the checklist of capture {} could not be posted: {error:#}",
                self.number
            );
            self.ticked = !self.session.is_over();
        }
    }

    async fn try_show(&mut self) -> Result<()> {
        let page = wording::checklist(&self.session, self.number, &self.context.flow.view());
        let message = OutgoingMessage::quiet(&page.reply());
        if let Some(checklist) = &self.checklist {
            let part = format!("edit-{}", Timestamp::now().as_millisecond());
            let txn = self.txn(&part);
            room_message::post(&self.room, Destination::Instead(checklist), &message, &[], txn)
                .await?;
            return Ok(());
        }
        let txn = self.txn("checklist");
        let checklist =
            room_message::post(&self.room, Destination::Thread(&self.root), &message, &[], txn)
                .await?;
        let ledger = self.context.store.ledger();
        ledger.list_capture(self.number, &checklist).context("the checklist is not noted")?;
        self.checklist = Some(checklist.clone());
        for button in Step::ALL.into_iter().filter_map(Step::button) {
            let part = format!("button-{}", button.chars().next().unwrap_or('x'));
            let txn = self.txn(&part);
            if let Err(error) = room_message::react(&self.room, &checklist, button, txn).await {
                tracing::warn!("a button of capture {} is missing: {error:#}", self.number);
            }
        }
        Ok(())
    }
}
