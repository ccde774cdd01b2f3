//! The bot's long-lived tasks → how each is started, kept running and ended. Those that need a session run while the
//! account certainly belongs to this process; those of the storm watch always run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use matrix_sdk::Client;
use tokio::sync::watch::{Receiver, Sender};

use super::account::lease::Lease;
use super::account::restore;
use super::account::session_end;
use super::messages::delivery;
use super::messages::room_message;
use super::ops_rooms::ops_rooms;
use super::outbox::alert_outbox::AlertOutbox;
use super::responder::cases;
use super::responder::state::Responder;
use super::settings::{matrix_config, watches};
use super::storm_watch::log_watcher::LogWatcher;
use super::storm_watch::shared_state::SharedWatch;
use super::supervisor::{self, SupervisedTask, TaskEnd, TaskHealth};
use super::sync_loop::state::SyncLoop;
use super::task_queue::{intake::Intake, worker::TaskWorker};
use crate::config::Config;
use crate::flow::Flow;
use crate::store::Store;
use kestrel_core::render::replies;

/// How long running answers get to end after the process was asked to stop.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// How often it checks whether they ended.
const DRAINED: Duration = Duration::from_millis(100);

/// What the bot's tasks are started with.
#[derive(Clone)]
pub(super) struct Bot {
    config: Arc<Config>,
    flow: Flow,
    store: Store,
    responder: Arc<Responder>,
    intake: Arc<Intake>,
    health: TaskHealth,
    /// Set while the account certainly belongs to this process.
    client: Receiver<Option<Client>>,
}

/// The account, held by this process.
pub(super) struct HeldAccount {
    pub(super) client: Client,
    pub(super) lease: Lease,
}

/// Puts unfinished tasks back when it is dropped.
struct HandOver<'a>(&'a Intake);

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        self.0.hand_over();
    }
}

impl Bot {
    pub(super) fn new(
        config: Arc<Config>,
        flow: Flow,
        store: Store,
        client: Receiver<Option<Client>>,
    ) -> Self {
        let health = TaskHealth::default();
        let responder = Responder::new(flow.clone(), store.clone(), &config, health.clone());
        let intake = Intake::new(store.clone());
        Self { config, flow, store, responder, intake, health, client }
    }

    /// Keeps the tasks that need no session running; returns only when one cannot be kept.
    pub(super) async fn keep_watch(&self) -> anyhow::Error {
        match self.watch_tasks() {
            Ok(tasks) => supervisor::keep(tasks, self.health.clone()).await,
            Err(error) => error,
        }
    }

    /// Restores the session, and keeps the tasks that need it running while this process holds the account; repeats
    /// with a new device if one replaced a lost one. The error says what ended it.
    pub(super) async fn keep_account(
        &self,
        let_in: &Sender<Option<Client>>,
        held: &Mutex<Option<HeldAccount>>,
    ) -> anyhow::Error {
        let matrix = match matrix_config(&self.config) {
            Ok(matrix) => matrix,
            Err(error) => return error,
        };
        loop {
            let account = match restore::restore(matrix, &self.store).await {
                Ok(account) => account,
                Err(error) => return error,
            };
            let client = account.client.clone();
            let lease = account.lease.clone();
            let holds = HeldAccount { client: client.clone(), lease };
            held.lock().unwrap_or_else(PoisonError::into_inner).replace(holds);
            self.responder.captures.take_up(&client);
            let error = account.during(&self.config, let_in, || self.work(client.clone())).await;
            if !session_end::is_replaceable(&error) {
                return error;
            }
            tracing::warn!("{error:#}");
        }
    }

    /// Keeps the tasks that need the session running. When it is dropped, unfinished work is put back.
    async fn work(&self, client: Client) -> anyhow::Error {
        let kept = supervisor::keep(self.session_tasks(&client), self.health.clone());
        let _handed_over = HandOver(&self.intake);
        kept.await
    }

    /// The tasks that need the session: one syncs, one answers, one sends.
    fn session_tasks(&self, client: &Client) -> Vec<SupervisedTask> {
        let bot = self.clone();
        let session = client.clone();
        let sync = SupervisedTask::new("sync", move || {
            let bot = bot.clone();
            SyncLoop::new(bot.config, session.clone(), bot.responder, bot.intake).run()
        });
        let bot = self.clone();
        let session = client.clone();
        let answers = SupervisedTask::new("answers", move || {
            let Bot { config, responder, intake, .. } = bot.clone();
            TaskWorker { config, client: session.clone(), responder, intake }.work()
        });
        let bot = self.clone();
        let session = client.clone();
        let sending = SupervisedTask::new("sending", move || bot.responder.outbox(&session).work());
        vec![sync, answers, sending]
    }

