//! How many messages wait for a device, and their shapes.

use kestrel_core::evidence::to_device::{Inbox, InboxRow};
use kestrel_core::evidence::{Fact, Need, Subject};
use tokio_postgres::{Client, Error, Row, Statement};

/// The most messages that are counted; more makes no difference.
pub(super) const COUNT_LIMIT: i64 = 1001;

/// Waiting messages whose shapes are read, the oldest first.
const SHAPE_LIMIT: i32 = 200;

/// The most messages that a watch keeps; then it ends.
pub(super) const WATCH_LIMIT: usize = 1000;

/// The most messages per poll; the next poll gets the rest.
pub(super) const A_LOOK: usize = 100;

/// Why there are no shapes although the count is known.
pub(crate) const NO_SHAPES: &str = "the role can count the waiting messages but not see who they are encrypted \
                                    for: run the SQL from `kestrel grants` again";

const COUNT: &str = "SELECT count(*) FROM (\n\
     SELECT 1 FROM device_inbox\n\
     WHERE user_id = $1\nAND device_id = $2\n\
     LIMIT $3) AS bounded";

/// The newest message that waits: what comes after it is new.
const NEWEST: &str =
    "SELECT max(stream_id) FROM device_inbox WHERE user_id = $1 AND device_id = $2";

const DEHYDRATED: &str = "SELECT EXISTS (SELECT FROM dehydrated_devices\n\
     WHERE user_id = $1\nAND device_id = $2)";

/// The function that `kestrel grants` creates: shapes, no bodies.
const SHAPES: &str = "SELECT stream_id, sender, kind, algorithm, recipients, bytes\n\
     FROM kestrel.inbox_shape($1, $2, $3, $4)";

/// The setup from the runbook: a role that can read the table.
const BODIES: &str = "SELECT stream_id, message_json FROM device_inbox\n\
     WHERE user_id = $1 AND device_id = $2 AND stream_id > $3 ORDER BY stream_id LIMIT $4";

/// What the role may do, in this order.
const MAY: &str = "SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
       WHERE n.nspname = 'kestrel' AND p.proname = 'inbox_shape' AND p.pronargs = 4 \
       AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')), \
     has_column_privilege('device_inbox', 'message_json', 'SELECT')";

/// The statements of one need, limits filled in.
pub(crate) fn statement(need: Need) -> String {
    match need {
        Need::Inbox => {
            let shapes = SHAPES.replace("$3", "0").replace("$4", &SHAPE_LIMIT.to_string());
            [COUNT.replace("$3", &COUNT_LIMIT.to_string()), shapes].join(";\n")
        }
        Need::Dehydrated => DEHYDRATED.to_owned(),
        _ => String::new(),
    }
}

/// Asks for one need of a device's inbox.
pub(crate) async fn ask(
    client: &Client,
    need: Need,
    subject: &Subject,
) -> Result<Option<Fact>, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    match need {
        Need::Inbox => {
            let inbox = look(client, subject).await?;
            Ok((inbox.pending > 0).then_some(Fact::Inbox(inbox)))
        }
        Need::Dehydrated => {
            let row = client.query_one(DEHYDRATED, &[&ids.0, &ids.1]).await?;
            Ok(Some(Fact::Dehydrated(row.get(0))))
        }
        _ => Ok(None),
    }
}

/// How a role reads shapes.
pub(super) enum InboxAccess {
    Shapes(Statement),
    Bodies(Statement),
    Nothing,
}

impl InboxAccess {
    pub(super) async fn ask(client: &Client) -> Result<Self, Error> {
        let may = client.query_one(MAY, &[]).await?;
        Ok(match (may.get(0), may.get(1)) {
            (true, _) => Self::Shapes(client.prepare(SHAPES).await?),
            (false, true) => Self::Bodies(client.prepare(BODIES).await?),
            (false, false) => Self::Nothing,
        })
    }

    /// The messages after a stream position, oldest first.
    pub(super) async fn behind(
        &self,
        client: &Client,
        subject: &Subject,
        after: i64,
        limit: i32,
    ) -> Result<Vec<InboxRow>, Error> {
        let ids = (subject.user.as_str(), subject.device.as_str());
        let (rows, read): (_, fn(&Row) -> InboxRow) = match self {
            Self::Shapes(statement) => {
                (client.query(statement, &[&ids.0, &ids.1, &after, &limit]).await?, shaped)
            }
            Self::Bodies(statement) => {
                let limit = i64::from(limit);
                let bodies = client.query(statement, &[&ids.0, &ids.1, &after, &limit]).await?;
                (bodies, |row| InboxRow::from_json(row.get(0), row.get(1)))
            }
            Self::Nothing => return Ok(Vec::new()),
        };
        Ok(rows.iter().map(read).collect())
    }
}

fn shaped(row: &Row) -> InboxRow {
    InboxRow {
        stream: row.get(0),
        sender: row.get(1),
        kind: row.get(2),
        algorithm: row.get(3),
        recipients: row.get::<_, Option<Vec<String>>>(4).unwrap_or_default(),
        bytes: row.get::<_, i32>(5).unsigned_abs().into(),
        seen: None,
    }
}

pub(super) async fn look(client: &Client, subject: &Subject) -> Result<Inbox, Error> {
    let mut inbox = Inbox::default();
    count(client, subject, &mut inbox).await?;
    if inbox.pending > 0 {
        let access = InboxAccess::ask(client).await?;
        inbox.unread = matches!(access, InboxAccess::Nothing);
        inbox.rows = access.behind(client, subject, 0, SHAPE_LIMIT).await?;
    }
    Ok(inbox)
}

pub(super) async fn count(
    client: &Client,
    subject: &Subject,
    inbox: &mut Inbox,
) -> Result<(), Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let pending: i64 = client.query_one(COUNT, &[&ids.0, &ids.1, &COUNT_LIMIT]).await?.get(0);
    inbox.pending = pending.unsigned_abs();
    inbox.capped = pending >= COUNT_LIMIT;
    Ok(())
}

pub(super) async fn newest(client: &Client, subject: &Subject) -> Result<i64, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let row = client.query_one(NEWEST, &[&ids.0, &ids.1]).await?;
    Ok(row.get::<_, Option<i64>>(0).unwrap_or_default())
}
