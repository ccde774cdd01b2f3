//! A configuration and a token → a Matrix client, and how long it retries.
//!
//! No client built here has sent anything that changes its device. No token is logged.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use matrix_sdk::authentication::matrix::MatrixSession;
use matrix_sdk::config::RequestConfig;
use matrix_sdk::ruma::api::client::membership::leave_room;
use matrix_sdk::ruma::api::error::ErrorKind;
use matrix_sdk::{
    Client, HttpError, Room, RoomState, SessionMeta, SessionTokens, SqliteStoreConfig,
};
use ruma::{DeviceId, RoomId, UserId};

use super::session_end::SessionEnd;
use crate::config::Matrix;

/// A client that stores its device's keys under `path`. `key` opens them: it is random, so the client
/// need not stretch it as it would a passphrase.
pub(crate) async fn with_store(
    matrix: &Matrix,
    path: &Path,
    key: &[u8; 32],
    device: &DeviceId,
    access_token: &str,
) -> Result<Client> {
    let config = SqliteStoreConfig::new(path).key(Some(key));
    let client = Client::builder()
        .homeserver_url(&matrix.homeserver)
        .request_config(request_config())
        .sqlite_store_with_config_and_cache_path(config, None::<&Path>)
        .build()
        .await
        .with_context(|| {
            format!(
                "cannot open the crypto store {}; if it is broken, remove it and start again: a new device \
                 is created",
                path.display()
            )
        })?;
    restore_into(&client, device, &matrix.user, access_token).await?;
    client.encryption().wait_for_e2ee_initialization_tasks().await;
    Ok(client)
}

/// A client without a session.
pub(crate) async fn bare(matrix: &Matrix) -> Result<Client> {
    let builder =
        Client::builder().homeserver_url(&matrix.homeserver).request_config(request_config());
    Ok(builder.build().await?)
}

/// A client that uses a token and stores nothing.
pub(crate) async fn with_token(
    matrix: &Matrix,
    device: &DeviceId,
    access_token: &str,
) -> Result<Client> {
    let client = bare(matrix).await?;
    restore_into(&client, device, &matrix.user, access_token).await?;
    Ok(client)
}

async fn restore_into(
    client: &Client,
    device: &DeviceId,
    user: &UserId,
    access_token: &str,
) -> Result<()> {
    let session = MatrixSession {
        meta: SessionMeta { user_id: user.to_owned(), device_id: device.to_owned() },
        tokens: SessionTokens { access_token: access_token.to_owned(), refresh_token: None },
    };
    let restored = client.restore_session(session).await;
    restored.context("cannot restore the session")
}

/// A few tries for each request: without a limit the client gives up at once on a refused connection,
/// and tries for a quarter of an hour on a gateway's error.
fn request_config() -> RequestConfig {
    RequestConfig::new().timeout(Duration::from_secs(30)).retry_limit(3)
}

/// Retries until the homeserver answers. Only permanent errors are returned.
pub(crate) async fn patiently<T, F>(doing: &str, request: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T, HttpError>>,
{
    let mut pause = Duration::from_secs(1);
    loop {
        let error = match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if is_over(error.client_api_error_kind()) {
            return Err(session_is_over(anyhow!(error)));
        }
        let refused =
            (error.as_client_api_error()).is_some_and(|error| error.status_code.is_client_error());
        let limited = matches!(error.client_api_error_kind(), Some(ErrorKind::LimitExceeded(_)));
        if refused && !limited {
            return Err(anyhow!(error).context(format!("{doing} failed")));
        }
        tracing::warn!("{doing} failed, trying again in {pause:?}: {error}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// The joined room of this ID.
pub(crate) fn joined(client: &Client, room: &RoomId) -> Option<Room> {
    client.get_room(room).filter(|room| room.state() == RoomState::Joined)
}

/// Leaves one room. The Matrix client's own `leave` also leaves every room that this one claims to have replaced, and
/// the creator of a room chooses that claim: it could remove the bot from an ops room.
pub(crate) async fn leave(room: &Room) -> Result<()> {
    let request = leave_room::v3::Request::new(room.room_id().to_owned());
    room.client().send(request).await?;
    Ok(())
}

/// Whether the session has ended: the token or the account is unknown.
pub(crate) fn is_over(kind: Option<&ErrorKind>) -> bool {
    SessionEnd::from_error_kind(kind).is_some()
}

/// Adds why the session ended.
pub(crate) fn session_is_over(error: anyhow::Error) -> anyhow::Error {
    let over = SessionEnd::in_chain(&error).unwrap_or(SessionEnd::Token);
    error.context(over)
}
