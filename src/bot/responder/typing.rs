//! Work that answers a person → the same, with a typing notice in the room and a deadline.

use std::time::Duration;

use anyhow::{Result, anyhow};
use matrix_sdk::Room;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A typing notice lasts four seconds and the client renews it after three.
const TYPING_EVERY: Duration = Duration::from_secs(3);

/// The work did not end in time.
#[derive(Debug)]
pub(crate) struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the answer took too long")
    }
}

impl std::error::Error for TooLong {}

/// Waits for the work and shows a typing notice in the room.
pub(crate) async fn while_typing<T>(
    room: &Room,
    mut work: JoinHandle<Result<T>>,
    patience: Duration,
) -> Result<T> {
    let _ends = AbortOnDrop(work.abort_handle());
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
        Err(_) => Err(TooLong.into()),
    }
}

/// Work ends with its caller.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn show_typing(room: &Room, typing: bool) {
    if let Err(error) = room.typing_notice(typing).await {
        tracing::debug!("typing could not be shown: {error}");
    }
}

/// A panic's text may quote a user, so only the panic hook logs it.
pub(crate) fn broken_off(error: JoinError) -> anyhow::Error {
    if error.is_panic() {
        return anyhow!("the answer panicked");
    }
    anyhow!("the answer was cancelled")
}
