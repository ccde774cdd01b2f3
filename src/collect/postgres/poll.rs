//! A slow check of every device: those whose next one-time key belongs to an old identity, and active devices
//! with a to-device backlog. It works in pages by the index of `devices`, within a time limit.
//!
//! Both queries use the same pages, so one cursor says how far a check came; the next one continues there.
//! Nobody waits for a check, and the server has other work: it takes two seconds at most, and each statement
//! is separate, so that no snapshot delays the database's vacuum.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::sql::{literal, millis};
use super::{connect, fleet, replica};
use crate::config::Database;
use kestrel_core::evidence::fleet::FleetRows;
use kestrel_core::evidence::otk::Check;
use kestrel_core::evidence::poll::{COUNTED, Covered, Cursor, Device, FEWEST, Poll, Waiting};

/// The time limit for reading pages.
const READ: Duration = Duration::from_secs(2);
/// A device without a request in this time is offline: its messages wait as they should.
const LATELY: SignedDuration = SignedDuration::from_hours(1);
/// A replica may be this far behind: checks are minutes apart, and two in a row have to agree.
const OLD: SignedDuration = SignedDuration::from_mins(5);
/// The most devices that one check reports; the next check continues.
const MOST: usize = 5000;

/// Waiting messages of a page's devices that have an identity and were seen lately. The limits prevent
/// PostgreSQL from reading a whole table for each page, as a plain join would.
const WAITING: &str = "SELECT p.user_id, p.device_id, p.last_seen, b.total\n\
     FROM (SELECT user_id, device_id, last_seen FROM devices\n\
     WHERE (user_id, device_id) > ($1, $2) AND (user_id, device_id) <= ($3, $4) AND hidden IS NOT TRUE\n\
     ORDER BY user_id, device_id LIMIT $5) AS p\n\
     JOIN LATERAL (SELECT FROM e2e_device_keys_json i\n\
     WHERE i.user_id = p.user_id AND i.device_id = p.device_id LIMIT 1) AS k ON true\n\
     CROSS JOIN LATERAL (SELECT count(*) AS total FROM (SELECT FROM device_inbox i\n\
     WHERE i.user_id = p.user_id AND i.device_id = p.device_id LIMIT $6) AS bounded) AS b\n\
     WHERE p.last_seen >= $7 AND b.total >= $8";

/// Devices that may be added to a page between its two statements.
const ADDED: u32 = 100;

/// The statement over waiting messages for a span of devices, limits filled in.
pub fn statement(after: &Device, to: &Device, now: Timestamp) -> String {
    (WAITING.replace("$1", &literal(&after.user)).replace("$2", &literal(&after.device)))
        .replace("$3", &literal(&to.user))
        .replace("$4", &literal(&to.device))
        .replace("$5", &(Cursor::default().page + ADDED).to_string())
        .replace("$6", &COUNTED.to_string())
        .replace("$7", &since(now).to_string())
        .replace("$8", &FEWEST.to_string())
}

/// Continues where the last check ended. It never fails: an error is part of the answer.
pub async fn poll(
    database: Option<&Database>,
    cursor: &mut Cursor,
    now: Timestamp,
    deadline: Duration,
) -> Poll {
    let Some(database) = database else {
        return Poll::failed(now, "no database is configured".into());
    };
    // The time limit of a page: it also cancels a statement that nobody waits for any more.
    let limit = deadline.min(READ);
    let client = match timeout(limit, connect::open(database, limit)).await {
        Ok(Ok(client)) => client,
        Ok(Err(why)) => return Poll::failed(now, why),
        Err(_) => return Poll::failed(now, "the database did not answer in time".into()),
    };
    // Old data shows neither the start nor the end of a storm.
    if let Ok(Some(lag)) = timeout(limit, replica::lag(&client)).await
        && lag.is_beyond(OLD)
    {
        return Poll::failed(now, lag.words());
    }
    let mut poll = Poll {
        at: now,
        dead: Vec::new(),
        untested: Vec::new(),
        waiting: Some(Vec::new()),
        covered: None,
        failed: None,
    };
    let after = cursor.after.clone();
    let end = Instant::now() + READ;
    while poll.names() < MOST {
        let from = cursor.after.clone().unwrap_or_default();
        match timeout_at(end, page(&client, &from, cursor.page, &poll)).await {
            Ok(Ok(page)) => {
                cursor.after = page.next.clone();
                cursor.faster();
                add(&mut poll, page, &after);
            }
            Ok(Err(Unread::Slow)) | Err(_) => {
                cursor.slower();
                break;
            }
            Ok(Err(Unread::Failed(why))) => {
                poll.failed = Some(why);
                break;
            }
        }
        if cursor.after.is_none() {
            break;
        }
    }
    if poll.covered.is_none() && poll.failed.is_none() {
        poll.failed = Some(format!("no page was read within {} s", READ.as_secs()));
    }
    poll
}

