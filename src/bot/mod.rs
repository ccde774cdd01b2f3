//! Matrix and nothing else: events of the ops rooms → commands for the flow, and its answers → threads.
//!
//! One task syncs and listens: what it accepts is in the ledger before work begins. Another task works on
//! that, and a third sends what is owed. Each of them, and the storm watch beside them, is supervised: it
//! starts again when it ends, or the process ends. No message body, token or key reaches the log.

// The bot lives in time: it asks the clock, and hands it on as a value.
#![allow(clippy::disallowed_methods)]

mod absence;
mod accept;
mod admit;
mod alert_rooms;
mod answer;
mod capture;
mod cases;
mod client;
mod clock;
mod command_age;
mod direct;
mod door;
mod enclosed;
mod gate;
mod history;
mod identity;
mod letter;
mod line;
mod listen;
mod look_back;
mod ops_rooms;
mod origin;
mod outbox;
mod post;
mod queue;
mod react;
mod reception;
mod report;
mod room_words;
mod sealed;
mod send;
mod session;
mod storms;
mod supervise;
mod task;
mod transmit;
mod unreadable;
mod upgrade;
mod watch;
mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use matrix_sdk::Client;
use tokio::signal::unix::{SignalKind, signal};

use crate::command;
use crate::config::{self, Config, Matrix};
use crate::flow::Flow;
use crate::render;
use crate::store::Store;
use crate::storm::Thresholds;
use answer::{Asked, Desk};
use line::ChatLine;
use listen::Ear;
use post::Postman;
use queue::{Intake, Queue};
pub use session::{LoggedIn, Secret};
use supervise::{CannotKeep, Ended, Health, Task};
use watch::{Lookout, Shared};

/// What `run` logs unless told otherwise. The Matrix client takes every refused request, and every
/// message whose key is late, for a fault of its own.
pub const LOGGED: &str = "warn,kestrel=info,matrix_sdk::http_client=off,matrix_sdk_crypto=error";
/// What every other command logs.
pub const SAID: &str = "error,matrix_sdk::http_client=off";

/// How long the answers that run get to end after the process was asked to.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How often it looks whether they ended.
const DRAINED: Duration = Duration::from_millis(100);

/// Makes the bot's session, its device's signature and its recovery key. `remarks` of the outcome are
/// for the person who logs in.
pub async fn login(config: &Config, store: Store, secret: Secret) -> Result<LoggedIn> {
    session::make(matrix_of(config)?, &store, secret).await
}

/// Answers commands until SIGINT or SIGTERM, or until the homeserver ends the session (an error).
/// Without a homeserver it waits for one.
pub async fn run(config: Arc<Config>, flow: Flow, store: Store) -> Result<()> {
    sealed::guard_panics();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (let_in, client) = tokio::sync::watch::channel(None);
    let health = Health::default();
    let desk = Desk::new(flow.clone(), store.clone(), &config, health.clone());
    let intake = Intake::new(store.clone());
    let bot = Bot { config, flow, store, desk, intake, client };
    let kept = supervise::keep(bot.tasks()?, health);
    let entering = bot.enter(&let_in);
    tokio::pin!(kept);
    tokio::select! {
        entered = entering => entered?,
        error = &mut kept => return Err(error),
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    }
    tokio::select! {
        error = &mut kept => {
            if error.is::<CannotKeep>() {
                bot.say_last(&error).await;
            }
            return Err(error);
        }
        _ = interrupt.recv() => tracing::info!("interrupted"),
        _ = terminate.recv() => tracing::info!("asked to stop"),
    }
    tokio::select! {
        error = &mut kept => return Err(error),
        () = bot.drain() => {}
    }
    Ok(())
}

/// Everything that the bot's tasks are started with.
#[derive(Clone)]
struct Bot {
    config: Arc<Config>,
    flow: Flow,
    store: Store,
    desk: Arc<Desk>,
    intake: Arc<Intake>,
    /// There once the homeserver let the bot in.
    client: tokio::sync::watch::Receiver<Option<Client>>,
}

impl Bot {
    /// Restores the session, lets the tasks have it, and goes on with captures that were left open.
    async fn enter(&self, let_in: &tokio::sync::watch::Sender<Option<Client>>) -> Result<()> {
        let client = session::restore(matrix_of(&self.config)?, &self.store).await?;
        let_in.send_replace(Some(client.clone()));
        self.desk.captures.take_up(&client);
        Ok(())
    }

    /// The long-lived tasks. Those of the storm watch run before the homeserver answers.
    fn tasks(&self) -> Result<Vec<Task>> {
        let bot = self.clone();
        let mut tasks = vec![Task::new("deletion of old cases", move || {
            cases::forget_in_time(bot.store.clone(), bot.config.cases.clone())
        })];
        let bot = self.clone();
        tasks.push(Task::new("sync", move || {
            let bot = bot.clone();
            async move {
                let client = bot.entered().await;
                Ear::new(bot.config, client, bot.desk, bot.intake).listen().await
            }
        }));
        let bot = self.clone();
        tasks.push(Task::new("answers", move || {
            let bot = bot.clone();
            async move {
                let client = bot.entered().await;
                let (config, desk, intake) = (bot.config, bot.desk, bot.intake);
                Queue { config, client, desk, intake }.work().await
            }
        }));
        let bot = self.clone();
        tasks.push(Task::new("sending", move || {
            let bot = bot.clone();
            async move {
                let client = bot.entered().await;
                bot.desk.outbox(&client).work().await
            }
        }));
        tasks.extend(self.watch_tasks()?);
        Ok(tasks)
    }

