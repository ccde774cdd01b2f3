//! An inbox over some seconds: a second check of a backlog, and a watch for new messages.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kestrel_core::evidence::to_device::{Again, Inbox, InboxRow, Live};
use kestrel_core::evidence::{Fact, Gathered, Need, State, Subject};
use kestrel_core::plan::Plan;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{Client, Error};

use super::super::answers::{answer, unread};
use super::super::connect;
use super::read::{A_LOOK, COUNT_LIMIT, InboxAccess, WATCH_LIMIT, count, look, newest};
use crate::config::Database;

/// Measured: at 20 ms every row of an online device was seen, at 50 ms two of three.
const EVERY: Duration = Duration::from_millis(20);

/// Between two looks at a backlog.
const PAUSE: Duration = Duration::from_secs(2);

/// What came after the first look and is still there, and whether its oldest message is.
const LATER: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM device_inbox \
       WHERE user_id = $1 AND device_id = $2 AND stream_id > $3 LIMIT $5) AS bounded), \
     EXISTS (SELECT FROM device_inbox WHERE user_id = $1 AND device_id = $2 AND stream_id = $4)";

/// Checks waiting messages a second time, so that a growing backlog is visible. After a failure the first
/// result stays as it is.
pub(crate) async fn again(
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

/// Watches the device's inbox for as long as the plan says. Each poll is separate: a snapshot would hide new
/// messages and delay the database's vacuum.
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
        Err(_) => failed(State::Failed("the database is too slow to watch the inbox".into())),
    }
}

/// What was seen, and why the watch ended early, if it did; earlier results still count.
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
    let access = InboxAccess::ask(client).await?;
    let mut inbox = look(client, subject).await?;
    inbox.unread = matches!(access, InboxAccess::Nothing);
    inbox.rows.iter_mut().for_each(|row| row.seen = Some(from));
    let oldest = inbox.rows.first().map(|row| row.stream);
    let first = newest(client, subject).await?;
    let mut after = first;
    let mut polls = 0;
    let mut cut = None;
    let mut beat = interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while start.elapsed() < length && inbox.rows.len() < WATCH_LIMIT {
        beat.tick().await;
        let room = WATCH_LIMIT.saturating_sub(inbox.rows.len()).min(A_LOOK);
        match access.behind(client, subject, after, room as i32).await {
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
