//! Matrix and nothing else: events of the ops rooms → commands for the flow, and its answers → threads.
//!
//! One loop syncs and listens; every answer runs beside it. What the loop has to see again after a crash
//! it finds by looking back in the room, and the store's list of handled events keeps that from answering
//! twice. No message body, token or key reaches the log.

// The bot lives in time: it asks the clock, and hands it on as a value.
#![allow(clippy::disallowed_methods)]

mod account;
mod answer;
mod capture;
mod cases;
mod check;
mod client;
mod clock;
mod direct;
mod door;
mod enclosed;
mod ended;
mod gate;
mod identity;
mod keys;
mod lease;
mod letter;
mod line;
mod listen;
mod notes;
mod password;
mod post;
mod random;
mod react;
mod reception;
mod report;
mod restore;
mod sealed;
mod send;
mod session;
mod storms;
mod unreadable;
mod watch;
mod words;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::command;
use crate::config::{self, Config, Matrix};
use crate::flow::Flow;
use crate::render;
use crate::store::Store;
use crate::storm::Thresholds;
use answer::{Asked, Desk};
pub use check::{Finding, Is};
pub use ended::NeedsPerson;
pub use identity::Wishes;
use line::ChatLine;
use listen::Ear;
use post::Postman;
pub use session::{LoggedIn, Secret};
use watch::{Lookout, Shared};

/// What `run` logs unless told otherwise. The Matrix client takes every refused request, and every
/// message whose key is late, for a fault of its own.
pub const LOGGED: &str = "warn,kestrel=info,matrix_sdk::http_client=off,matrix_sdk_crypto=error";
/// What every other command logs.
pub const SAID: &str = "error,matrix_sdk::http_client=off";

/// How long the answers that run get to end after the process was asked to.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Makes the bot's session, its device's signature and its recovery key. `remarks` of the outcome are
/// for the person who logs in.
pub async fn login(
    config: &Config,
    store: Store,
    secret: Secret,
    wishes: &Wishes,
) -> Result<LoggedIn> {
    session::log_in(matrix_of(config)?, &store, secret, wishes).await
}

/// How the bot's account stands, beside a running bot.
pub async fn check(config: &Config) -> Result<Vec<Finding>> {
    Ok(check::check(config, matrix_of(config)?).await)
}

/// Answers commands until SIGINT or SIGTERM, or until only a person can help (`NeedsPerson`).
/// Without a homeserver it waits for one.
pub async fn run(config: Arc<Config>, flow: Flow, store: Store) -> Result<()> {
    sealed::guard_panics();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (done, mut idle) = tokio::sync::mpsc::channel::<()>(1);
    let (let_in, client) = tokio::sync::watch::channel(None);
    let forgetting = cases::forget_in_time(store.clone(), config.cases.clone());
    let watching = watch_storms(&config, &flow, &store, client)?;
    let held = std::sync::Mutex::new(None);
    let listening = async {
        let matrix = matrix_of(&config)?;
        let desk = Desk::new(flow, store.clone(), &config);
        loop {
            let account = restore::restore(matrix, &store).await?;
            let (client, lease) = (account.client.clone(), account.lease.clone());
            held.lock().unwrap_or_else(PoisonError::into_inner).replace(lease);
            desk.captures.take_up(&client);
            let ear = Ear::new(config.clone(), client, store.clone(), desk.clone(), done.clone());
            let error = account.during(&config, &let_in, ear.listen()).await;
            if !ended::is_replaceable(&error) {
                return Err(error);
            }
            tracing::warn!("{error:#}");
        }
    };
    // Dropping the loop in mid-sync loses nothing: the next start looks back.
    tokio::select! {
        ended = listening => return ended,
        () = notice_ends(watching) => {}
        () = forgetting => {}
        _ = interrupt.recv() => tracing::info!("interrupted"),
        _ = terminate.recv() => tracing::info!("asked to stop"),
    }
    drop(done);
    // Every running answer holds a clone of `done`; this ends when the last one is dropped.
    if tokio::time::timeout(LAST_WORDS, idle.recv()).await.is_err() {
        tracing::warn!("stopping with answers under way; the next start takes them up");
    }
    let lease = held.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(lease) = lease {
        lease.release().await;
    }
    Ok(())
}

/// Watches the logs beside the loop, from before the homeserver answers; ends when it is dropped.
fn watch_storms(
    config: &Arc<Config>,
    flow: &Flow,
    store: &Store,
    client: tokio::sync::watch::Receiver<Option<matrix_sdk::Client>>,
) -> Result<JoinSet<()>> {
    let mut watching = JoinSet::new();
    if !watches(config) {
        tracing::info!("the storm watch is off");
        return Ok(watching);
    }
    let ledger = store.ledger();
    let shared = Shared::restore(&ledger, thresholds(&config.watch))?;
    let lookout = Lookout::new(config, flow.view(), ledger, shared.clone());
    let (kept, asked) = (Arc::clone(config), flow.clone());
    watching.spawn(async move { lookout.keep(&kept, &asked).await });
    let postman = Postman::new(Arc::clone(config), flow.clone(), store.clone(), shared, client);
    watching.spawn(postman.work());
    Ok(watching)
}

/// Says so when a part of the watch ends, which it never should; the rest of the bot goes on.
async fn notice_ends(mut watching: JoinSet<()>) {
    while let Some(ended) = watching.join_next().await {
        tracing::error!("a part of the storm watch ended: {ended:?}. Storms are no longer told");
    }
    std::future::pending().await
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
