//! When a command was sent, by its homeserver's clock → its age by this machine's. The homeserver is asked for its
//! time only when a command looks too old.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use matrix_sdk::deserialized_responses::TimelineEvent;
use ruma::UserId;
use tokio::time::Instant;

use super::listen::{Ear, NOBODY_WAITS};
use crate::bot::clock_offset;
use crate::bot::permission::{by_our_clock, too_old};

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
    fn is_fresh(&self) -> bool {
        let lasts = if self.offset.is_some() { FRESH } else { RETRY };
        self.asked.is_some_and(|asked| asked.elapsed() < lasts)
    }

    /// How far it is ahead, where it is wrong.
    pub(crate) fn wrong(&self) -> Option<SignedDuration> {
        self.offset.filter(|offset| clock_offset::is_wrong(*offset))
    }
}

impl Ear {
    /// Asks the homeserver for its time, where one of these events looks too old to be answered.
    pub(crate) async fn look_at_clock(&mut self, events: &[TimelineEvent]) {
        let (now, most) = (Timestamp::now(), self.max_age());
        let looks_old = |event: &TimelineEvent| {
            let at = event.raw().get_field::<i64>("origin_server_ts").ok().flatten();
            let sent = at.and_then(|at| Timestamp::from_millisecond(at).ok());
            sent.is_some_and(|sent| too_old(sent, now, most) && !too_old(sent, now, NOBODY_WAITS))
        };
        if self.clock.is_fresh() || !events.iter().any(looks_old) {
            return;
        }
        let offset = clock_offset::offset(&self.client).await;
        if let Err(error) = &offset {
            tracing::warn!("the homeserver's clock could not be read: {error:#}");
        }
        let offset = offset.ok();
        self.clock = HomeserverClock { asked: Some(Instant::now()), offset };
        if let Some(wrong) = self.clock.wrong() {
            tracing::warn!("{}: set the clocks (NTP)", clock_offset::told(wrong));
        }
    }

    /// When something was sent, by this machine's clock. The offset is known of the own homeserver only.
    pub(crate) fn sent_by_our_clock(&self, sender: &UserId, sent: Timestamp) -> Timestamp {
        let ours = self.client.user_id().map(UserId::server_name);
        let offset = self.clock.wrong().filter(|_| ours == Some(sender.server_name()));
        by_our_clock(sent, offset)
    }
}
