//! Matrix and nothing else: events of the ops rooms → commands for the flow, and its answers → threads.
//!
//! One task syncs and listens: what it accepts is in the ledger before work begins. Another task works on
//! that, and a third sends what is owed. Each of them, and the storm watch beside them, is supervised: it
//! starts again when it ends, or the process ends. No message body, token or key reaches the log.

// The bot lives in time: it asks the clock, and hands it on as a value.
#![allow(clippy::disallowed_methods)]

mod absence;
mod accept;
mod account;
mod admit;
mod alert_rooms;
mod answer;
mod capture;
mod cases;
mod check;
mod client;
mod clock;
mod command_age;
mod direct;
mod door;
mod enclosed;
mod ended;
mod gate;
mod history;
mod identity;
mod keys;
mod lease;
mod letter;
mod line;
mod listen;
mod look_back;
mod notes;
mod ops_rooms;
mod origin;
mod outbox;
mod password;
mod post;
mod queue;
mod random;
mod react;
mod reception;
mod report;
mod restore;
mod room_words;
mod sealed;
mod send;
mod session;
mod storm_letter;
mod storm_thread;
mod storms;
mod supervise;
mod task;
mod tasks;
mod transmit;
mod unreadable;
mod upgrade;
mod watch;
mod watch_trouble;
mod words;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, Matrix};
use crate::flow::Flow;
use crate::store::Store;
use answer::Asked;
pub use check::{Finding, Is};
pub use ended::NeedsPerson;
pub use identity::Wishes;
use kestrel_core::command;
use kestrel_core::render;
use kestrel_core::storm::Thresholds;
use line::ChatLine;
pub use session::{LoggedIn, Secret};
use supervise::CannotKeep;
use tasks::Bot;

/// What `run` logs unless told otherwise. The Matrix client takes every refused request, and every
/// message whose key is late, for a fault of its own.
pub const LOGGED: &str = "warn,kestrel=info,matrix_sdk::http_client=off,matrix_sdk_crypto=error";
/// What every other command logs.
pub const SAID: &str = "error,matrix_sdk::http_client=off";

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
    let (let_in, client) = tokio::sync::watch::channel(None);
    let bot = Bot::new(config, flow, store, client);
    let held = Mutex::new(None);
    let ended = async {
        // The storm watch counts whether or not the homeserver lets the bot in.
        tokio::select! {
            error = bot.keep_watch() => error,
            error = bot.keep_account(&let_in, &held) => error,
        }
    };
    tokio::pin!(ended);
    let holder = || held.lock().unwrap_or_else(PoisonError::into_inner).take();
    tokio::select! {
        error = &mut ended => {
            if let Some(held) = holder().filter(|_| error.is::<CannotKeep>()) {
                bot.say_last(&held.client, &error).await;
            }
            return Err(error);
        }
        _ = interrupt.recv() => tracing::info!("interrupted"),
        _ = terminate.recv() => tracing::info!("asked to stop"),
    }
    tokio::select! {
        error = &mut ended => return Err(error),
        () = bot.drain() => {}
    }
    if let Some(held) = holder() {
        held.lease.release().await;
    }
    Ok(())
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
        Err(error) => Some(Asked::Slip(render::usage_error(&error).reply())),
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
