//! The inbox of one device → how many messages wait, their shapes, and what a watch of it saw.
//!
//! A message goes as soon as the device fetched the next, so that of an online device each row lives tens
//! of milliseconds: a watch asks fifty times a second. Every statement goes by the index over user, device
//! and stream, and is bounded. A body is read where the role has no `kestrel.inbox_shape` function and
//! may read the table itself; it is let go of here.

mod capture_watch;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{Client, Error, Row, Statement};

use super::{answer, connect, unread};
use crate::config::Database;
pub use capture_watch::InboxWatch;
use kestrel_core::evidence::to_device::{Again, Inbox, InboxRow, Live};
use kestrel_core::evidence::{Fact, Gathered, Need, State, Subject};
use kestrel_core::plan::Plan;

/// Messages counted at the most: beyond it a backlog is a backlog.
const COUNT_LIMIT: i64 = 1001;
/// Waiting messages whose shapes are read, the oldest first.
const SHAPE_LIMIT: i32 = 200;
/// Messages that a watch keeps; it ends when it has seen so many.
const WATCH_LIMIT: usize = 1000;
/// Messages that one look of a watch takes; the next takes the rest.
const A_LOOK: usize = 100;
/// Measured: at 20 ms every row of an online device was seen, at 50 ms two of three.
const EVERY: Duration = Duration::from_millis(20);
/// Between two looks at a backlog.
const PAUSE: Duration = Duration::from_secs(2);

/// Why the shapes are missing where the count is not.
pub(super) const NO_SHAPES: &str = "the role may count the waiting messages and not see whom they are \
                                    encrypted for: run the SQL of `kestrel grants` once more";

const COUNT: &str = "SELECT count(*) FROM (\n\
     SELECT 1 FROM device_inbox\n\
     WHERE user_id = $1\nAND device_id = $2\n\
     LIMIT $3) AS bounded";
/// The newest message that waits: what comes after it is new.
const NEWEST: &str =
    "SELECT max(stream_id) FROM device_inbox WHERE user_id = $1 AND device_id = $2";
/// What came after the first look and is still there, and whether its oldest message is.
const LATER: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM device_inbox \
       WHERE user_id = $1 AND device_id = $2 AND stream_id > $3 LIMIT $5) AS bounded), \
     EXISTS (SELECT FROM device_inbox WHERE user_id = $1 AND device_id = $2 AND stream_id = $4)";
const DEHYDRATED: &str = "SELECT EXISTS (SELECT FROM dehydrated_devices\n\
     WHERE user_id = $1\nAND device_id = $2)";
/// The function that `kestrel grants` makes: shapes and no bodies.
const SHAPES: &str = "SELECT stream_id, sender, kind, algorithm, recipients, bytes\n\
     FROM kestrel.inbox_shape($1, $2, $3, $4)";
/// The runbook's own set-up: a role that may read the table.
const BODIES: &str = "SELECT stream_id, message_json FROM device_inbox\n\
     WHERE user_id = $1 AND device_id = $2 AND stream_id > $3 ORDER BY stream_id LIMIT $4";
/// What the role may do, in this order.
const MAY: &str = "SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
       WHERE n.nspname = 'kestrel' AND p.proname = 'inbox_shape' AND p.pronargs = 4 \
       AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')), \
     has_column_privilege('device_inbox', 'message_json', 'SELECT')";

