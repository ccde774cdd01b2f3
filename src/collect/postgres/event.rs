//! Reads an event's row, the shape of its content and its redactions.
//!
//! A body is read only if the role has no `kestrel.event_shape` function and can read the table directly; it
//! is discarded here.

use ruma::{EventId, OwnedServerName, ServerName, UserId};
use tokio_postgres::{Client, Error, Row};

use super::connect;
use super::sql::millis;
use kestrel_core::evidence::{Algorithm, EventRow, EventShape, Fact, Need, Redaction};

const EVENT: &str = "SELECT type, room_id, sender, state_key IS NOT NULL, origin_server_ts, rejection_reason\n\
     FROM events\n\
     WHERE event_id = $1";
/// The function that `kestrel grants` creates: shapes, no bodies.
const SHAPE: &str = "SELECT alg_kind, algorithm, content_bytes, sender_device, delayed\n\
     FROM kestrel.event_shape($1)";
const MAY_SHAPE: &str = "SELECT to_regprocedure('kestrel.event_shape(text)') IS NOT NULL \
     AND has_schema_privilege('kestrel', 'USAGE')";
/// The setup from the runbook: a role that can read the table.
const BODY: &str = "SELECT json, internal_metadata FROM event_json WHERE event_id = $1";
/// `devices` contains only users of this server (other servers' devices are in `device_lists_remote_cache`),
/// so any row gives the server's name. Only if the role can read it.
const MAY_NAME: &str =
    "SELECT coalesce(has_column_privilege(to_regclass('devices'), 'user_id', 'SELECT'), false)";
const OWN_USER: &str = "SELECT user_id FROM devices ORDER BY user_id LIMIT 1";
const REDACTIONS: &str = "SELECT r.event_id, e.sender, r.have_censored\n\
     FROM redactions r LEFT JOIN events e ON e.event_id = r.event_id\n\
     WHERE r.redacts = $1 AND e.rejection_reason IS NULL\n\
     ORDER BY r.event_id LIMIT 5";

/// The statement of one need.
pub(super) fn statement(need: Need) -> String {
    match need {
        Need::Event => EVENT,
        Need::EventShape => SHAPE,
        Need::Redactions => REDACTIONS,
        _ => "",
    }
    .to_owned()
}

/// Asks for one need of an event.
pub(super) async fn ask(
    client: &Client,
    need: Need,
    event: &EventId,
) -> Result<Option<Fact>, Error> {
    match need {
        Need::Event => row(client, event).await,
        Need::EventShape => shape(client, event).await,
        Need::Redactions => redactions(client, event).await,
        _ => Ok(None),
    }
}

async fn row(client: &Client, event: &EventId) -> Result<Option<Fact>, Error> {
    let Some(row) = client.query_opt(EVENT, &[&event.as_str()]).await? else { return Ok(None) };
    let own = own_server(client).await?;
    let sender = row.try_get::<_, Option<String>>(2)?.unwrap_or_default();
    Ok(Some(Fact::Event(EventRow {
        kind: row.try_get(0)?,
        room: row.try_get(1)?,
        local: is_local(&sender, own.as_deref()),
        sender,
        state: row.try_get(3)?,
        sent: millis(row.try_get(4)?),
        rejected: row.try_get(5)?,
    })))
}

/// The name of this server, by one of its own users.
pub(super) async fn own_server(client: &Client) -> Result<Option<OwnedServerName>, Error> {
    if client.query_one(MAY_NAME, &[]).await?.try_get::<_, Option<bool>>(0)? != Some(true) {
        return Ok(None);
    }
    let Some(row) = client.query_opt(OWN_USER, &[]).await? else { return Ok(None) };
    let user: String = row.try_get(0)?;
    Ok(<&UserId>::try_from(user.as_str()).ok().map(|user| user.server_name().to_owned()))
}

/// Whether a user belongs to this server; an invalid user ID belongs to none.
fn is_local(sender: &str, own: Option<&ServerName>) -> Option<bool> {
    let sender = <&UserId>::try_from(sender).ok()?;
    Some(sender.server_name() == own?)
}

async fn shape(client: &Client, event: &EventId) -> Result<Option<Fact>, Error> {
    if connect::may_call(client, MAY_SHAPE).await? {
        let row = client.query_opt(SHAPE, &[&event.as_str()]).await?;
        let shape = row.as_ref().map(shaped).transpose()?.flatten();
        return Ok(shape.map(Fact::EventShape));
    }
    let Some(row) = client.query_opt(BODY, &[&event.as_str()]).await? else { return Ok(None) };
    Ok(EventShape::from_json(row.try_get(0)?, row.try_get(1)?).map(Fact::EventShape))
}

fn shaped(row: &Row) -> Result<Option<EventShape>, Error> {
    let kind: Option<String> = row.try_get(0)?;
    let name: Option<String> = row.try_get(1)?;
    let Some(kind) = kind else { return Ok(None) };
    let algorithm = match kind.as_str() {
        "absent" => Algorithm::Absent,
        "null" => Algorithm::Null,
        "string" => Algorithm::Named(name.unwrap_or_default()),
        other => Algorithm::Other(other.to_owned()),
    };
    let bytes: Option<i32> = row.try_get(2)?;
    Ok(Some(EventShape {
        algorithm,
        content_bytes: bytes.unwrap_or_default().unsigned_abs().into(),
        device: row.try_get(3)?,
        delayed: row.try_get::<_, Option<bool>>(4)?.unwrap_or_default(),
    }))
}

async fn redactions(client: &Client, event: &EventId) -> Result<Option<Fact>, Error> {
    let rows = client.query(REDACTIONS, &[&event.as_str()]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let own = own_server(client).await?;
    let redaction = |row: &Row| {
        let sender: Option<String> = row.try_get(1)?;
        let local = sender.as_deref().and_then(|sender| is_local(sender, own.as_deref()));
        Ok(Redaction { event: row.try_get(0)?, sender, local, censored: row.try_get(2)? })
    };
    let rows = rows.iter().map(redaction).collect::<Result<_, Error>>()?;
    Ok(Some(Fact::Redactions(rows)))
}