    /// The storm watch: one task reads the logs, one posts.
    fn watch_tasks(&self) -> Result<Vec<Task>> {
        if !watches(&self.config) {
            tracing::info!("the storm watch is off");
            return Ok(Vec::new());
        }
        let ledger = self.store.ledger();
        let shared = Shared::restore(&ledger, thresholds(&self.config.watch))?;
        let (bot, state) = (self.clone(), shared.clone());
        let watch = Task::new("storm watch", move || {
            let (bot, state) = (bot.clone(), state.clone());
            async move {
                // What the task before had counted and not written down is counted again.
                let (ledger, view) = (bot.store.ledger(), bot.flow.view());
                let thresholds = thresholds(&bot.config.watch);
                if let Err(error) = state.restore_again(&ledger, thresholds) {
                    return Ended::Broke(error);
                }
                let lookout = Lookout::new(&bot.config, view, ledger, state);
                Ended::Broke(lookout.keep(&bot.config, &bot.flow).await)
            }
        });
        let bot = self.clone();
        let alerts = Task::new("storm alerts", move || {
            let (bot, state) = (bot.clone(), shared.clone());
            async move { Postman::new(bot.config, bot.flow, bot.store, state, bot.client).work().await }
        });
        Ok(vec![watch, alerts])
    }

    /// The client, once the homeserver let the bot in.
    async fn entered(&self) -> Client {
        let mut client = self.client.clone();
        match client.wait_for(Option::is_some).await.map(|client| client.clone()) {
            Ok(Some(client)) => client,
            // The process ends.
            _ => std::future::pending().await,
        }
    }

    /// Lets the answers that run end, and leaves the rest to the next process.
    async fn drain(&self) {
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
                "stopping with {running} answers under way; the next start answers them"
            );
        }
    }

    /// Tells the ops rooms that the process ends, and why. Best effort: what broke may be the sending.
    async fn say_last(&self, why: &anyhow::Error) {
        let (Some(client), Ok(matrix)) = (self.client.borrow().clone(), matrix_of(&self.config))
        else {
            return;
        };
        tracing::error!("stopping: {why:#}");
        for id in &ops_rooms::ops_rooms(&self.config, &self.store.ledger()).in_use() {
            let Some(room) = client.get_room(id) else { continue };
            let content = send::notice(&words::stopping(), matrix.admins.clone());
            let txn = format!("kestrel-last-{}", jiff::Timestamp::now().as_millisecond());
            let said = transmit::once(&room, content, txn.into());
            if !matches!(tokio::time::timeout(LAST_WORDS, said).await, Ok(Ok(_))) {
                tracing::error!("{id} could not be told that Kestrel stops");
            }
        }
    }
}

/// Whether there is anything to watch.
fn watches(config: &Config) -> bool {
    config.watch.enabled && !config.logs.is_empty()
}

/// What the configuration says of storms.
pub fn thresholds(watch: &config::Watch) -> Thresholds {
    let length = |length: Duration| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    Thresholds {
        refusals: watch.refusals,
        within: length(watch.within),
        surplus: watch.surplus,
        sustained: length(watch.sustained),
        limited: watch.limited,
        slow: watch.slow,
        gone: watch.gone,
        fleet: watch.fleet,
        together: length(watch.together),
        quiet: length(watch.quiet),
        ..Thresholds::default()
    }
}

fn matrix_of(config: &Config) -> Result<&Matrix> {
    (config.matrix.as_ref()).context("the configuration has no [matrix] block, which the bot needs")
}

/// What a line asks for; `None` when it is not for this bot. Words are read against the moment the line
/// was sent: "last 30m" means the same however long the bot was away.
fn read(line: &ChatLine, config: &Config) -> Option<Asked> {
    let typed = command::Line { body: &line.body, formatted: line.formatted.as_deref() };
    let context = command::Context {
        server_name: config.server.name.as_deref(),
        zone: &config.limits.timezone,
        now: line.sent,
    };
    match command::parse(&typed, &context) {
        Ok(command) => command.map(Asked::Command),
        Err(slip) => Some(Asked::Slip(render::slip(&slip).reply())),
    }
}

/// The smallest config of a bot.
#[cfg(test)]
const BOT: &str = r#"
    [matrix]
    homeserver = "https://matrix.example.org"
    user = "@kestrel:example.org"
    rooms = ["!opsroom:example.org"]
    admins = ["@you:example.org"]
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::LogSource;

    /// A client that is let in, of a homeserver that never answers.
    async fn client(matrix: &Matrix) -> Client {
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
        let (flow, health) = (Flow::new(config.clone()), Health::default());
        let let_in = client(config.matrix.as_ref().unwrap()).await;
        let (_let_in, client) = tokio::sync::watch::channel(Some(let_in));
        let desk = Desk::new(flow.clone(), store.clone(), &config, health.clone());
        let intake = Intake::new(store.clone());
        let bot = Bot { config, flow, store, desk, intake, client };
        let tasks = bot.tasks().unwrap();
        let names: Vec<_> = tasks.iter().map(Task::name).collect();
        assert_eq!(
            names,
            ["deletion of old cases", "sync", "answers", "sending", "storm watch", "storm alerts"]
        );
        let keeping = tokio::spawn(supervise::keep(tasks, health.clone()));
        let running = async |name: &str| {
            while !health.runs(name) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        for name in &names {
            running(name).await;
            assert!(health.kill(name), "{name}");
            let ended = |health: &Health| health.restarted().iter().any(|(one, _)| one == name);
            while !ended(&health) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            running(name).await;
        }
        assert_eq!(health.restarted().len(), names.len());
        assert!(!keeping.is_finished(), "the process would have ended");
    }
}