/// The statements of one need, limits filled in.
pub(super) fn statement(need: Need) -> String {
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
pub(super) async fn ask(
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
enum InboxAccess {
    Shapes(Statement),
    Bodies(Statement),
    Nothing,
}

impl InboxAccess {
    async fn ask(client: &Client) -> Result<Self, Error> {
        let may = client.query_one(MAY, &[]).await?;
        Ok(match (may.get(0), may.get(1)) {
            (true, _) => Self::Shapes(client.prepare(SHAPES).await?),
            (false, true) => Self::Bodies(client.prepare(BODIES).await?),
            (false, false) => Self::Nothing,
        })
    }

    /// The messages behind a place in the stream, oldest first.
    async fn behind(
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
                (bodies, |row| InboxRow::of(row.get(0), row.get(1)))
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

async fn look(client: &Client, subject: &Subject) -> Result<Inbox, Error> {
    let mut inbox = Inbox::default();
    count(client, subject, &mut inbox).await?;
    if inbox.pending > 0 {
        let sight = InboxAccess::ask(client).await?;
        inbox.unread = matches!(sight, InboxAccess::Nothing);
        inbox.rows = sight.behind(client, subject, 0, SHAPE_LIMIT).await?;
    }
    Ok(inbox)
}

async fn count(client: &Client, subject: &Subject, inbox: &mut Inbox) -> Result<(), Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let pending: i64 = client.query_one(COUNT, &[&ids.0, &ids.1, &COUNT_LIMIT]).await?.get(0);
    inbox.pending = pending.unsigned_abs();
    inbox.capped = pending >= COUNT_LIMIT;
    Ok(())
}

async fn newest(client: &Client, subject: &Subject) -> Result<i64, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let row = client.query_one(NEWEST, &[&ids.0, &ids.1]).await?;
    Ok(row.get::<_, Option<i64>>(0).unwrap_or_default())
}

/// Looks a second time where messages wait, so that a backlog which grows is seen to grow. A failure
/// leaves the first look as it was.
pub(super) async fn again(
    plan: &Plan,
    database: &Database,
    deadline: Duration,
    answers: &mut [Gathered],
) {
    let waiting = answers.iter_mut().find_map(|answer| match &mut answer.fact {
        Some(Fact::Inbox(inbox)) if inbox.live.is_none() => Some(inbox),
        _ => None,
    });
    let (Some(inbox), Some(subject)) = (waiting, plan.subject.device()) else { return };
    let Some(oldest) = inbox.rows.first().map(|row| row.stream) else { return };
    let looking = async {
        let client = connect::open(database, deadline).await.ok()?;
        let newest = newest(&client, subject).await.ok()?;
        sleep(PAUSE).await;
        later(&client, subject, (newest, oldest), PAUSE).await.ok()
    };
    inbox.again = timeout(deadline + PAUSE, looking).await.ok().flatten();
}

async fn later(
    client: &Client,
    subject: &Subject,
    (newest, oldest): (i64, i64),
    after: Duration,
) -> Result<Again, Error> {
    let ids = (subject.user.as_str(), subject.device.as_str());
    let row = client.query_one(LATER, &[&ids.0, &ids.1, &newest, &oldest, &COUNT_LIMIT]).await?;
    Ok(Again {
        after: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        came: row.get::<_, i64>(0).unsigned_abs(),
        stands: row.get(1),
    })
}

/// Watches the device's inbox for as long as the plan says. Each look stands alone: no snapshot that
/// would hide what comes, and none that would hold back the database's vacuum.
pub async fn watch(
    plan: &Plan,
    database: Option<&Database>,
    length: Duration,
    deadline: Duration,
) -> Option<Gathered> {
    let subject = plan.subject.device().filter(|_| plan.needs.contains(&Need::Inbox))?;
    let failed = |state| Some(unread(Need::Inbox, &plan.subject, state));
    let Some(database) = database else {
        return failed(State::NotAsked("no database is configured".into()));
    };
    let watching = async {
        let client = connect::open(database, deadline).await?;
        let seen = watched(&client, subject, length, plan.now).await;
        seen.map_err(|error| connect::words(&error, "device_inbox"))
    };
    match timeout(length + deadline, watching).await {
        Ok(Ok((inbox, cut))) => {
            let mut told = answer(Need::Inbox, &plan.subject, Some(Fact::Inbox(inbox)));
            if let Some(why) = cut {
                told.state = State::Failed(why);
            }
            Some(told)
        }
        Ok(Err(why)) => failed(State::Failed(why)),
        Err(_) => failed(State::Failed("the database answered too slowly to be watched".into())),
    }
}

/// What was seen, and why the watch ended early where it did: what it had seen by then counts.
async fn watched(
    client: &Client,
    subject: &Subject,
    length: Duration,
    from: Timestamp,
) -> Result<(Inbox, Option<String>), Error> {
    let start = Instant::now();
    let moment = || {
        let since = SignedDuration::try_from(start.elapsed()).unwrap_or_default();
        from.checked_add(since).unwrap_or(from)
    };
    let sight = InboxAccess::ask(client).await?;
    let mut inbox = look(client, subject).await?;
    inbox.unread = matches!(sight, InboxAccess::Nothing);
    inbox.rows.iter_mut().for_each(|row| row.seen = Some(from));
    let oldest = inbox.rows.first().map(|row| row.stream);
    let first = newest(client, subject).await?;
    let (mut after, mut polls, mut cut) = (first, 0, None);
    let mut beat = interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while start.elapsed() < length && inbox.rows.len() < WATCH_LIMIT {
        beat.tick().await;
        let room = WATCH_LIMIT.saturating_sub(inbox.rows.len()).min(A_LOOK);
        match sight.behind(client, subject, after, room as i32).await {
            Ok(rows) => {
                after = rows.last().map_or(after, |row| row.stream);
                let at = Some(moment());
                inbox.rows.extend(rows.into_iter().map(|row| InboxRow { seen: at, ..row }));
                polls += 1;
            }
            Err(error) => {
                cut = Some(connect::words(&error, "device_inbox"));
                break;
            }
        }
    }
    let clipped = inbox.rows.len() >= WATCH_LIMIT;
    inbox.live = Some(Live { from, to: moment(), polls, clipped });
    if cut.is_none() {
        count(client, subject, &mut inbox).await?;
        let seen = oldest.or_else(|| inbox.rows.first().map(|row| row.stream));
        let places = (first, seen.unwrap_or_default());
        inbox.again = Some(later(client, subject, places, start.elapsed()).await?);
    }
    Ok((inbox, cut))
}
