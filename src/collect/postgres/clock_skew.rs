//! Compares the database server's clock with this machine's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use super::connect;
use crate::config::Database;

/// Microseconds, which every driver reads alike.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The database server's clock minus ours, in milliseconds; `now` is our time at the call. Half of the round
/// trip is subtracted, so the result is accurate to that half. The error is a sentence for people.
pub async fn skew(database: &Database, now: Timestamp, deadline: Duration) -> Result<i64, String> {
    let start = Instant::now();
    let asking = async {
        let client = connect::open(database, deadline).await?;
        let asked = start.elapsed();
        let row = client.query_one(NOW, &[]).await;
        let row = row.map_err(|error| connect::words(&error, "the clock"))?;
        let theirs: i64 = row.try_get(0).map_err(|error| connect::words(&error, "the clock"))?;
        let between = asked + (start.elapsed() - asked) / 2;
        let between = SignedDuration::try_from(between).unwrap_or_default();
        let ours = now.checked_add(between).unwrap_or(now);
        Ok((theirs - ours.as_microsecond()) / 1000)
    };
    let late = || "the database did not answer in time".to_owned();
    timeout(deadline, asking).await.map_err(|_| late())?
}
