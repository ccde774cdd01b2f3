//! Matrix and nothing else: events of the ops rooms → commands for the flow, and its answers → threads.
//!
//! One loop syncs and listens; every answer runs beside it. What the loop has to see again after a crash
//! it finds by looking back in the room, and the store's list of handled events keeps that from answering
//! twice. No message body, token or key reaches the log.

// The bot lives in time: it asks the clock, and hands it on as a value.
#![allow(clippy::disallowed_methods)]

mod answer;
mod client;
mod door;
mod gate;
mod identity;
mod line;
mod listen;
mod send;
mod session;
mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::command;
use crate::config::{Config, Matrix};
use crate::flow::Flow;
use crate::render;
use crate::store::Store;
use answer::{Asked, Desk};
use line::ChatLine;
use listen::Ear;
pub use session::{LoggedIn, Secret};

/// What `run` logs unless told otherwise. The Matrix client takes every refused request, and every
/// message whose key is late, for a fault of its own.
pub const LOGGED: &str = "warn,kestrel=info,matrix_sdk::http_client=off,matrix_sdk_crypto=error";
/// What every other command logs.
pub const SAID: &str = "error,matrix_sdk::http_client=off";

/// How long the answers that run get to end after the process was asked to.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Makes the bot's session, its device's signature and its recovery key. `remarks` of the outcome are
/// for the person who logs in.
pub async fn login(config: &Config, store: Store, secret: Secret) -> Result<LoggedIn> {
    session::make(matrix_of(config)?, &store, secret).await
}

/// Answers commands until SIGINT or SIGTERM, or until the homeserver ends the session (an error).
/// Without a homeserver it waits for one.
pub async fn run(config: Arc<Config>, flow: Flow, store: Store) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (done, mut idle) = tokio::sync::mpsc::channel::<()>(1);
    let listening = async {
        let matrix = matrix_of(&config)?;
        let client = session::restore(matrix, &store).await?;
        let desk = Desk::new(flow, store.clone(), config.limits.deadline);
        Ear::new(config.clone(), client, store.clone(), desk, done).listen().await
    };
    // Dropping the loop in mid-sync loses nothing: the next start looks back.
    tokio::select! {
        ended = listening => return ended,
        _ = interrupt.recv() => tracing::info!("interrupted"),
        _ = terminate.recv() => tracing::info!("asked to stop"),
    }
    // Every running answer holds a clone of `done`; this ends when the last one is dropped.
    if tokio::time::timeout(LAST_WORDS, idle.recv()).await.is_err() {
        tracing::warn!("stopping with answers under way; the next start takes them up");
    }
    Ok(())
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
