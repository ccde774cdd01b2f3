//! The bot's three entry points: `login` creates its session, `check` inspects its account, `run` answers until it is
//! stopped. No message body, token or key reaches the log.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::account::checkup::{self, Finding};
use super::account::cross_signing::Wishes;
use super::account::login::{self, LoggedIn, Secret};
use super::lifecycle::Bot;
use super::panic_guard;
use super::settings::matrix_config;
use super::supervisor::UnstableTask;
use crate::config::Config;
use crate::flow::Flow;
use crate::store::Store;

/// The default log filter of `run`. The Matrix client logs every rejected request, and every message whose key is
/// late, as an error.
pub const RUN_LOG_FILTER: &str =
    "warn,kestrel=info,matrix_sdk::http_client=off,matrix_sdk_crypto=error";
/// The default log filter of every other command.
pub const COMMAND_LOG_FILTER: &str = "error,matrix_sdk::http_client=off";

/// Creates the bot's session, its device's signature and its recovery key. `remarks` of the result are for the person
/// who logs in.
pub async fn login(
    config: &Config,
    store: Store,
    secret: Secret,
    wishes: &Wishes,
) -> Result<LoggedIn> {
    login::log_in(matrix_config(config)?, &store, secret, wishes).await
}

/// The state of the bot's account; works while the bot runs.
pub async fn check(config: &Config) -> Result<Vec<Finding>> {
    Ok(checkup::check(config, matrix_config(config)?).await)
}

/// Answers commands until SIGINT or SIGTERM, or until only a person can help (`NeedsPerson`). While the homeserver is
/// offline, it waits.
pub async fn run(config: Arc<Config>, flow: Flow, store: Store) -> Result<()> {
    panic_guard::guard_panics();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (let_in, client) = tokio::sync::watch::channel(None);
    let bot = Bot::new(config, flow, store, client);
    let held = Mutex::new(None);
    let ended = async {
        // The storm watch counts also while the homeserver is offline.
        tokio::select! {
            error = bot.keep_watch() => error,
            error = bot.keep_account(&let_in, &held) => error,
        }
    };
    tokio::pin!(ended);
    let holder = || held.lock().unwrap_or_else(PoisonError::into_inner).take();
    tokio::select! {
        error = &mut ended => {
            if let Some(held) = holder().filter(|_| error.is::<UnstableTask>()) {
                bot.say_last(&held.client, &error).await;
            }
            return Err(error);
        }
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
        _ = terminate.recv() => tracing::info!("terminated: stopping"),
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