    /// The tasks that need no session: old cases are deleted, and the storm watch has one task that reads the
    /// logs and one that posts.
    fn watch_tasks(&self) -> Result<Vec<SupervisedTask>> {
        let bot = self.clone();
        let deletion = SupervisedTask::new("deletion of old cases", move || {
            cases::forget_in_time(bot.store.clone(), bot.config.cases.clone())
        });
        if !watches(&self.config) {
            tracing::info!("the storm watch is off");
            return Ok(vec![deletion]);
        }
        let ledger = self.store.ledger();
        let shared = SharedWatch::restore(&ledger, self.config.watch.thresholds.clone())?;
        let bot = self.clone();
        let state = shared.clone();
        let restarted = AtomicBool::new(false);
        let watch = SupervisedTask::new("storm watch", move || {
            let bot = bot.clone();
            let state = state.clone();
            let is_restart = restarted.swap(true, Ordering::Relaxed);
            async move {
                let ledger = bot.store.ledger();
                // What the previous task counted and did not save is counted again. Before the first one
                // nothing was counted: the state is still the one that was just restored.
                let thresholds = bot.config.watch.thresholds.clone();
                if is_restart && let Err(error) = state.restore_again(&ledger, thresholds) {
                    return TaskEnd::Broke(error);
                }
                let view = bot.flow.view();
                let watch = LogWatcher::new(&bot.config, view, ledger, state);
                TaskEnd::Broke(watch.keep(&bot.config, &bot.flow).await)
            }
        });
        let bot = self.clone();
        let alerts = SupervisedTask::new("storm alerts", move || {
            let bot = bot.clone();
            let state = shared.clone();
            async move {
                AlertOutbox::new(bot.config, bot.flow, bot.store, state, bot.client).work().await
            }
        });
        Ok(vec![deletion, watch, alerts])
    }

    /// Lets running answers end, and leaves the rest to the next process.
    pub(super) async fn drain(&self) {
        self.intake.close();
        let emptied = async {
            let owes = || self.store.ledger().outgoing().is_ok_and(|owed| !owed.is_empty());
            while !self.intake.is_idle() || owes() {
                tokio::time::sleep(DRAINED).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, emptied).await.is_err() {
            let running = self.intake.hand_over();
            tracing::warn!(
                "stopping with {running} unfinished answers; the next start completes them"
            );
        }
    }

    /// Posts in the ops rooms that the process ends. Best effort: sending may be what fails.
    pub(super) async fn say_last(&self, client: &Client, why: &anyhow::Error) {
        let Ok(matrix) = matrix_config(&self.config) else { return };
        tracing::error!("stopping: {why:#}");
        for id in &ops_rooms(&self.config, &self.store.ledger()).in_use() {
            let Some(room) = client.get_room(id) else { continue };
            let content = room_message::notice(&replies::stopping(), matrix.admins.clone());
            let txn = format!("kestrel-last-{}", jiff::Timestamp::now().as_millisecond());
            let said = delivery::once(&room, content, txn.into());
            if !matches!(tokio::time::timeout(LAST_WORDS, said).await, Ok(Ok(_))) {
                tracing::error!("the notice that Kestrel stops could not be posted in {id}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bot::account::client;
    use crate::bot::settings::BOT;
    use crate::config::{LogSource, Matrix};

    /// A client that is let in, of a homeserver that never answers.
    async fn let_in(matrix: &Matrix) -> Client {
        client::with_token(matrix, "DEVICE".into(), "token").await.unwrap()
    }

    #[tokio::test]
    async fn each_task_comes_back_when_it_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let text = BOT.replace("https://matrix.example.org", "http://127.0.0.1:9");
        let mut config = Config::parse(&text, Path::new(".")).unwrap();
        let log = folder.path().join("homeserver.log");
        std::fs::write(&log, "").unwrap();
        config.logs.push(LogSource { name: "main".into(), path: log, timezone: None });
        let config = Arc::new(config);
        let store = Store::open(&folder.path().join("store"), jiff::Timestamp::now()).unwrap();
        let flow = Flow::new(config.clone());
        let let_in = let_in(config.matrix.as_ref().unwrap()).await;
        let (_let_in, client) = tokio::sync::watch::channel(Some(let_in.clone()));
        let bot = Bot::new(config, flow, store, client);
        let health = bot.health.clone();
        let mut tasks = bot.watch_tasks().unwrap();
        tasks.extend(bot.session_tasks(&let_in));
        let names: Vec<_> = tasks.iter().map(SupervisedTask::name).collect();
        assert_eq!(
            names,
            ["deletion of old cases", "storm watch", "storm alerts", "sync", "answers", "sending"]
        );
        let keeping = tokio::spawn(supervisor::keep(tasks, health.clone()));
        let running = async |name: &str| {
            while !health.runs(name) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        for name in &names {
            running(name).await;
            assert!(health.kill(name), "{name}");
            let ended = |health: &TaskHealth| health.restarted().iter().any(|(one, _)| one == name);
            while !ended(&health) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running(name).await;
        }
        assert_eq!(health.restarted().len(), names.len());
        assert!(!keeping.is_finished(), "the process would have ended");
    }
}
