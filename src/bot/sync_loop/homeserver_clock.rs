//! The homeserver's clock, as it was last measured: how far it is ahead of this machine's, and how long that counts.

use std::time::Duration;

use jiff::SignedDuration;
use matrix_sdk::Client;
use tokio::time::Instant;

use crate::bot::clock_offset;

/// How long a measured offset counts, and how long it is not asked again after a failure.
const FRESH: Duration = Duration::from_secs(10 * 60);
const RETRY: Duration = Duration::from_secs(60);

/// What is known of the homeserver's clock.
#[derive(Debug, Default)]
pub(crate) struct HomeserverClock {
    asked: Option<Instant>,
    /// How far it is ahead of this machine's.
    offset: Option<SignedDuration>,
}

impl HomeserverClock {
    pub(super) fn is_fresh(&self) -> bool {
        let lasts = if self.offset.is_some() { FRESH } else { RETRY };
        self.asked.is_some_and(|asked| asked.elapsed() < lasts)
    }

    /// Asks the homeserver for its time.
    pub(super) async fn ask(client: &Client) -> Self {
        let offset = clock_offset::offset(client).await;
        if let Err(error) = &offset {
            tracing::warn!("the homeserver's clock could not be read: {error:#}");
        }
        Self { asked: Some(Instant::now()), offset: offset.ok() }
    }

    /// How far it is ahead, if it is wrong.
    pub(crate) fn wrong(&self) -> Option<SignedDuration> {
        self.offset.filter(|offset| clock_offset::is_wrong(*offset))
    }
}
