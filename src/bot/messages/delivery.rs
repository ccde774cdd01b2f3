//! A message's content → an event in a room. Each room gets one message at a time, and the transaction ID makes a
//! message that is sent again the same event. It does not word messages.
//!
//! The Matrix client shares a room's key and encrypts in two steps. If two messages race, the second may encrypt with
//! a key that the first has used up, and matrix-sdk-crypto 0.18 panics ("Session expired"). Sending one message at a
//! time prevents that; if it still panics, the panic is an error like any other, and the next try creates a new key.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use matrix_sdk::ruma::OwnedTransactionId;
use matrix_sdk::ruma::events::MessageLikeEventContent;
use matrix_sdk::{HttpError, Room};
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tokio::sync::Mutex as Turn;

/// How often one message is sent before Kestrel gives up, and the first pause: together about 1 minute, which is
/// enough for a restart of the homeserver.
const MOST_TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// One lock per room. There is one account in a process, so one list is enough.
static TURNS: LazyLock<Mutex<BTreeMap<OwnedRoomId, Arc<Turn<()>>>>> = LazyLock::new(Mutex::default);

fn turn_of(room: &RoomId) -> Arc<Turn<()>> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.entry(room.to_owned()).or_default().clone()
}

/// Sends until the homeserver accepts it, for about a minute. A repeated try is harmless: the transaction ID is the
/// same, and Synapse answers with the first event (for a day, per device).
pub(crate) async fn patiently<C>(
    room: &Room,
    content: C,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId>
where
    C: MessageLikeEventContent + Clone + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..MOST_TRIES {
        match once(room, content.clone(), txn.clone()).await {
            Err(error) if is_unreachable(&error) => {
                tracing::warn!("sending failed, trying again in {pause:?}: {error:#}");
            }
            ended => return ended,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    once(room, content, txn).await
}

/// Sends once, when it is this message's turn. Sending continues when the caller no longer waits: a message that
/// is cut off in the middle would let the next one race it.
pub(crate) async fn once<C>(
    room: &Room,
    content: C,
    txn: OwnedTransactionId,
) -> Result<OwnedEventId>
where
    C: MessageLikeEventContent + Clone + Send + 'static,
{
    let turn = turn_of(room.room_id()).lock_owned().await;
    let room = room.clone();
    let sending = tokio::spawn(async move {
        let _turn = turn;
        room.send(content).with_transaction_id(txn).await
    });
    match sending.await {
        Ok(Ok(sent)) => Ok(sent.response.event_id),
        Ok(Err(error)) if is_refusal(&error) => {
            Err(error).context("the homeserver rejected the message")
        }
        Ok(Err(error)) => Err(error).context("the message could not be sent"),
        Err(error) if error.is_panic() => Err(anyhow!(Panicked)),
        Err(_) => Err(anyhow!("sending was cancelled")),
    }
}

/// The Matrix client panicked over a message.
#[derive(Debug)]
struct Panicked;

impl std::fmt::Display for Panicked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the Matrix client panicked while sending")
    }
}

impl std::error::Error for Panicked {}

/// Whether trying again cannot help. A rate limit is not a rejection.
fn is_refusal(error: &matrix_sdk::Error) -> bool {
    (error.as_client_api_error()).is_some_and(|error| {
        error.status_code.is_client_error() && error.status_code.as_u16() != 429
    })
}

/// Whether the homeserver did not take a request just now, and may take it later: it is down, it limits the
/// rate, or the Matrix client failed or panicked.
pub(crate) fn is_unreachable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(error) = cause.downcast_ref::<matrix_sdk::Error>() {
            return !is_refusal(error);
        }
        if let Some(error) = cause.downcast_ref::<HttpError>() {
            let refused = error.as_client_api_error().map(|error| error.status_code);
            return refused.is_none_or(|code| !code.is_client_error() || code.as_u16() == 429);
        }
        cause.is::<Panicked>()
    })
}

/// Whether the homeserver will never take this message: it is malformed, or too large. A right that is
/// missing may be given, and a session renewed.
pub(crate) fn is_unsendable(error: &anyhow::Error) -> bool {
    let of = error.chain().find_map(|cause| cause.downcast_ref::<matrix_sdk::Error>());
    of.and_then(matrix_sdk::Error::as_client_api_error)
        .is_some_and(|error| matches!(error.status_code.as_u16(), 400 | 413))
}

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    #[tokio::test]
    async fn a_room_has_one_turn_and_another_room_another() {
        let held = turn_of(room_id!("!one:x")).lock_owned().await;
        assert!(turn_of(room_id!("!one:x")).try_lock_owned().is_err());
        assert!(turn_of(room_id!("!two:x")).try_lock_owned().is_ok());
        drop(held);
        assert!(turn_of(room_id!("!one:x")).try_lock_owned().is_ok());
    }

    #[test]
    fn a_panic_is_tried_again_and_a_fault_of_ours_is_not() {
        assert!(is_unreachable(&anyhow!(Panicked).context("sending")));
        assert!(!is_unreachable(&anyhow!("a fault")));
        assert!(!is_unsendable(&anyhow!(Panicked)));
    }
}