/// What one page came to.
struct PollPage {
    dead: Vec<Device>,
    untested: Vec<Device>,
    waiting: Result<Vec<Waiting>, String>,
    devices: u64,
    /// Its last device, if there are more.
    next: Option<Device>,
}

/// Why a page was not read.
enum Unread {
    Slow,
    Failed(String),
}

impl Unread {
    fn from_error(error: &Error, table: &str) -> Self {
        match error.code() {
            Some(&SqlState::QUERY_CANCELED) => Self::Slow,
            _ => Self::Failed(connect::words(error, table)),
        }
    }
}

/// Adds a page to the result.
fn add(poll: &mut Poll, page: PollPage, after: &Option<Device>) {
    poll.dead.extend(page.dead);
    poll.untested.extend(page.untested);
    match page.waiting {
        Ok(more) => {
            poll.waiting.iter_mut().for_each(|waiting| waiting.extend(more.iter().cloned()))
        }
        Err(why) => (poll.waiting, poll.failed) = (None, Some(why)),
    }
    let devices = poll.covered.as_ref().map_or(0, |covered| covered.devices) + page.devices;
    poll.covered = Some(Covered { after: after.clone(), to: page.next, devices });
}

async fn page(
    client: &Client,
    from: &Device,
    size: u32,
    so_far: &Poll,
) -> Result<PollPage, Unread> {
    let keys = |error: Error| Unread::from_error(&error, "e2e_one_time_keys_json");
    let mut rows = FleetRows::default();
    let start = (from.user.clone(), from.device.clone());
    let last = fleet::page(client, &start, size.into(), &mut rows).await.map_err(keys)?;
    fleet::test(client, &mut rows).await.map_err(keys)?;
    let mut page = PollPage {
        dead: Vec::new(),
        untested: Vec::new(),
        waiting: Ok(Vec::new()),
        devices: rows.read,
        next: None,
    };
    for of in rows.devices.iter().filter(|of| of.older > 0) {
        let device = Device { user: of.user.to_string(), device: of.device.to_string() };
        match of.next_key {
            Some(Check::Fails) => page.dead.push(device),
            Some(Check::Verifies) => {}
            Some(Check::Unknown) | None => page.untested.push(device),
        }
    }
    let Some(((user, device), full)) = last else { return Ok(page) };
    let last = Device { user, device };
    if so_far.waiting.is_some() {
        page.waiting = match waiting(client, (from, &last), size, so_far.at).await {
            Ok(waiting) => Ok(waiting),
            Err(error) => match Unread::from_error(&error, "device_inbox") {
                Unread::Slow => return Err(Unread::Slow),
                Unread::Failed(why) => Err(why),
            },
        };
    }
    page.next = full.then_some(last);
    Ok(page)
}

async fn waiting(
    client: &Client,
    (after, to): (&Device, &Device),
    size: u32,
    now: Timestamp,
) -> Result<Vec<Waiting>, Error> {
    let counted = i64::try_from(COUNTED).unwrap_or(i64::MAX);
    let fewest = i64::try_from(FEWEST).unwrap_or(i64::MAX);
    let rows = i64::from(size + ADDED);
    let lately = since(now);
    let [a, b, c, d] = [&after.user, &after.device, &to.user, &to.device];
    let rows = client.query(WAITING, &[a, b, c, d, &rows, &counted, &lately, &fewest]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let of = Device { user: row.try_get(0)?, device: row.try_get(1)? };
        let Some(last_seen) = millis(row.try_get(2)?) else { continue };
        let count = row.try_get::<_, i64>(3)?.unsigned_abs();
        found.push(Waiting { of, count, last_seen });
    }
    Ok(found)
}

/// A device seen after this time is active, as Synapse stores it.
fn since(now: Timestamp) -> i64 {
    now.checked_sub(LATELY).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond()
}
