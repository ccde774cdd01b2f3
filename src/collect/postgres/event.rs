//! The tables of events → facts: an event's row, the shape of its content, its redactions.
//!
//! A body is read where the role has no `kestrel.event_shape` function and may read the table itself; it
//! is let go of here.

use ruma::EventId;
use tokio_postgres::{Client, Error, Row};

use super::millis;
use crate::evidence::{Algorithm, EventRow, EventShape, Fact, Need, Redaction};

const EVENT: &str = "SELECT type, room_id, sender, state_key IS NOT NULL, origin_server_ts, rejection_reason\n\
     FROM events\n\
     WHERE event_id = $1";
/// The function that `kestrel grants` makes: shapes and no bodies.
const SHAPE: &str = "SELECT alg_kind, algorithm, content_bytes, sender_device, delayed\n\
     FROM kestrel.event_shape($1)";
const MAY_SHAPE: &str = "SELECT to_regprocedure('kestrel.event_shape(text)') IS NOT NULL \
     AND has_schema_privilege('kestrel', 'USAGE')";
/// The runbook's own set-up: a role that may read the table.
const BODY: &str = "SELECT json, internal_metadata FROM event_json WHERE event_id = $1";
const REDACTIONS: &str = "SELECT r.event_id, e.sender, r.have_censored\n\
     FROM redactions r LEFT JOIN events e ON e.event_id = r.event_id\n\
     WHERE r.redacts = $1\n\
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
    let row = client.query_opt(EVENT, &[&event.as_str()]).await?;
    Ok(row.map(|row| {
        Fact::Event(EventRow {
            kind: row.get(0),
            room: row.get(1),
            sender: row.get::<_, Option<String>>(2).unwrap_or_default(),
            state: row.get(3),
            sent: millis(row.get(4)),
            rejected: row.get(5),
        })
    }))
}

async fn shape(client: &Client, event: &EventId) -> Result<Option<Fact>, Error> {
    let known: bool = client.query_one(KNOWN_SCHEMA, &[]).await?.get(0);
    if known && client.query_one(MAY_SHAPE, &[]).await?.get(0) {
        let row = client.query_opt(SHAPE, &[&event.as_str()]).await?;
        return Ok(row.as_ref().and_then(shaped).map(Fact::EventShape));
    }
    let row = client.query_opt(BODY, &[&event.as_str()]).await?;
    let shape = row.and_then(|row| EventShape::of(row.get(0), row.get(1)));
    Ok(shape.map(Fact::EventShape))
}

/// `has_schema_privilege` fails on a schema that is not there.
const KNOWN_SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'kestrel')";

fn shaped(row: &Row) -> Option<EventShape> {
    let kind: Option<String> = row.get(0);
    let name: Option<String> = row.get(1);
    let algorithm = match kind?.as_str() {
        "absent" => Algorithm::Absent,
        "null" => Algorithm::Null,
        "string" => Algorithm::Named(name.unwrap_or_default()),
        other => Algorithm::Other(other.to_owned()),
    };
    Some(EventShape {
        algorithm,
        content_bytes: row.get::<_, Option<i32>>(2).unwrap_or_default().unsigned_abs().into(),
        device: row.get(3),
        delayed: row.get::<_, Option<bool>>(4).unwrap_or_default(),
    })
}

async fn redactions(client: &Client, event: &EventId) -> Result<Option<Fact>, Error> {
    let rows = client.query(REDACTIONS, &[&event.as_str()]).await?;
    let redaction =
        |row: &Row| Redaction { event: row.get(0), sender: row.get(1), censored: row.get(2) };
    let rows: Vec<_> = rows.iter().map(redaction).collect();
    Ok((!rows.is_empty()).then_some(Fact::Redactions(rows)))
}
