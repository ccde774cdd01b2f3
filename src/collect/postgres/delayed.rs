//! Reads delayed events: pending and sent ones. Anyone with a delay ID can act on the event, so the database
//! hashes it: the ID itself never leaves the server.

use ruma::UserId;
use tokio_postgres::{Client, Error, Row};

use super::connect;
use super::event::own_server;
use super::sql::{literal, millis};
use crate::config::Database;
use kestrel_core::evidence::delay::{Delayed, MEMBERSHIPS, Pending, Sent};
use kestrel_core::evidence::{Fact, Gathered, Need, Shown, State, Window, counted};

/// The most rooms that are queried, and the most rows per room.
pub const ROOMS: usize = 8;
const SENT_LIMIT: i64 = 200;
const PENDING_LIMIT: i64 = 200;

/// Synapse before 1.116 has no such table. The second one shows that this is Synapse's schema.
const TABLES: &str =
    "SELECT to_regclass('delayed_events') IS NOT NULL, to_regclass('events') IS NOT NULL";
const MAY: &str = "SELECT to_regprocedure('kestrel.delayed(text)') IS NOT NULL \
     AND to_regprocedure('kestrel.delayed_sent(text, bigint, bigint)') IS NOT NULL \
     AND has_schema_privilege('kestrel', 'USAGE')";

/// The functions that `kestrel grants` creates.
const PENDING: &str = "SELECT id, device, room, kind, delay, due, processed\n\
     FROM kestrel.delayed($1)";
const SENT: &str = "SELECT id, event, room, kind, sender, sent\n\
     FROM kestrel.delayed_sent($1, $2, $3)";
/// The same for a role that can read the tables directly.
const PENDING_TABLE: &str = "SELECT encode(sha256(convert_to(delay_id, 'UTF8')), 'hex'), device_id, room_id, \
     event_type, delay, send_ts, is_processed\n\
     FROM delayed_events\n\
     WHERE user_localpart = $1\n\
     ORDER BY send_ts LIMIT $2";
const SENT_TABLE: &str = r#"SELECT encode(sha256(convert_to(substring(ej.internal_metadata FROM '"delay_id": ?"([^"\\]+)"'), 'UTF8')), 'hex'), s.event_id, s.room_id, s.type, s.sender, s.origin_server_ts
FROM (SELECT e.event_id, e.room_id, e.type, e.sender, e.origin_server_ts FROM events e
 WHERE e.room_id = $1 AND e.origin_server_ts BETWEEN $2 AND $3 AND NOT e.outlier AND e.type = ANY($4)
 ORDER BY e.origin_server_ts DESC LIMIT $5) AS s
JOIN event_json ej ON ej.event_id = s.event_id
WHERE ej.internal_metadata LIKE '%"delay_id":%'"#;

/// The statement of the user's pending events.
pub(super) fn statement() -> String {
    PENDING.to_owned()
}

/// The user's pending delayed events; `Delayed::absent` where this Synapse has no table of them.
pub(super) async fn pending(client: &Client, user: &UserId) -> Result<Option<Fact>, Error> {
    let tables = client.query_one(TABLES, &[]).await?;
    if !tables.get::<_, bool>(0) && tables.get(1) {
        return Ok(Some(Fact::DelayedEvents(Delayed { absent: true, rows: Vec::new() })));
    }
    // The table has only localparts: another server's user with the same name has nothing here.
    if own_server(client).await?.is_some_and(|own| own != user.server_name()) {
        return Ok(None);
    }
    let localpart = user.localpart();
    let rows = if connect::may_call(client, MAY).await? {
        client.query(PENDING, &[&localpart]).await?
    } else {
        client.query(PENDING_TABLE, &[&localpart, &PENDING_LIMIT]).await?
    };
    let rows: Vec<_> = rows.iter().map(waits).collect();
    Ok((!rows.is_empty()).then_some(Fact::DelayedEvents(Delayed { absent: false, rows })))
}

fn waits(row: &Row) -> Pending {
    Pending {
        id: row.get::<_, Option<String>>(0).unwrap_or_default(),
        device: row.try_get(1).unwrap_or_default(),
        room: row.try_get(2).unwrap_or_default(),
        kind: row.try_get(3).unwrap_or_default(),
        delay: row.try_get::<_, i64>(4).unwrap_or_default().unsigned_abs(),
        due: millis(row.try_get(5).unwrap_or_default()),
        processed: row.try_get(6).unwrap_or_default(),
    }
}

/// Delayed events that were sent in these rooms. The rooms come from the log and from pending rows, so this
/// query comes after both.
pub async fn sent(
    rooms: &[String],
    window: Window,
    database: Option<&Database>,
    deadline: std::time::Duration,
) -> Gathered {
    let rooms = &rooms[..rooms.len().min(ROOMS)];
    let query = shown(rooms, window);
    let unread = |state| Gathered::unread(Need::SentDelays, "database", query.clone(), state);
    let Some(database) = database else {
        return unread(State::NotAsked("no database is configured".into()));
    };
    if rooms.is_empty() {
        let why = "no source names a room of the user's calls";
        return unread(State::NotAsked(why.into()));
    }
    let asked = tokio::time::timeout(deadline, ask(rooms, window, database, deadline)).await;
    let rows = match asked {
        Ok(Ok(rows)) => rows,
        Ok(Err(why)) => return unread(State::Failed(why)),
        Err(_) => {
            let why = format!("it did not answer within {:.1} s", deadline.as_secs_f32());
            return unread(State::Failed(why));
        }
    };
    let what = format!(
        "{} sent in {}",
        counted(rows.len() as u64, "delayed event"),
        counted(rooms.len() as u64, "room")
    );
    let state = if rows.is_empty() { State::Empty } else { State::Found };
    let fact = (!rows.is_empty()).then_some(Fact::SentDelays(rows));
    Gathered::answered(Need::SentDelays, "database", state, Shown { what, query }, fact)
}

async fn ask(
    rooms: &[String],
    window: Window,
    database: &Database,
    deadline: std::time::Duration,
) -> Result<Vec<Sent>, String> {
    let client = connect::connect(database, deadline).await?;
    let words = |error: Error| connect::words(&error, "delayed events that were sent");
    let from = window.from.as_millisecond();
    let to = window.to.as_millisecond();
    let types: Vec<&str> = MEMBERSHIPS.to_vec();
    let may_call = connect::may_call(&client, MAY).await.map_err(words)?;
    let mut sent = Vec::new();
    for room in rooms {
        let rows = if may_call {
            client.query(SENT, &[room, &from, &to]).await
        } else {
            client.query(SENT_TABLE, &[room, &from, &to, &types, &SENT_LIMIT]).await
        };
        sent.extend(rows.map_err(words)?.iter().filter_map(was_sent));
    }
    Ok(sent)
}

fn was_sent(row: &Row) -> Option<Sent> {
    Some(Sent {
        id: row.get::<_, Option<String>>(0)?,
        event: row.get(1),
        room: row.get(2),
        kind: row.get(3),
        sender: row.get::<_, Option<String>>(4).unwrap_or_default(),
        sent: millis(row.get(5)),
    })
}

/// The statements for pasting.
fn shown(rooms: &[String], window: Window) -> String {
    let from = window.from.as_millisecond();
    let to = window.to.as_millisecond();
    let one = |room: &String| {
        let call = format!("kestrel.delayed_sent({}, {from}, {to})", literal(room));
        format!("SELECT id, event, room, kind, sender, sent FROM {call};")
    };
    rooms.iter().map(one).collect::<Vec<_>>().join("\n")
}
